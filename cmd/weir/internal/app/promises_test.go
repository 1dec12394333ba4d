package app_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/policy"
	"weir/translate"
)

// visit is one client of one era at a gateway before one shop, whose upstream is called shop whatever its kind.
type visit struct {
	*testing.T
	*gate
	shop *shop
	era  catalog.Era
	who  policy.Principal
}

// everything lets the group staff do everything.
func everything() policy.Spec {
	return policy.Spec{Roles: map[string][]string{"everything": {"*"}}, Grants: map[string][]string{"group:staff": {"everything"}}}
}

// call calls a tool and returns the result, the text of it, and what reached the shop meanwhile.
func (v *visit) call(name, arguments string) (result object, text, sent string) {
	v.Helper()
	before := len(v.shop.reached())
	line := v.ask(v.T, v.who, v.era, "tools/call", `{"name":"shop__`+name+`","arguments":`+arguments+`}`)
	var reply struct {
		Result object
		Error  struct{ Message string }
	}
	if err := json.Unmarshal([]byte(line), &reply); err != nil {
		v.Fatal(err, line)
	}
	text = reply.Error.Message
	content, _ := reply.Result["content"].([]any)
	for _, c := range content {
		if block, ok := c.(object); ok {
			text += fmt.Sprintln(block["text"])
		}
	}
	return reply.Result, text, strings.Join(v.shop.reached()[before:], " + ")
}

// value is what an operation answered, without what stands around it in a kind of API.
func (v *visit) value(result object, operation string) object {
	at, _ := result["structuredContent"].(object)
	for _, step := range v.shop.where(operation) {
		at, _ = at[step].(object)
	}
	return at
}

// list is what the client sees: name without the prefix, and the tool.
func (v *visit) list() map[string]object {
	v.Helper()
	var reply struct {
		Result struct{ Tools []object }
	}
	if err := json.Unmarshal([]byte(v.ask(v.T, v.who, v.era, "tools/list", `{}`)), &reply); err != nil {
		v.Fatal(err)
	}
	tools := make(map[string]object)
	for _, tool := range reply.Result.Tools {
		name, _ := tool["name"].(string)
		tools[strings.TrimPrefix(name, "shop__")] = tool
	}
	return tools
}

func (v *visit) listed(want ...string) {
	v.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(v.list()))); diff != "" {
		v.Error(diff)
	}
}

// says compares what a call came to: what reached the shop, and a part of the text.
func (v *visit) says(name, arguments, sent, text string) object {
	v.Helper()
	result, said, reached := v.call(name, arguments)
	if reached != sent || !strings.Contains(said, text) {
		v.Errorf("%s %s: sent %q, want %q; answered %s, want %s", name, arguments, reached, sent, said, text)
	}
	return result
}

// promise is one thing that holds for every kind of API.
type promise struct {
	name        string
	more, tools func(*shop) object // of the configuration, may be nil
	prepare     func(*shop)        // may be nil
	holds       func(*visit)
}

// argument changes one of getPet.
func argument(name string, change object) func(*shop) object {
	return func(*shop) object { return object{"getPet": object{"args": object{name: change}}} }
}

// TestPromisesOfEveryKind runs one table over REST, gRPC and GraphQL, through the whole gateway, for clients of both eras.
func TestPromisesOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, p := range slices.Concat(curationPromises(), offerPromises(), callPromises()) {
		t.Run(p.name, func(t *testing.T) {
			for _, s := range shops(t) {
				t.Run(s.kind, func(t *testing.T) {
					if p.prepare != nil {
						p.prepare(s)
					}
					more, tools := object{}, object{}
					if p.more != nil {
						more = p.more(s)
					}
					if p.tools != nil {
						tools = p.tools(s)
					}
					g := newGate(t, object{"shop": s.config(more, tools)}, everything(), nil)
					for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
						p.holds(&visit{t, g, s, era, member(t, "staff")})
					}
				})
			}
		})
	}
}

