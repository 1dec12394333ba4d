package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
)

// startKinds starts a gateway over one API of each kind; more is what configuration says of one besides.
func startKinds(t *testing.T, all []*kind, config object, more func(k *kind) object) (*place, *app.App) {
	t.Helper()
	servers := object{}
	for _, k := range all {
		servers[k.name] = k.with(more(k))
	}
	content := object{"mcpServers": servers}
	maps.Copy(content, config)
	p := newPlace(t, content)
	a := p.start(t)
	settled(t, a)
	return p, a
}

// toolNames are the own names of the tools of each upstream.
func toolNames(a *app.App) map[string][]string {
	all := map[string][]string{}
	for name := range strings.FieldsSeq(names(a)) {
		up, own, _ := strings.Cut(name, "__")
		all[up] = append(all[up], own)
	}
	return all
}

// calls makes a call and returns all that a caller sees of it, an error too.
func calls(t *testing.T, a *app.App, name, arguments string) string {
	t.Helper()
	out, err := a.Call(t.Context(), name, []byte(arguments))
	return fmt.Sprint(out.Code, string(out.Result), err)
}

// TestNamesOfEveryKind: names fit where clients cut them, do not depend on the order of a description or on what else is in it, and where
// configuration wants one name twice, nobody gets it.
func TestNamesOfEveryKind(t *testing.T) {
	t.Parallel()
	long := "get" + strings.Repeat("VeryLongWord", 8)
	operations := []string{"getThing", "listThings", "putThing", "deleteThing", long + "One", long + "Two"}
	all := kinds(t, "", operations...)
	plain := func(*kind) object { return object{"mode": "tools"} }
	_, a := startKinds(t, all, nil, plain)
	first := toolNames(a)
	for _, k := range all {
		if len(first[k.name]) != len(operations) {
			t.Errorf("%s: %d tools: %q", k.name, len(first[k.name]), first[k.name])
		}
		for _, name := range first[k.name] {
			if public := k.name + "__" + name; len(public) > 50 {
				t.Errorf("%s has %d characters", public, len(public))
			}
		}
		shuffled := slices.Clone(operations[1:]) // the first one is gone
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		k.write(shuffled)
	}
	_, a = startKinds(t, all, nil, plain)
	for up, after := range toolNames(a) {
		for _, name := range after {
			if !slices.Contains(first[up], name) {
				t.Errorf("%s: %s is a new name", up, name)
			}
		}
		if len(after) != len(operations)-1 {
			t.Errorf("%s: %q", up, after)
		}
	}
	_, a = startKinds(t, all, nil, func(k *kind) object {
		return object{"mode": "tools", "tools": object{k.key("listThings"): object{"name": "it"}, k.key("putThing"): object{"name": "it"}}}
	})
	for up, after := range toolNames(a) {
		marked := slices.DeleteFunc(slices.Clone(after), func(name string) bool { return !strings.HasPrefix(name, "it_") })
		if slices.Contains(after, "it") || len(marked) != 2 {
			t.Errorf("%s: %q", up, after)
		}
	}
}

