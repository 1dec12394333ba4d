package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/translate"
	"weir/translate/openapi"
	"weir/upstream"
	"weir/upstream/upstreamtest"
)

// governed is a gateway with a policy over the same four tools three times: of an MCP server, of a REST API with tools, and of one that is searched.
type governed struct {
	gateway *server.Gateway
	mu      sync.Mutex
	reached []string       // operations of the REST API that were called
	events  []server.Event // of requests that are over
}

// Begin, Intent and End implement server.Observer.
func (g *governed) Begin(ctx context.Context, _ *server.Event) context.Context { return ctx }
func (g *governed) Intent(context.Context, *server.Event) error                { return nil }
func (g *governed) End(_ context.Context, e *server.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.events = append(g.events, *e)
}

func newGoverned(t *testing.T, spec policy.Spec) *governed {
	t.Helper()
	g := &governed{}
	operations := []string{"getThing", "listThings", "putThing", "deleteThing"}
	var tools []upstreamtest.Raw
	var paths []string
	for _, name := range operations {
		tools = append(tools, tool(name))
		paths = append(paths, fmt.Sprintf(`"/%s":{"post":{"operationId":%q,"parameters":[{"name":"size","in":"query","schema":{"type":"integer"}}],"responses":{"204":{"description":"d"}}}}`, name, name))
	}
	description := `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{` + strings.Join(paths, ",") + `}}`
	rest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openapi.json" {
			_, _ = fmt.Fprint(w, description)
			return
		}
		g.mu.Lock()
		g.reached = append(g.reached, strings.TrimPrefix(r.URL.Path, "/"))
		g.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(rest.Close)
	c := catalog.New()
	api := func(mode string) upstream.Spec {
		return upstream.Spec{OpenAPI: openapi.Spec{OpenAPI: rest.URL + "/openapi.json"}, API: translate.Spec{Mode: mode}}
	}
	set := upstream.New(upstream.Options{Catalog: c, Log: slog.New(slog.DiscardHandler), Namespace: upstream.Namespace{
		Order: []string{"mcp", "rest", "found"}, Specs: map[string]upstream.Spec{
			"mcp": {URL: upstreamtest.New(t, upstreamtest.Config{Tools: tools}).URL}, "rest": api("tools"), "found": api("dynamic"),
		},
	}})
	set.Start(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := set.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(spec, policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	engine.Swap(p)
	g.gateway = server.New(server.Options{Catalog: c, Policy: engine, Upstream: set, Log: slog.New(slog.DiscardHandler), Observer: g})
	t.Cleanup(func() {
		g.gateway.Close()
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := set.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *governed) ask(t *testing.T, who policy.Principal, era catalog.Era, method, params string) string {
	t.Helper()
	var m rawjson.Message
	if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)); err != nil {
		t.Fatal(err)
	}
	client := &catalog.Client{Era: era, Capabilities: []byte(`{}`)}
	if era == catalog.Modern {
		client.Version = "2026-07-28"
	}
	reply := g.gateway.Serve(t.Context(), &server.Request{Principal: who, Client: client, Message: &m, Notify: func(catalog.Notification) {}})
	defer reply.Release()
	return string(reply.AppendLine(nil))
}

// last is what the last request was about, how it ended and by which rule, without the upstream's name.
func (g *governed) last() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.events[len(g.events)-1]
	return e.Ref.Name + " " + e.Outcome + " " + e.Rule
}

func rules() policy.Spec {
	return policy.Spec{
		Roles:      map[string][]string{"reader": {"*/get*", "*/list*"}, "writer": {"reader", "*/putThing when small", "*/deleteThing"}},
		Grants:     map[string][]string{"group:readers": {"reader"}, "group:writers": {"writer"}},
		Conditions: map[string]string{"small": "args.size <= 10"},
		Deny:       []policy.Deny{{Match: "*/deleteThing", Reason: "things are kept", Instead: "rest/putThing"}, {Match: "*/listThings", For: []string{"group:writers"}}},
	}
}

