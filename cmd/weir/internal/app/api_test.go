package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
	"weir/translate"
	"weir/upstream"
	"weir/upstream/upstreamtest"
)

// gate is a gateway with a policy over some upstreams.
type gate struct {
	gateway *server.Gateway
	set     *upstream.Set
	catalog *catalog.Catalog
	policy  *policy.Policy
	mu      sync.Mutex
	events  []server.Event // of requests that are over, the last ones
}

// Begin, Intent and End implement server.Observer.
func (g *gate) Begin(ctx context.Context, _ *server.Event) context.Context { return ctx }
func (g *gate) Intent(context.Context, *server.Event) error                { return nil }
func (g *gate) End(_ context.Context, e *server.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.events) == 16 {
		g.events = g.events[:0]
	}
	g.events = append(g.events, *e)
}

// newGate starts a gateway that ends with the test; cache may be nil.
func newGate(t *testing.T, servers object, spec policy.Spec, cache translate.Cache) *gate {
	t.Helper()
	place := newPlace(t, object{"mcpServers": servers})
	file, err := config.Read(place.path, place.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	space := upstream.Namespace{Specs: map[string]upstream.Spec{}}
	for _, u := range file.MCPServers {
		space.Order = append(space.Order, u.Name)
		space.Specs[u.Name] = u.Spec
	}
	g := &gate{catalog: catalog.New()}
	g.set = upstream.New(upstream.Options{Catalog: g.catalog, Log: slog.New(slog.DiscardHandler), Namespace: space, Cache: cache})
	g.set.Start(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := g.set.Settled(ctx); err != nil {
		t.Fatal(err)
	}
	if g.policy, err = policy.Compile(spec, policy.Options{}); err != nil {
		t.Fatal(err)
	}
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	engine.Swap(g.policy)
	g.gateway = server.New(server.Options{Catalog: g.catalog, Policy: engine, Upstream: g.set, Log: slog.New(slog.DiscardHandler), Observer: g})
	t.Cleanup(func() {
		g.gateway.Close()
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		if err := g.set.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

// governed is a gateway over the same four tools of an MCP server and, twice, of an API of each kind: listed as tools, and searched.
type governed struct {
	*gate
	kinds []*kind
}

func newGoverned(t *testing.T, spec policy.Spec) *governed {
	t.Helper()
	operations := []string{"getThing", "listThings", "putThing", "deleteThing"}
	g := &governed{kinds: kinds(t, "", operations...)}
	var tools []upstreamtest.Raw
	for _, name := range operations {
		tools = append(tools, tool(name))
	}
	servers := object{"mcp": object{"url": upstreamtest.New(t, upstreamtest.Config{Tools: tools}).URL}}
	for _, k := range g.kinds {
		servers[k.name] = k.with(object{"mode": "tools", "tools": k.tools(operations...)})
		servers[k.name+"found"] = k.with(object{"mode": "dynamic", "tools": k.tools(operations...)})
	}
	g.gate = newGate(t, servers, spec, nil)
	return g
}

func (g *gate) ask(t *testing.T, who policy.Principal, era catalog.Era, method, params string) string {
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
func (g *gate) last() string {
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

// TestOnePolicyLineGoverns calls every tool as everybody, in both eras: a tool of an API is listed, called and refused exactly like that of an MCP
// server, and behind a search exactly like one that is listed. What is refused reaches no server.
func TestOnePolicyLineGoverns(t *testing.T) {
	t.Parallel()
	g := newGoverned(t, rules())
	names := []string{"getThing", "listThings", "putThing", "deleteThing", "noThing"}
	for _, group := range []string{"readers", "writers", "guests"} {
		for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
			who := member(t, group)
			list := g.ask(t, who, era, "tools/list", `{}`)
			for _, name := range names {
				for _, size := range []string{"7", "70"} {
					g.ask(t, who, era, "tools/call", `{"name":"mcp__`+name+`","arguments":{"size":`+size+`}}`)
					want := g.last()
					for _, k := range g.kinds {
						where := fmt.Sprintf("%s, %s, %s %s %s", group, era, k.name, name, size)
						if mcp, api := strings.Contains(list, `"mcp__`+name+`"`), strings.Contains(list, `"`+k.name+`__`+name+`"`); mcp != api {
							t.Errorf("%s: the MCP tool is listed: %v, that of the API: %v", where, mcp, api)
						}
						sent := 0
						if strings.Contains(want, " ok ") {
							sent = 1
						}
						before := len(k.reached())
						g.ask(t, who, era, "tools/call", `{"name":"`+k.name+`__`+name+`","arguments":{"size":`+size+`}}`)
						if got, n := g.last(), len(k.reached())-before; got != want || n != sent {
							t.Errorf("%s: MCP %q, the API %q with %d requests", where, want, got, n)
						}
						before = len(k.reached())
						g.ask(t, who, era, "tools/call", `{"name":"`+k.name+`found__call_`+k.name+`found","arguments":{"name":"`+name+`","arguments":{"size":`+size+`}}}`)
						// What is not there is not found by the gateway in one case, and by the search in the other.
						if got, n := g.last(), len(k.reached())-before; got != want && !strings.Contains(want, "not_found") || n != sent {
							t.Errorf("%s: MCP %q, behind the search %q with %d requests", where, want, got, n)
						}
					}
				}
			}
		}
	}
}

// TestSearchObeysPolicy: what a caller may not use is neither found nor described, and looks like what does not exist. Who may use nothing
// does not see the three tools.
func TestSearchObeysPolicy(t *testing.T) {
	t.Parallel()
	g := newGoverned(t, rules())
	for _, k := range g.kinds {
		for group, want := range map[string][]string{"readers": {"getThing", "listThings"}, "writers": {"getThing", "putThing"}, "guests": nil} {
			g.searches(t, k.name+"found", group, want)
		}
	}
}

// searches looks for everything behind the three tools of an upstream; want is what the group may use.
func (g *governed) searches(t *testing.T, up, group string, want []string) {
	t.Helper()
	who := member(t, group)
	list := g.ask(t, who, catalog.Modern, "tools/list", `{}`)
	for _, name := range []string{"search_", "describe_", "call_"} {
		if listed := strings.Contains(list, up+"__"+name+up); listed != (want != nil) {
			t.Errorf("%s, %s: %s is listed: %v", up, group, name, listed)
		}
	}
	hits := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"`+up+`__search_`+up+`","arguments":{"query":"get list put delete thing things"}}`)
	for _, name := range []string{"getThing", "listThings", "putThing", "deleteThing"} {
		if found := strings.Contains(hits, name); found != slices.Contains(want, name) {
			t.Errorf("%s, %s: %s is found: %v\n%s", up, group, name, found, hits)
		}
		if want == nil || slices.Contains(want, name) || name == "deleteThing" && group == "writers" { // a deny with a reason teaches
			continue
		}
		about := func(tool, arguments, name string) string {
			return strings.ReplaceAll(g.ask(t, who, catalog.Legacy, "tools/call", fmt.Sprintf(`{"name":"%s__%s%s","arguments":`+arguments+`}`, up, tool, up, name)), name, "NAME")
		}
		for tool, arguments := range map[string]string{"describe_": `{"names":[%q]}`, "call_": `{"name":%q,"arguments":{}}`} {
			hidden, unknown := about(tool, arguments, name), about(tool, arguments, strings.Replace(name, "Thing", "Thong", 1))
			if cut(hidden) != cut(unknown) {
				t.Errorf("%s, %s, %s: what is hidden differs from what is not there\n%s", up, group, tool, cmp.Diff(unknown, hidden))
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
	for _, k := range g.kinds {
		direct := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"`+k.name+`__deleteThing","arguments":{}}`)
		behind := g.ask(t, who, catalog.Modern, "tools/call", `{"name":"`+k.name+`found__call_`+k.name+`found","arguments":{"name":"deleteThing","arguments":{}}}`)
		if diff := cmp.Diff(direct, strings.ReplaceAll(behind, k.name+"found/", k.name+"/")); diff != "" || !strings.Contains(direct, "things are kept") {
			t.Error(diff, direct)
		}
		if len(k.reached()) > 0 {
			t.Errorf("a refused call reached the %s API", k.name)
		}
	}
}
