package admin_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/server/record/requestlog"
)

const allTools = "weir__analytics_fields weir__describe weir__explain_access weir__find weir__list_tools weir__list_upstreams weir__query_analytics weir__query_requests weir__topology"

// TestS9_PolicyDecidesAboutOwnTools: they are listed for whom the policy allows them, by one name whatever the naming, and leave a record like any other.
func TestS9_PolicyDecidesAboutOwnTools(t *testing.T) {
	s := newStage(t, map[string][]string{
		"user:admin": {"weir/*"}, "user:ana": {"weir/find", "github/create_issue"}, "user:bob": {"github/*"},
	})
	for user, want := range map[string]string{
		"admin": allTools, "ana": "create_issue weir__find", "bob": "create_issue list_issues", "eve": "",
	} {
		if got := names(s.ask(user, "tools/list", `{}`)); got != want {
			t.Errorf("%s is listed %q, want %q", user, got, want)
		}
	}
	if got := s.call("bob", "weir__find", `{"query":"x"}`); got != `error: unknown tool "weir__find"` {
		t.Errorf("bob: %s", got)
	}
	s.records = nil
	s.call("ana", "weir__find", `{"query":"issue"}`)
	s.call("ana", "weir__topology", `{}`)
	var got []string
	for _, r := range s.records {
		got = append(got, r.Principal.String()+" "+r.Ref.String()+" "+r.Outcome+" "+r.Rule)
	}
	if diff := cmp.Diff([]string{"user:ana weir/find ok grants.user:ana[0]", "user:ana weir/topology not_found default deny"}, got); diff != "" {
		t.Error("(-want +got):", diff)
	}
	if got := newStage(t, nil).call("", "weir__list_upstreams", `{}`); !strings.Contains(got, `"reason":"mail: exited`) {
		t.Errorf("without a policy the local user is not told: %s", got)
	}
}

