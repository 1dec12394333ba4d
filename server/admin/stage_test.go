package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/server/admin"
	"weir/server/record"
	"weir/server/record/requestlog"
)

// stage is a gateway with its own tools, two upstreams that are a func, and a request log.
type stage struct {
	t        *testing.T
	catalog  *catalog.Catalog
	engine   *policy.Engine
	gateway  *server.Gateway
	flush    func() // tells of what is over
	requests *requestlog.Log
	records  []record.Record
}

const (
	issueTool = `{"name":"create_issue","title":"Create issue","description":"Opens a new issue in a repository. Needs write access.","inputSchema":{"type":"object","properties":{"title":{"type":"string"},"body":{"type":"string"}},"required":["title"]}}`
	listTool  = `{"name":"list_issues","description":"Lists issues of a repository","inputSchema":{"type":"object"}}`
	mailTool  = `{"name":"send_mail","description":"Sends a message","inputSchema":{"type":"object"}}`
)

// rank counts the words of the question that a document has.
func rank(documents []admin.Document) admin.Search {
	return func(question string, limit int, keep func(int) bool) (found []int) {
		shares := make(map[int]int)
		for i, d := range documents {
			text := strings.ToLower(strings.NewReplacer("_", " ").Replace(d.Name + " " + d.Path + " " + d.Summary + " " + d.Text))
			for word := range strings.FieldsSeq(strings.ToLower(question)) {
				if slices.Contains(strings.Fields(text), word) {
					shares[i]++
				}
			}
			if shares[i] > 0 && keep(i) {
				found = append(found, i)
			}
		}
		slices.SortStableFunc(found, func(x, y int) int { return shares[y] - shares[x] })
		return found[:min(limit, len(found))]
	}
}

func newStage(t *testing.T, grants map[string][]string, sources ...*catalog.Source) *stage {
	t.Helper()
	s := &stage{t: t, catalog: catalog.New()}
	var err error
	if s.engine, err = policy.New(); err != nil {
		t.Fatal(err)
	}
	if grants != nil {
		p, err := policy.Compile(policy.Spec{Grants: grants}, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.engine.Swap(p)
	}
	if s.requests, err = requestlog.Open(t.Context(), requestlog.Spec{Database: filepath.Join(t.TempDir(), "requests.db")}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.requests.Close() })
	own, err := admin.New(admin.Options{
		Version: "1", Policy: s.engine.Policy, Rank: rank, Requests: s.requests,
		Upstreams: func() []admin.Upstream {
			return []admin.Upstream{
				{Name: "github", Transport: "http", State: "ready", Since: time.Unix(1e9, 0), Era: "modern", Calls: 7, Problems: []string{"one"}},
				{Name: "mail", Transport: "stdio", State: "failed", Reason: "mail: exited with status 1", Hint: "weir check", NextTry: time.Unix(2e9, 0)},
			}
		},
		Endpoints: func() []admin.Endpoint { return []admin.Endpoint{{Path: "/mcp", Snapshot: s.catalog.Snapshot()}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	sources = append([]*catalog.Source{
		{Upstream: "github", Capabilities: []byte(`{"tools":{}}`), Tools: [][]byte{[]byte(issueTool), []byte(listTool)}},
		{Upstream: "mail", Capabilities: []byte(`{"tools":{}}`), Tools: [][]byte{[]byte(mailTool)}, Stale: true},
		own.Source(),
	}, sources...)
	s.catalog.Publish(catalog.Build(sources, catalog.Options{Naming: catalog.Bare, Rules: map[string]catalog.Rules{"weir": own.Rules()}}))
	s.serve(own)
	return s
}

func (s *stage) serve(own server.Own) {
	r, err := record.New(record.Options{Log: slog.New(slog.DiscardHandler), Done: func(r *record.Record) {
		s.records = append(s.records, *r)
		s.requests.Put(r.Row())
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	up := upstreamFunc(func(_ context.Context, c *catalog.Call) (*catalog.Answer, error) {
		if c.Entry.Ref.Upstream == "mail" {
			return nil, &catalog.Error{Code: catalog.Unavailable, Msg: "mail: is down", Execution: catalog.NotExecuted}
		}
		m := new(rawjson.Message)
		if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`)); err != nil {
			return nil, err
		}
		return catalog.NewAnswer(m, catalog.Modern, nil), nil
	})
	s.flush = r.Flush
	s.gateway = server.New(server.Options{
		Catalog: s.catalog, Policy: s.engine, Upstream: r.Upstream(up), Observer: r, Own: own, Log: slog.New(slog.DiscardHandler),
	})
	s.t.Cleanup(s.gateway.Close)
}

type upstreamFunc func(context.Context, *catalog.Call) (*catalog.Answer, error)

func (f upstreamFunc) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	return f(ctx, c)
}

// as returns a verified user, the local one for "".
func (s *stage) as(user string) policy.Principal {
	s.t.Helper()
	if user == "" {
		return policy.LocalUser()
	}
	p, err := policy.Verified(policy.Identity{Subject: user})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// ask sends a request and returns the reply.
func (s *stage) ask(user, method, params string) string {
	s.t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)); err != nil {
		s.t.Fatal(err)
	}
	reply := s.gateway.Serve(s.t.Context(), &server.Request{
		Principal: s.as(user), Client: &catalog.Client{Era: catalog.Modern, Version: "2026-07-28", Capabilities: []byte(`{}`)}, Message: m,
	})
	defer reply.Release()
	s.flush()
	return string(reply.Append(nil))
}

// call calls a tool and returns its text, with "error: " before that of a failure.
func (s *stage) call(user, tool, arguments string) string {
	s.t.Helper()
	reply := s.ask(user, "tools/call", `{"name":"`+tool+`","arguments":`+arguments+`}`)
	var got struct {
		Result struct {
			Content []struct{ Text string }
			IsError bool
		}
		Error *struct{ Message string }
	}
	if err := json.Unmarshal([]byte(reply), &got); err != nil {
		s.t.Fatalf("%v: %s", err, reply)
	}
	switch {
	case got.Error != nil:
		return "error: " + got.Error.Message
	case len(got.Result.Content) == 0:
		return ""
	case got.Result.IsError:
		return "error: " + got.Result.Content[0].Text
	}
	return got.Result.Content[0].Text
}

// logged waits until the request log has n requests.
func (s *stage) logged(n int) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		rows, _, err := s.requests.List(s.t.Context(), requestlog.Filter{}, "", requestlog.MaxRows)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(rows) >= n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d requests are in the log", len(rows), n)
		}
		time.Sleep(5 * time.Millisecond) // polls
	}
}

func names(reply string) string {
	var got struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(reply), &got); err != nil {
		return reply
	}
	var all []string
	for _, t := range got.Result.Tools {
		all = append(all, t.Name)
	}
	return fmt.Sprint(strings.Join(all, " "))
}