// curationPromises are about what configuration changes.
func curationPromises() []promise {
	return []promise{
		{
			name: "include", more: func(*shop) object {
				return object{"include": []string{"*getPet", "*listPets", "*oldPet"}, "exclude": []string{"*old*"}}
			},
			holds: func(v *visit) { v.listed("getPet", "listPets"); v.says("oldPet", `{"id":1}`, "", "oldPet") },
		},
		{
			name: "what is deprecated can be left out", more: func(*shop) object { return object{"exclude": []string{"is:deprecated"}} },
			holds: func(v *visit) { v.listed("getPet", "listPets", "addPet", "slowPet") },
		},
		{
			name: "a pattern that matches nothing is said", more: func(*shop) object {
				return object{"include": []string{"*getPet", "*Nope"}, "exclude": []string{"*Nought"}}
			},
			holds: func(v *visit) {
				var said []string
				for _, w := range v.set.Status()[0].Report.Warnings {
					said = append(said, w.Message)
				}
				for _, want := range []string{`include: "*Nope" matches no operation that is kept`, `exclude: "*Nought" matches no operation`} {
					if !slices.Contains(said, want) {
						v.Errorf("%q lacks %q", said, want)
					}
				}
			},
		},
		{
			name: "rename and describe", tools: func(*shop) object { return object{"getPet": object{"name": "fetch", "description": "Fetches it."}} },
			holds: func(v *visit) {
				if got := fmt.Sprint(v.list()["fetch"]["description"]); !strings.HasPrefix(got, "Fetches it.") {
					v.Error(got)
				}
				v.says("fetch", `{"id":7}`, "getPet id=7", "Rex 7")
				v.says("getPet", `{"id":7}`, "", "getPet")
			},
		},
		{name: "fixed", tools: argument("lang", object{"fixed": "en"}), holds: func(v *visit) {
			v.says("getPet", `{"id":7}`, "getPet id=7 lang=en", "Rex 7")
			for _, smuggled := range []string{`"lang":"de"`, `"Lang":"de"`, `"lang":null`, `"lang":"en"`, `"shop.v1.Get.lang":"de"`} {
				v.says("getPet", `{"id":7,`+smuggled+`}`, "", "is not an argument")
			}
			v.says("getPet", `{"id":7,"id":8}`, "", "twice")
			if input := fmt.Sprint(v.list()["getPet"]["inputSchema"]); strings.Contains(input, "lang") {
				v.Error(input)
			}
		}},
		{name: "hide", tools: argument("lang", object{"hide": true, "default": "fr"}), holds: func(v *visit) {
			v.says("getPet", `{"id":7}`, "getPet id=7 lang=fr", "Rex 7")
			v.says("getPet", `{"id":7,"lang":"de"}`, "", "`lang` is not an argument")
		}},
		{name: "default", tools: argument("lang", object{"default": "fr"}), holds: func(v *visit) {
			v.says("getPet", `{"id":7}`, "getPet id=7 lang=fr", "Rex 7")
			v.says("getPet", `{"id":7,"lang":"de"}`, "getPet id=7 lang=de", "Rex 7")
		}},
		{name: "an argument renamed and described", tools: argument("id", object{"rename": "number", "description": "which one"}), holds: func(v *visit) {
			v.says("getPet", `{"number":7}`, "getPet id=7", "Rex 7")
			v.says("getPet", `{"id":7}`, "", "`id` is not an argument")
			if input := fmt.Sprint(v.list()["getPet"]["inputSchema"]); !strings.Contains(input, "which one") || strings.Contains(input, "number of the pet") {
				v.Error(input)
			}
		}},
		{name: "result fields", tools: func(*shop) object {
			return object{"getPet": object{"result": object{"fields": []string{"name", "owner.email"}}}, "listPets": object{"result": object{"path": "pets.1"}}}
		}, holds: func(v *visit) {
			want := object{"name": "Rex 7", "owner": object{"email": "ana@shop.example"}}
			if diff := cmp.Diff(want, v.value(v.says("getPet", `{"id":7}`, "getPet id=7", ""), "getPet")); diff != "" {
				v.Error(diff)
			}
			if got := v.value(v.says("listPets", `{"limit":3}`, "listPets limit=3", ""), "listPets"); got["name"] != "Rex 1" {
				v.Error(got)
			}
		}},
		{name: "hints", tools: func(*shop) object {
			return object{"getPet": object{"hints": object{"readOnly": false, "destructive": false}}, "addPet": object{"hints": object{"idempotent": true}}}
		}, holds: func(v *visit) {
			tools := v.list()
			want := map[string]object{
				"getPet":   {"readOnlyHint": false, "destructiveHint": false, "idempotentHint": true},
				"addPet":   {"readOnlyHint": false, "idempotentHint": true},
				"listPets": {"readOnlyHint": true},
			}
			for name, hints := range want {
				if diff := cmp.Diff(hints, tools[name]["annotations"]); diff != "" {
					v.Error(name, diff)
				}
			}
		}},
		{name: "deprecated", holds: func(v *visit) {
			tools := v.list()
			if old, other := fmt.Sprint(tools["oldPet"]["description"]), fmt.Sprint(tools["getPet"]["description"]); !strings.HasPrefix(old, "Deprecated. Finds a Pet.") || !strings.HasPrefix(other, "Finds a Pet.") {
				v.Error(old, other)
			}
		}},
	}
}