// TestOnlyTheCallersOwn: each tool tells somebody without weir/others what is theirs alone.
func TestOnlyTheCallersOwn(t *testing.T) {
	s := newStage(t, map[string][]string{
		"user:admin": {"weir/*", "github/*", "mail/*"},
		"user:ana":   {"weir/list_*", "weir/topology", "weir/find", "weir/describe", "weir/explain_access", "weir/query_*", "github/create_issue"},
	})
	s.call("admin", "list_issues", `{}`)
	s.call("ana", "create_issue", `{"title":"x"}`)
	s.call("ana", "send_mail", `{}`)
	s.logged(3)
	const secret, unknown = "list_issues", `error: unknown tool "github/list_issues"`
	for _, tt := range []struct{ tool, arguments, has, lacks string }{
		{"list_upstreams", `{}`, `"github"`, "mail"},
		{"list_upstreams", `{}`, `"tools":1`, "modern"},
		{"topology", `{}`, `"upstreams":["github","weir"]`, "mail"},
		{"list_tools", `{}`, "create_issue", secret},
		{"list_tools", `{"upstream":"mail"}`, "error: unknown upstream mail", "send_mail"},
		{"find", `{"query":"lists issues of a repository"}`, "create_issue", secret},
		{"describe", `{"tool":"create_issue"}`, `"required":["title"]`, secret},
		{"describe", `{"tool":"github/list_issues"}`, unknown, "repository"},
		{"describe", `{"tool":"github/nothing"}`, `error: unknown tool "github/nothing"`, "{"},
		{"describe", `{"tool":"weir/others"}`, `error: unknown tool "weir/others"`, "{"},
		{"explain_access", `{"tool":"create_issue"}`, `"allowed":true`, "explanation"},
		{"explain_access", `{"tool":"github/list_issues"}`, unknown, "rule"},
		{"explain_access", `{"tool":"create_issue","who":["user:admin"]}`, "error: who: you may ask about yourself only", "allowed"},
		{"query_requests", `{}`, `"of":"user:ana"`, secret},
		{"query_requests", `{}`, `unknown tool \"send_mail\"`, `"upstream":"mail"`}, // what she was told, and not what the record knows
		{"query_requests", `{}`, `"outcome":"not_found"`, "default deny"},
		{"query_requests", `{}`, `"outcome":"not_found"`, "not executed"},
		{"query_requests", `{}`, `"outcome":"not_found"`, `"name":"send_mail"`},
		{"query_requests", `{"upstream":"mail"}`, `"requests":[]`, "send_mail"},
		{"query_requests", `{"tool":"mail/send_mail"}`, `"requests":[]`, "unknown"},
		{"query_analytics", `{"by":["upstream"]}`, `{"upstream":"github"}`, "mail"},
		{"query_analytics", `{"by":["rule"]}`, `grants`, "default deny"},
		{"query_analytics", `{"upstream":"mail"}`, `"requests":0`, `"requests":1`},
		{"query_analytics", `{"by":["outcome"]}`, `{"outcome":"not_found"},"requests":1`, "mail"},
		{"query_requests", `{"who":"user:admin"}`, "error: who: you may ask about yourself only", secret},
		{"query_analytics", `{"by":["name"]}`, `{"name":"create_issue"}`, secret},
		{"query_analytics", `{"by":["who"]}`, `user:ana`, "user:admin"},
		{"query_analytics", `{"who":"user:admin"}`, "error: who: you may ask about yourself only", "requests"},
	} {
		if got := s.call("ana", "weir__"+tt.tool, tt.arguments); !strings.Contains(got, tt.has) || strings.Contains(got, tt.lacks) {
			t.Errorf("%s %s: want %s, not %s, got\n%s", tt.tool, tt.arguments, tt.has, tt.lacks, got)
		}
	}
	for _, tt := range []struct{ tool, arguments, has string }{
		{"list_upstreams", `{"state":"failed"}`, `"reason":"mail: exited with status 1"`},
		{"topology", `{}`, `"upstreams":["github","mail","weir"]`},
		{"explain_access", `{"tool":"github/list_issues","who":["user:ana"]}`, `user:ana may not call github/list_issues`},
		{"explain_access", `{"tool":"gone/tool"}`, `"allowed":false`},
		{"query_requests", `{"who":"user:ana"}`, `"name":"create_issue"`},
		{"query_analytics", `{"by":["who","outcome"]}`, `user:ana`},
	} {
		if got := s.call("admin", "weir__"+tt.tool, tt.arguments); !strings.Contains(got, tt.has) {
			t.Errorf("admin: %s %s: want %s, got\n%s", tt.tool, tt.arguments, tt.has, got)
		}
	}
}

// TestBadArguments: arguments that the schema does not have, that stand twice or in other case are refused with words, never ignored.
func TestBadArguments(t *testing.T) {
	s := newStage(t, nil)
	for _, tt := range []struct{ tool, arguments, want string }{
		{"find", `{}`, "query"},
		{"find", `{"query":""}`, "query"},
		{"find", `{"query":"x","limit":"many"}`, "limit"},
		{"find", `{"query":"x","Upstream":"github"}`, "Upstream"},
		{"query_analytics", `{"by":["upstream","name","who"]}`, "by"},
		{"query_analytics", `{"by":["secret"]}`, "by"},
		{"query_analytics", `{"since":"yesterday"}`, `want a span such as 90m, 24h or 7d`},
		{"query_requests", `{"limit":101}`, "limit"},
		{"explain_access", `{"tool":"create_issue","action":"list"}`, "action"},
		{"explain_access", `{"tool":"create_issue","who":["ana"]}`, "who"},
	} {
		if got := s.call("", "weir__"+tt.tool, tt.arguments); !strings.HasPrefix(got, "error: ") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %s", tt.tool, tt.arguments, got)
		}
	}
}

