package app_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/upstream/upstreamtest"
)

// answered calls a tool and returns its text.
func answered(t *testing.T, a *app.App, name, arguments string) (text string, failed bool) {
	t.Helper()
	o, err := a.Call(t.Context(), name, []byte(arguments))
	if err != nil {
		t.Fatalf("%s %s: %v", name, arguments, err)
	}
	var result struct {
		Content []struct{ Text string }
		IsError bool
	}
	if err := json.Unmarshal(o.Result, &result); err != nil || len(result.Content) == 0 {
		t.Fatalf("%s: %v: %s", name, err, o.Result)
	}
	return result.Content[0].Text, result.IsError
}

// asked are the plain questions of testdata with their answers.
func asked(t *testing.T) (all []question) {
	t.Helper()
	b, err := os.ReadFile("testdata/questions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var q question
		if err := json.Unmarshal([]byte(line), &q); err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
	return all
}

type question struct {
	Question, Tool string
	Arguments      map[string]any
}

// TestPlainQuestions: the ranker alone answers each question of the table with the right tool and arguments, and the tool takes them.
func TestPlainQuestions(t *testing.T) {
	github := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{
		upstreamtest.Raw(`{"name":"create_issue","description":"Opens a new issue in a repository","inputSchema":{"type":"object","properties":{"title":{"type":"string"}}}}`),
		upstreamtest.Raw(`{"name":"list_issues","description":"Lists the issues of a repository, the latest first","inputSchema":{"type":"object"}}`),
	}})
	mail := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{
		upstreamtest.Raw(`{"name":"send_mail","description":"Sends a message to somebody","inputSchema":{"type":"object"}}`),
	}})
	a := newPlace(t, object{
		"ownTools": true, "requestLog": object{"database": "requests.db"},
		"mcpServers": object{"github": object{"url": github.URL}, "mail": object{"url": mail.URL}},
	}).start(t)
	settled(t, a)
	questions := asked(t)
	if len(questions) < 40 {
		t.Fatalf("%d questions", len(questions))
	}
	first := 0
	for _, q := range questions {
		in, _ := json.Marshal(map[string]any{"query": q.Question, "upstream": "weir"})
		text, _ := answered(t, a, "weir__find", string(in))
		var found struct {
			Hits []struct {
				Ref       string
				Arguments map[string]any
			}
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil || len(found.Hits) == 0 {
			t.Errorf("%s: nothing is found: %s", q.Question, text)
			continue
		}
		best := found.Hits[0]
		if best.Ref != "weir/"+q.Tool {
			t.Errorf("%s: finds %s %v, want %s", q.Question, best.Ref, best.Arguments, q.Tool)
			continue
		}
		if diff := cmp.Diff(q.Arguments, best.Arguments); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", q.Question, q.Tool, diff)
			continue
		}
		arguments, _ := json.Marshal(best.Arguments)
		if text, failed := answered(t, a, "weir__"+q.Tool, string(arguments)); failed {
			t.Errorf("%s: %s %s: %s", q.Question, q.Tool, arguments, text)
		}
		in, _ = json.Marshal(map[string]any{"query": q.Question})
		if text, _ := answered(t, a, "weir__find", string(in)); strings.HasPrefix(text, `{"hits":[{"name":"weir__`+q.Tool+`"`) {
			first++
		}
	}
	t.Logf("%d questions; among the tools of all upstreams the right one is first for %d", len(questions), first)
}

// TestOwnToolsComeAndGo: they are off by default, a reload lists them and takes them away, and they keep their names whatever the naming.
func TestOwnToolsComeAndGo(t *testing.T) {
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("find")}})
	content := object{"naming": "bare", "mcpServers": object{"github": object{"url": up.URL}}}
	p := newPlace(t, content)
	a := p.start(t)
	settled(t, a)
	reload := func(on bool) {
		t.Helper()
		content["ownTools"] = on
		p.write(t, content)
		file, err := config.Read(p.path, p.env.Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Reload(file); err != nil {
			t.Fatal(err)
		}
		settled(t, a)
	}
	if got := names(a); got != "find" {
		t.Errorf("at first: %s", got)
	}
	reload(true)
	if got, want := names(a), "find weir__describe weir__explain_access weir__find weir__list_tools weir__list_upstreams weir__topology others"; got != want {
		t.Errorf("switched on: %s, want %s", got, want)
	}
	if text, failed := answered(t, a, "weir__list_upstreams", `{}`); failed || !strings.Contains(text, `"name":"github","transport":"http","state":"ready"`) {
		t.Errorf("list_upstreams: %s", text)
	}
	if a.View().Snapshot().Partial() {
		t.Error("the snapshot is partial though all upstreams are there")
	}
	if o, err := a.Call(t.Context(), "others", []byte(`{}`)); err == nil && o.Code != "not_found" {
		t.Errorf("others is called by its name: %s", o.Result)
	}
	reload(false)
	if got := names(a); got != "find" {
		t.Errorf("switched off: %s", got)
	}
}