// offerPromises are about how operations are offered.
func offerPromises() []promise {
	mode := func(more object) func(*shop) object { return func(*shop) object { return more } }
	three := []string{"call_shop", "describe_shop", "search_shop"}
	return []promise{
		{name: "auto within the budget", more: mode(object{"mode": "auto"}), holds: func(v *visit) { v.listed(shopOperations()...) }},
		{name: "auto beyond the budget", more: mode(object{"mode": "auto", "budget": 50}), holds: func(v *visit) { v.listed(three...) }},
		{name: "pinned", more: mode(object{"mode": "dynamic", "pinned": []string{"addPet"}}), holds: func(v *visit) {
			v.listed(append(three, "addPet")...)
			v.says("addPet", `{"name":"Bo"}`, "addPet name=Bo", "Rex 7")
			v.says("getPet", `{"id":7}`, "", "getPet")
		}},
		{name: "explicit", more: func(s *shop) object {
			return object{"mode": "explicit", "tools": object{s.key("getPet"): object{"name": "get"}, s.key("addPet"): object{"name": "add"}}}
		}, holds: func(v *visit) { v.listed("get", "add"); v.says("listPets", `{}`, "", "listPets") }},
		{name: "a search finds, describes and calls", more: mode(object{"mode": "dynamic"}), holds: func(v *visit) {
			_, found, _ := v.call("search_shop", `{"query":"find a pet"}`)
			first, last := strings.Index(found, "getPet"), strings.Index(found, "oldPet")
			if first < 0 || last < first {
				v.Error("what is deprecated does not come after the rest", found)
			}
			_, about, _ := v.call("describe_shop", `{"names":["getPet"]}`)
			if !strings.Contains(about, "number of the pet") || !strings.Contains(about, "lang") {
				v.Error(about)
			}
			result := v.says("call_shop", `{"name":"getPet","arguments":{"id":7}}`, "getPet id=7", "Rex 7")
			if got := v.value(result, "getPet")["name"]; got != "Rex 7" {
				v.Error(got)
			}
			v.says("call_shop", `{"name":"getPet","arguments":{"id":"x"}}`, "", "`id`: expected integer")
			v.says("call_shop", `{"name":"noPet","arguments":{}}`, "", "noPet")
		}},
		{name: "a policy knows the operation, listed or not", more: mode(object{"mode": "dynamic"}), holds: func(v *visit) {
			v.call("call_shop", `{"name":"getPet","arguments":{"id":7}}`)
			behind := v.last()
			who := member(v.T, "nobody")
			v.ask(v.T, who, v.era, "tools/call", `{"name":"shop__call_shop","arguments":{"name":"getPet","arguments":{"id":7}}}`)
			if denied := v.last(); !strings.HasPrefix(behind, "getPet ok ") || !strings.Contains(denied, "denied") && !strings.Contains(denied, "not_found") {
				v.Error(behind, denied)
			}
			snapshot := v.catalog.Snapshot()
			if x := v.policy.Explain(snapshot, v.who, policy.Call, snapshot.Hidden("shop", "getPet"), nil); x.Ref.String() != "shop/getPet" || !x.Decision.Allowed || len(x.Matched) == 0 {
				v.Errorf("%+v", x)
			}
		}},
		{name: "what a check tells", tools: func(*shop) object { return object{"noPet": object{"name": "x"}} }, more: func(s *shop) object {
			tools, _ := s.config(nil, nil)["tools"].(object)
			tools["noPet"] = object{"name": "x"}
			return object{"tools": tools}
		}, holds: func(v *visit) {
			r := v.set.Status()[0].Report
			if r.Operations != 5 || r.Tools != 5 || r.Lost != 0 || r.Dynamic || r.Tokens == 0 || len(r.Costs) != 5 || r.Costs[0].Operation != v.shop.key(r.Costs[0].Tool) {
				v.Errorf("%+v", r)
			}
			if len(r.Warnings) != 1 || r.Warnings[0].Message != `tools: "noPet" names no operation of the description` || r.Outdated != "" {
				v.Errorf("%+v", r.Warnings)
			}
		}},
	}
}