// TestMostErrors: "which services had the most errors in the last 24 hours?" takes at most three calls: find, the call it suggests, and the requests behind.
func TestMostErrors(t *testing.T) {
	s := newStage(t, nil)
	now := time.Now()
	put := func(n int, upstream, outcome string, at time.Time) {
		for i := range n {
			s.requests.Put(requestlog.Row{ID: idOf(at, upstream, outcome, i), At: at, Who: "user:local", Method: "tools/call", Upstream: upstream, Name: "x", Outcome: outcome, Reason: "no"})
		}
	}
	put(9, "github", "ok", now.Add(-time.Hour))
	put(2, "github", "tool_error", now.Add(-time.Hour))
	put(3, "mail", "unavailable", now.Add(-23*time.Hour))
	put(50, "github", "tool_error", now.Add(-25*time.Hour))
	s.logged(64)
	found := s.call("", "weir__find", `{"query":"which services had the most errors in the last 24 hours?","upstream":"weir"}`)
	var hits struct {
		Hits []struct {
			Name      string
			Arguments json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(found), &hits); err != nil || len(hits.Hits) == 0 {
		t.Fatalf("%v: %s", err, found)
	}
	got := s.call("", hits.Hits[0].Name, string(hits.Hits[0].Arguments))
	if m, g := strings.Index(got, `{"upstream":"mail"},"requests":3,"failed":3`), strings.Index(got, `{"upstream":"github"},"requests":11,"failed":2`); m < 0 || g < m {
		t.Errorf("%s %s:\n%s", hits.Hits[0].Name, hits.Hits[0].Arguments, got)
	}
	if got := s.call("", "weir__query_requests", `{"upstream":"mail","failed":true}`); strings.Count(got, `"reason":"no"`) != 3 {
		t.Errorf("the requests behind: %s", got)
	}
}

// TestAnswersAreCapped: what is left out is said, and a cursor leads on.
func TestAnswersAreCapped(t *testing.T) {
	big := &catalog.Source{Upstream: "big", Capabilities: []byte(`{"tools":{}}`)}
	for i := range 250 {
		big.Tools = append(big.Tools, fmt.Appendf(nil, `{"name":"thing_%03d","description":"a thing","inputSchema":{"type":"object"}}`, i))
	}
	big.Tools = append(big.Tools, []byte(`{"name":"wide","inputSchema":{"type":"object","properties":{"first":{"description":"`+strings.Repeat("x", 40<<10)+`"}}}}`))
	s := newStage(t, nil, big)
	for i := range 130 {
		s.requests.Put(requestlog.Row{ID: idOf(time.Now(), i), At: time.Now(), Who: "user:local", Method: "tools/call", Upstream: "big", Name: fmt.Sprint("thing_", i), Outcome: "ok", Reason: strings.Repeat("y", 9000)})
	}
	s.logged(130)
	seen, cursor := 0, ""
	for range 9 {
		var page struct {
			Entries []struct{ Name string }
			Next    string
		}
		raw := s.call("", "weir__list_tools", `{"upstream":"big","cursor":`+quoted(cursor)+`}`)
		if err := json.Unmarshal([]byte(raw), &page); err != nil || len(page.Entries) > 100 {
			t.Fatalf("%v: %.200s", err, raw)
		}
		if seen += len(page.Entries); page.Next == "" {
			break
		}
		cursor = page.Next
	}
	if seen != 251 {
		t.Errorf("the pages have %d tools, not 251", seen)
	}
	for _, tt := range []struct{ tool, arguments, want string }{
		{"find", `{"query":"a thing","upstream":"big","limit":20}`, "there are further matches"},
		{"describe", `{"tool":"big/wide"}`, `"arguments":["first"],"cut":"the definition has`},
		{"query_analytics", `{"by":["name"],"limit":7}`, "only the first 7 lines are here"},
		{"query_requests", `{"limit":100}`, "there are older ones"},
	} {
		if got := s.call("", "weir__"+tt.tool, tt.arguments); !strings.Contains(got, tt.want) || len(got) > 100<<10 {
			t.Errorf("%s: %d bytes: %.300s", tt.tool, len(got), got)
		}
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s) //nolint:errchkjson // a string
	return string(b)
}

// idOf is an id as the recorder makes them: it begins with its time, so that ids are in the order of time.
func idOf(at time.Time, rest ...any) string {
	return fmt.Sprintf("%010s-%s", strconv.FormatInt(at.UnixMicro(), 36), fmt.Sprint(rest...))
}
