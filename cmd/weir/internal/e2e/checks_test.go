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

// lost lists the checks that go worse through weir than direct, warnings included: scenario:check-id → what was seen through weir. What
// fails direct may go as it likes.
func lost(direct, through checks) map[string]string {
	bad := map[string]string{}
	for key, status := range direct {
		got, ran := through[key]
		if !ran {
			got = didNotRun
		}
		if got != status && got != "SUCCESS" && !strings.Contains(status, "FAILURE") {
			bad[key] = got
		}
	}
	for key, status := range through {
		if _, known := direct[key]; !known && status != "SUCCESS" {
			bad[key] = status
		}
	}
	return bad
}

// exception is a check that goes otherwise through weir for good.
type exception struct {
	Status string // what is seen through weir
	Reason string
	Cells  []string // the only ones where it is seen; none means that it may be seen in any
}

// exceptions reads testdata/conformance/exceptions.yml: scenario:check-id → exception. A failure needs the cells in which an era lacks something.
func exceptions(t testing.TB) map[string]exception {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(conformanceDir, "exceptions.yml"))
	must(t, err)
	var all map[string]exception
	must(t, yaml.Unmarshal(b, &all))
	for key, e := range all {
		failure := e.Status != didNotRun && e.Status != "WARNING"
		if strings.TrimSpace(e.Reason) == "" || failure && len(e.Cells) == 0 {
			t.Errorf("exceptions.yml: %s: status %q, reason %q, cells %q", key, e.Status, e.Reason, e.Cells)
		}
	}
	return all
}

// unexpected compares what a run lost in a cell with the exceptions, and returns one line for each difference. It notes in met what was an exception.
func unexpected(cell string, lost map[string]string, allowed map[string]exception, met map[string]bool) []string {
	var lines []string
	for key, got := range lost {
		e, known := allowed[key]
		if !known || e.Status != got || len(e.Cells) > 0 && !slices.Contains(e.Cells, cell) {
			lines = append(lines, fmt.Sprintf("%s: goes worse than direct: %s", key, got))
			continue
		}
		met[key] = true
	}
	for key, e := range allowed {
		if _, still := lost[key]; !still && slices.Contains(e.Cells, cell) {
			lines = append(lines, fmt.Sprintf("%s: passes now; take the cell off exceptions.yml", key))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestLost(t *testing.T) {
	direct := checks{
		"a:kept": "SUCCESS", "a:lost": "SUCCESS", "a:mixed": "SUCCESS", "a:gone": "SUCCESS", "a:bad": "FAILURE", "a:warned": "WARNING", "a:same": "WARNING",
		"a:here": "SUCCESS", "a:there": "SUCCESS", "a:any": "SUCCESS", "a:other": "SUCCESS",
	}
	through := checks{
		"a:kept": "SUCCESS", "a:lost": "FAILURE", "a:mixed": "FAILURE,SUCCESS", "a:bad": "SUCCESS", "a:warned": "FAILURE", "a:same": "WARNING",
		"a:here": "FAILURE", "a:there": "FAILURE", "a:any": "WARNING", "a:other": "FAILURE", "b:new": "FAILURE", "b:fine": "SUCCESS",
	}
	met := map[string]bool{}
	got := unexpected("here", lost(direct, through), map[string]exception{
		"a:here": {"FAILURE", "a reason", []string{"here"}}, "a:there": {"FAILURE", "a reason", []string{"there"}},
		"a:kept": {"FAILURE", "a reason", []string{"here", "there"}}, "a:any": {"WARNING", "a reason", nil}, "a:other": {"WARNING", "a reason", nil},
	}, met)
	want := []string{
		"a:gone: goes worse than direct: did not run",
		"a:kept: passes now; take the cell off exceptions.yml",
		"a:lost: goes worse than direct: FAILURE",
		"a:mixed: goes worse than direct: FAILURE,SUCCESS",
		"a:other: goes worse than direct: FAILURE",
		"a:there: goes worse than direct: FAILURE",
		"a:warned: goes worse than direct: FAILURE",
		"b:new: goes worse than direct: FAILURE",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !maps.Equal(met, map[string]bool{"a:here": true, "a:any": true}) {
		t.Errorf("met %v", met)
	}
	again, err := parseChecks(direct.String())
	must(t, err)
	if !maps.Equal(again, direct) {
		t.Errorf("written and read again: %v", again)
	}
}