// TestAuditOfEveryKind: every call is in the audit log before and after, under the operation that it is about, also behind a search; a refused one
// has its rule, and nothing was sent.
func TestAuditOfEveryKind(t *testing.T) {
	t.Parallel()
	operations := []string{"getThing", "deleteThing"}
	all := kinds(t, "", operations...)
	dir := filepath.Join(t.TempDir(), "log")
	rules := object{"grants": object{"user:local": []string{"*/*"}}, "deny": []object{{"match": "*/deleteThing", "reason": "things are kept"}}}
	for mode, prefix := range map[string]string{"tools": "", "dynamic": "call_"} {
		dir := filepath.Join(dir, mode)
		_, a := startKinds(t, all, object{"audit": object{"dir": dir, "arguments": true}, "policy": rules}, func(k *kind) object {
			return object{"mode": mode, "tools": k.tools(operations...)}
		})
		want := map[string]string{}
		for _, k := range all {
			before := len(k.reached())
			for _, o := range operations {
				name, arguments := k.name+"__"+o, `{"size":7}`
				if prefix != "" {
					name, arguments = k.name+"__"+prefix+k.name, `{"name":"`+o+`","arguments":{"size":7}}`
				}
				calls(t, a, name, arguments)
			}
			want[k.name+"/getThing"], want[k.name+"/deleteThing"] = "intent outcome ok", "outcome denied"
			if sent := strings.Join(k.reached()[before:], " + "); sent != "getThing 7" {
				t.Errorf("%s, %s: the server was asked for %q", mode, k.name, sent)
			}
		}
		if err := a.Close(); err != nil { // outcomes are on disk then
			t.Error(err)
		}
		if diff := cmp.Diff(want, audited(t, dir)); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
}

// audited sums up the records of an audit log: by what they are about, their kinds and outcomes in order.
func audited(t *testing.T, dir string) map[string]string {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(dir, "*", "*.jsonl"))
	if err != nil || len(segments) == 0 {
		t.Fatal(err, "there is no audit log")
	}
	got, refs := map[string]string{}, map[string]string{}
	for _, segment := range segments {
		data, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var record struct {
				Event struct{ ID, Kind, Ref, Outcome string }
			}
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatal(err)
			}
			e := record.Event
			if e.Ref != "" {
				refs[e.ID] = e.Ref
			}
			if ref := refs[e.ID]; ref != "" { // the outcome of what has an intent refers to that
				got[ref] = strings.TrimSpace(got[ref] + " " + strings.TrimSpace(e.Kind+" "+e.Outcome))
			}
		}
	}
	return got
}

// TestCredentialsOfEveryKind: a credential reaches the server and comes back in no answer, list, state or log, even where the server repeats it.
func TestCredentialsOfEveryKind(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-t0ken-of-ours"
	all := kinds(t, "this is refused: ", "getThing")
	p, a := startKinds(t, all, nil, func(k *kind) object {
		return object{"mode": "tools", "tools": k.tools("getThing"), "credentials": object{k.scheme: object{"value": secret}}}
	})
	for _, k := range all {
		answer := calls(t, a, k.name+"__getThing", `{"size":7}`)
		if !strings.Contains(answer, "this is refused") || !strings.Contains(answer, "[removed]") || strings.Contains(answer, secret) {
			t.Errorf("%s: %s", k.name, answer)
		}
		if sent := k.reached(); !slices.Equal(sent, []string{"getThing 7"}) {
			t.Errorf("%s: the server was asked for %q", k.name, sent)
		}
	}
	for _, e := range a.View().Snapshot().Entries() {
		if strings.Contains(string(e.Raw(catalog.Modern)), secret) {
			t.Errorf("%s is listed with the credential", e.Name)
		}
	}
	states, err := json.Marshal(a.Status())
	if err != nil || strings.Contains(string(states), secret) || strings.Contains(p.log.String(), secret) {
		t.Errorf("%v: the states or the log have the credential", err)
	}
}

// TestTraceOfEveryKind: the trace of a call goes on to the server, each call with a span of its own; without telemetry nothing goes.
func TestTraceOfEveryKind(t *testing.T) {
	t.Parallel()
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()
	for _, config := range []object{nil, {"telemetry": object{"traces": object{"otlp": collector.URL, "sample": 1}}}} {
		all := kinds(t, "", "getThing")
		_, a := startKinds(t, all, config, func(k *kind) object { return object{"mode": "tools", "tools": k.tools("getThing")} })
		seen := map[string]bool{"": true}
		for _, k := range all {
			calls(t, a, k.name+"__getThing", `{"size":7}`)
			got := k.traces()
			if len(got) != 1 || (got[0] != "") != (config != nil) {
				t.Errorf("%s: the traces are %q with %v", k.name, got, config)
				continue
			}
			if config != nil && (!regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(got[0]) || seen[got[0]]) {
				t.Errorf("%s: the trace is %q", k.name, got[0])
			}
			seen[got[0]] = true
		}
	}
}
