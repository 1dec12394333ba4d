package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// conformanceDir holds what the fixture answers without weir, and what weir is known to fail.
const conformanceDir = root + "/testdata/conformance"

// checks are the outcomes of a run of the suite: scenario:check-id → the statuses seen, sorted and joined ("FAILURE,SUCCESS" when a
// check ran several times with different outcomes). INFO is no outcome.
type checks map[string]string

// scenarioName takes the suite's prefix and the time off the name of a result folder.
var scenarioName = regexp.MustCompile(`^(?:server-)?(.+)-\d{4}-\d\d-\d\dT[^/]*$`)

// readChecks reads the output folder of a run.
func readChecks(dir string) (checks, error) {
	seen := map[string]map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		m := scenarioName.FindStringSubmatch(filepath.Base(filepath.Dir(path)))
		if m == nil {
			return fmt.Errorf("%s: not the folder of a scenario", path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var list []struct{ ID, Status string }
		if err := json.Unmarshal(b, &list); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, c := range list {
			if c.Status == "INFO" {
				continue
			}
			key := m[1] + ":" + c.ID
			if seen[key] == nil {
				seen[key] = map[string]bool{}
			}
			seen[key][c.Status] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(seen) == 0 {
		return nil, errors.New("the suite wrote no checks")
	}
	all := checks{}
	for key, statuses := range seen {
		all[key] = strings.Join(slices.Sorted(maps.Keys(statuses)), ",")
	}
	return all, nil
}

// String is one line a check: scenario:check-id and statuses, sorted.
func (c checks) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s %s\n", key, c[key])
	}
	return b.String()
}

// parseChecks reads what String wrote.
func parseChecks(text string) (checks, error) {
	all := checks{}
	for line := range strings.Lines(text) {
		key, status, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("not a check: %q", line)
		}
		all[key] = status
	}
	return all, nil
}

// didNotRun stands for the status of a check that has none: it is missing, or only told as INFO.
const didNotRun = "did not run"

// lost lists the checks that pass direct and do not pass through weir, and those that fail through weir and did not run direct:
// scenario:check-id → what was seen through weir.
func lost(direct, through checks) map[string]string {
	bad := map[string]string{}
	for key, status := range direct {
		got, ran := through[key]
		if !ran {
			got = didNotRun
		}
		if status == "SUCCESS" && got != "SUCCESS" {
			bad[key] = got
		}
	}
	for key, status := range through {
		if _, known := direct[key]; !known && strings.Contains(status, "FAILURE") {
			bad[key] = status + ", and did not run direct"
		}
	}
	return bad
}

// expectedFailures reads the known failures: cell → scenario:check-id → reason.
func expectedFailures(t testing.TB) map[string]map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(conformanceDir, "expected-failures.yml"))
	must(t, err)
	var all map[string]map[string]string
	must(t, yaml.Unmarshal(b, &all))
	return all
}

// difference is a check that goes otherwise through weir for good.
type difference struct{ Status, Reason string }

// differences reads what weir does otherwise by design: scenario:check-id → what is seen through weir. A failure cannot be by design.
func differences(t testing.TB) map[string]difference {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(conformanceDir, "by-design.yml"))
	must(t, err)
	var all map[string]difference
	must(t, yaml.Unmarshal(b, &all))
	for key, d := range all {
		if d.Reason == "" || d.Status != didNotRun && d.Status != "WARNING" {
			t.Errorf("by-design.yml: %s: status %q, reason %q", key, d.Status, d.Reason)
		}
	}
	return all
}

// unexpected compares what a run lost with what it may lose, and returns one line for each difference.
func unexpected(lost, expected map[string]string) []string {
	var lines []string
	for key, got := range lost {
		if _, known := expected[key]; !known {
			lines = append(lines, fmt.Sprintf("%s: passes direct, through weir: %s", key, got))
		}
	}
	for key, reason := range expected {
		if _, still := lost[key]; !still {
			lines = append(lines, fmt.Sprintf("%s: passes now; take it off expected-failures.yml", key))
		}
		if strings.TrimSpace(reason) == "" {
			lines = append(lines, fmt.Sprintf("%s: is expected to fail without a reason", key))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestLost(t *testing.T) {
	direct := checks{"a:kept": "SUCCESS", "a:lost": "SUCCESS", "a:mixed": "SUCCESS", "a:gone": "SUCCESS", "a:bad": "FAILURE", "a:warned": "WARNING"}
	through := checks{"a:kept": "SUCCESS", "a:lost": "FAILURE", "a:mixed": "FAILURE,SUCCESS", "a:bad": "SUCCESS", "b:new": "FAILURE", "b:fine": "SUCCESS"}
	got := unexpected(lost(direct, through), map[string]string{
		"a:lost": "a reason", "a:mixed": "", "a:kept": "a reason",
	})
	want := []string{
		"a:gone: passes direct, through weir: did not run",
		"a:kept: passes now; take it off expected-failures.yml",
		"a:mixed: is expected to fail without a reason",
		"b:new: passes direct, through weir: FAILURE, and did not run direct",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	again, err := parseChecks(direct.String())
	must(t, err)
	if !maps.Equal(again, direct) {
		t.Errorf("written and read again: %v", again)
	}
}