func member(t *testing.T, group string) policy.Principal {
	t.Helper()
	p, err := policy.Verified(policy.Identity{Issuer: "https://id.example", Subject: "ana", Groups: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestOnePolicyLineGoverns calls every tool as everybody, in both eras: a REST tool is listed, called and refused exactly like that of an MCP
// server, and behind a search exactly like one that is listed.
func TestOnePolicyLineGoverns(t *testing.T) {
	t.Parallel()
	g := newGoverned(t, rules())
	names := []string{"getThing", "listThings", "putThing", "deleteThing", "noThing"}
	for _, group := range []string{"readers", "writers", "guests"} {
		for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
			who := member(t, group)
			list := g.ask(t, who, era, "tools/list", `{}`)
			for _, name := range names {
				where := fmt.Sprintf("%s, %s, %s", group, era, name)
				if mcp, rest := strings.Contains(list, `"mcp__`+name+`"`), strings.Contains(list, `"rest__`+name+`"`); mcp != rest {
					t.Errorf("%s: the MCP tool is listed: %v, the REST tool: %v", where, mcp, rest)
				}
				for _, arguments := range []string{`{"size":7}`, `{"size":70}`} {
					ended, sent := map[string]string{}, map[string]int{}
					for _, up := range []string{"mcp", "rest", "found"} {
						before := g.count()
						if up == "found" {
							g.ask(t, who, era, "tools/call", `{"name":"found__call_found","arguments":{"name":"`+name+`","arguments":`+arguments+`}}`)
						} else {
							g.ask(t, who, era, "tools/call", `{"name":"`+up+`__`+name+`","arguments":`+arguments+`}`)
						}
						ended[up], sent[up] = g.last(), g.count()-before
					}
					if ended["mcp"] != ended["rest"] || strings.HasSuffix(ended["mcp"], "ok") && sent["rest"] != 1 || !strings.Contains(ended["mcp"], " ok ") && sent["rest"] != 0 {
						t.Errorf("%s %s: MCP %q, REST %q with %d requests", where, arguments, ended["mcp"], ended["rest"], sent["rest"])
					}
					known := !strings.Contains(ended["rest"], "not_found")
					if known && ended["found"] != ended["rest"] || sent["found"] != sent["rest"] {
						t.Errorf("%s %s: REST %q with %d requests, behind the search %q with %d", where, arguments, ended["rest"], sent["rest"], ended["found"], sent["found"])
					}
				}
			}
		}
	}
}

func (g *governed) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.reached)
}

// TestSearchObeysPolicy: what a caller may not use is neither found nor described, and looks like what does not exist. Who may use nothing
// does not see the three tools.
func TestSearchObeysPolicy(t *testing.T) {
	t.Parallel()
	g := newGoverned(t, rules())
	for group, want := range map[string][]string{"readers": {"getThing", "listThings"}, "writers": {"getThing", "putThing"}, "guests": nil} {
		who := member(t, group)
		list := g.ask(t, who, catalog.Modern, "tools/list", `{}`)
		for _, name := range []string{"search_found", "describe_found", "call_found"} {
			if listed := strings.Contains(list, "found__"+name); listed != (want != nil) {
				t.Errorf("%s: %s is listed: %v", group, name, listed)
			}
		}
		hits := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"found__search_found","arguments":{"query":"get list put delete thing things"}}`)
		for _, name := range []string{"getThing", "listThings", "putThing", "deleteThing"} {
			if found := strings.Contains(hits, name); found != slices.Contains(want, name) {
				t.Errorf("%s: %s is found: %v\n%s", group, name, found, hits)
			}
			if want == nil {
				continue
			}
			about := func(tool, arguments, name string) string {
				return strings.ReplaceAll(g.ask(t, who, catalog.Legacy, "tools/call", fmt.Sprintf(`{"name":"found__%s","arguments":`+arguments+`}`, tool, name)), name, "NAME")
			}
			if slices.Contains(want, name) || name == "deleteThing" && group == "writers" { // a deny with a reason teaches
				continue
			}
			for tool, arguments := range map[string]string{"describe_found": `{"names":[%q]}`, "call_found": `{"name":%q,"arguments":{}}`} {
				hidden, unknown := about(tool, arguments, name), about(tool, arguments, strings.Replace(name, "Thing", "Thong", 1))
				if cut(hidden) != cut(unknown) {
					t.Errorf("%s, %s: what is hidden differs from what is not there\n%s", group, tool, cmp.Diff(unknown, hidden))
				}
			}
		}
	}
}

// cut leaves out what a name that is near suggests.
func cut(answer string) string {
	before, rest, ok := strings.Cut(answer, " Similar: ")
	if !ok {
		return answer
	}
	_, after, _ := strings.Cut(rest, ". ")
	return before + " " + after
}

// TestDenialTeachesBehindTheSearch: the words of a refusal are those of a direct call.
func TestDenialTeachesBehindTheSearch(t *testing.T) {
	t.Parallel()
	g := newGoverned(t, rules())
	who := member(t, "writers")
	direct := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"rest__deleteThing","arguments":{}}`)
	behind := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"found__call_found","arguments":{"name":"deleteThing","arguments":{}}}`)
	if diff := cmp.Diff(direct, strings.ReplaceAll(behind, "found/", "rest/")); diff != "" || !strings.Contains(direct, "things are kept") {
		t.Error(diff, direct)
	}
	if g.count() > 0 {
		t.Error("a refused call reached the API")
	}
}