// callPromises are about calls.
func callPromises() []promise {
	const canary = "c4n4ry-0f-0urs"
	secret := func(s *shop) object { return object{"credentials": object{s.scheme: object{"value": canary}}} }
	return []promise{
		{name: "arguments that do not fit", holds: func(v *visit) {
			for _, c := range []struct{ tool, arguments, want string }{
				{"getPet", `{}`, "The call was not sent; its arguments do not fit getPet.\n- `id` is missing (integer: number of the pet; for example 1)"},
				{"getPet", `{"id":"seven"}`, "- `id`: expected integer, got text \"seven\""},
				{"getPet", `{"id":7,"lng":"en"}`, "- `lng` is not an argument; did you mean `lang`?"},
				{"getPet", `{"id":7,"colour":"red"}`, "- `colour` is not an argument"},
				{"listPets", `{"kind":"BIRD"}`, "- `kind`: text \"BIRD\" is not one of CAT, DOG"},
				{"listPets", `{"kind":"cat"}`, "CAT"},
				{"addPet", `{"tag":"dog"}`, "- `name` is missing (string"},
			} {
				v.says(c.tool, c.arguments, "", c.want)
			}
			v.says("getPet", `{"id":"7"}`, "getPet id=7", "Rex 7") // what can be meant in one way only is taken so
		}},
		{
			name: "an answer that is too long is cut", tools: func(*shop) object { return object{"getPet": object{"result": object{"maxBytes": 40}}} },
			holds: func(v *visit) {
				result := v.says("listPets", `{"limit":2000}`, "listPets limit=2000", "shows the first")
				if pets, _ := v.value(result, "listPets")["pets"].([]any); len(pets) < 100 || len(pets) >= 2000 {
					v.Errorf("%d pets", len(pets))
				}
				if _, text, _ := v.call("listPets", `{"limit":2000}`); len(text) > 66<<10 {
					v.Errorf("%d bytes of text", len(text))
				}
				_, text, _ := v.call("getPet", `{"id":7}`)
				if first, _, _ := strings.Cut(text, "\n"); len(first) > 40 {
					v.Error(text)
				}
			},
		},
		{name: "an answer beyond the bound of the upstream", more: func(*shop) object { return object{"maxMessage": 2000} }, holds: func(v *visit) {
			v.says("listPets", `{"limit":200}`, "listPets limit=200", "The API answered, but the answer cannot be used: it is longer than 2.0 KiB. Ask for less")
		}},
		{name: "time", tools: func(*shop) object { return object{"slowPet": object{"timeout": "50ms"}} }, holds: func(v *visit) {
			began := time.Now()
			v.says("slowPet", `{}`, "slowPet", "The API did not answer within 50ms. It only reads, so it may be tried again.")
			if took := time.Since(began); took > within/2 {
				v.Error(took)
			}
		}},
		{name: "a refusal by the API", prepare: func(s *shop) { s.complain = func() string { return "pets are asleep " } }, holds: func(v *visit) {
			result := v.says("getPet", `{"id":7}`, "getPet id=7", "pets are asleep")
			if result["isError"] != true {
				v.Error(result)
			}
		}},
		{name: "credentials", more: secret, prepare: func(s *shop) { s.complain = func() string { return "refused: " } }, holds: func(v *visit) {
			answer := v.ask(v.T, v.who, v.era, "tools/call", `{"name":"shop__getPet","arguments":{"id":7}}`)
			came := v.shop.header("Authorization")
			if last := came[len(came)-1]; last != "Bearer "+canary {
				v.Errorf("the API got %q", last)
			}
			states, err := json.Marshal(v.set.Status())
			for what, text := range map[string]string{"the answer": answer, "a list": v.ask(v.T, v.who, v.era, "tools/list", `{}`), "a state": string(states)} {
				if err != nil || strings.Contains(text, canary) {
					v.Errorf("%s has the credential: %s", what, text)
				}
			}
			if !strings.Contains(answer, "refused: ") {
				v.Error(answer)
			}
		}},
		{name: "the record of a call", holds: func(v *visit) {
			v.call("getPet", `{"id":7}`)
			v.mu.Lock()
			e := v.events[len(v.events)-1]
			v.mu.Unlock()
			if e.Ref != (catalog.Ref{Upstream: "shop", Name: "getPet"}) || e.Outcome != "ok" || e.Rule == "" || e.Era() != v.era || e.Upstream <= 0 || e.Duration < e.Upstream {
				v.Errorf("%+v", e)
			}
			v.ask(v.T, member(v.T, "nobody"), v.era, "tools/call", `{"name":"shop__getPet","arguments":{"id":7}}`)
			if got := v.last(); got != "getPet not_found default deny" { // who may use nothing is told of nothing, and the operator of everything
				v.Error(got)
			}
		}},
	}
}

// TestCacheOfEveryKind: what was kept of a description gives the same lists, reports and calls as the description, without translating it.
func TestCacheOfEveryKind(t *testing.T) {
	t.Parallel()
	for _, s := range shops(t) {
		for _, mode := range []string{"tools", "dynamic"} {
			cache := &syncMap{}
			shows := func() (list, report, called string) {
				g := newGate(t, object{"shop": s.config(object{"mode": mode}, nil)}, everything(), cache)
				v := &visit{t, g, s, catalog.Modern, member(t, "staff")}
				name, arguments := "getPet", `{"id":7}`
				if mode == "dynamic" {
					name, arguments = "call_shop", `{"name":"getPet","arguments":{"id":7}}`
				}
				_, text, sent := v.call(name, arguments)
				return v.ask(t, v.who, v.era, "tools/list", `{}`), fmt.Sprintf("%+v", *g.set.Status()[0].Report), sent + " " + text
			}
			list, report, called := shows()
			kept := 0
			cache.Range(func(any, any) bool { kept++; return true })
			warmList, warmReport, warmCalled := shows()
			if kept != 1 {
				t.Errorf("%s: %d things are kept", s.kind, kept)
			}
			if diff := cmp.Diff([]string{list, report, called}, []string{warmList, warmReport, warmCalled}); diff != "" {
				t.Error(s.kind, mode, diff)
			}
		}
	}
}

// TestDescriptionOfEveryKindChanges: each real change is told once, and a description that cannot be used leaves the tools in place with the reason.
func TestDescriptionOfEveryKindChanges(t *testing.T) {
	t.Parallel()
	for _, s := range shops(t) {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, object{"shop": s.config(nil, nil)}, everything(), nil)
			var told atomic.Int32
			stop := g.gateway.Listen(member(t, "staff"), func(k catalog.Kind) {
				if k == catalog.Tool {
					told.Add(1)
				}
			})
			defer stop()
			v := &visit{t, g, s, catalog.Modern, member(t, "staff")}
			fewer := []string{"getPet", "listPets", "addPet"}
			s.write(t, fewer)
			until(t, "the change is told", func() bool { return told.Load() == 1 })
			v.listed(fewer...)
			for what, text := range map[string]string{"broken": broken, "nearly empty": s.text([]string{"getPet"})} {
				s.put(t, text)
				until(t, "the reason is there: "+what, func() bool {
					p := g.set.Status()[0].Problems
					return len(p) == 1 && strings.HasPrefix(p[0].Reason, "shop: the new description is not used, the last one stays: ")
				})
				v.listed(fewer...)
				v.says("listPets", `{"limit":1}`, "listPets limit=1", "Rex 0")
				s.write(t, fewer)
				until(t, "the reason is gone", func() bool { return len(g.set.Status()[0].Problems) == 0 })
			}
			s.write(t, shopOperations())
			until(t, "the second change is told", func() bool { return told.Load() >= 2 })
			v.listed(shopOperations()...)
			if n := told.Load(); n != 2 {
				t.Errorf("2 changes were told %d times", n)
			}
		})
	}
}

var _ translate.Cache = (*syncMap)(nil)
