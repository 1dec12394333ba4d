package server

import (
	"math/rand/v2"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// randomPolicy is a policy over the entries of ruled: roles that hold each other, tenants, denials with and without reasons, globs, conditions. What
// allows and what denies look at different arguments, so that conditions never rule each other out: a list cannot know of that.
func randomPolicy(r *rand.Rand) policy.Spec {
	one := func(all ...string) string { return all[r.IntN(len(all))] }
	pattern := func() string {
		return one("bank/balance", "bank/transfer", "bank/close", "bank/audit", "bank/advice", "bank/*", "*/balance", "*/*", "bank/a*", "other/*", "bank/bank://open/*", "bank/bank://**", "nothing/*")
	}
	rule := func() string {
		return one("", "", "", "call ", "get,read ", "read ") + pattern() + one("", "", "", " when ok")
	}
	rules := func() (all []string) {
		for range 1 + r.IntN(3) {
			all = append(all, rule())
		}
		return all
	}
	spec := policy.Spec{
		AllowEmpty: true, Conditions: map[string]string{"ok": "args.ok == true", "bad": "args.bad == true"},
		Roles:  map[string][]string{"a": rules(), "b": append(rules(), "a"), "c": rules()},
		Grants: map[string][]string{"group:one": {one("a", "b", "c")}, "group:two": append(rules(), one("a", "b", "c"))},
	}
	if r.IntN(3) == 0 {
		spec.Grants["*"] = rules()
	}
	for range r.IntN(4) {
		d := policy.Deny{Match: pattern(), Reason: one("", "no"), When: one("", "", "bad")}
		if r.IntN(2) == 0 {
			d.For = []string{one("group:one", "group:two", "role:a", "user:https://id.example|x")}
		}
		spec.Deny = append(spec.Deny, d)
	}
	if r.IntN(2) == 0 {
		spec.Tenants = map[string]policy.Tenant{"finance": {Grants: map[string][]string{"group:one": rules()}}}
	}
	return spec
}

// TestR2R3R4_ListedIsCallable: for random policies, whoever is shown an entry can use it, with the right arguments at least, and nobody can
// use another; in both eras, by any name.
func TestR2R3R4_ListedIsCallable(t *testing.T) {
	const policies = 1000
	tools := map[string]string{"bank__balance": "bank/balance", "bank__transfer": "bank/transfer", "bank__close": "bank/close", "bank__audit": "bank/audit", "other__balance": "other/balance"}
	listed, hidden := 0, 0
	for seed := range uint64(policies) {
		r := rand.New(rand.NewPCG(seed, 26))
		spec := randomPolicy(r)
		compiled, err := policy.Compile(spec, policy.Options{Untested: true})
		if err != nil {
			continue // some of them make no sense, and are refused
		}
		g := newRuled(t, bankPolicy())
		g.engine.Swap(compiled)
		for _, groups := range [][]string{nil, {"one"}, {"two"}, {"one", "two"}} {
			who := person(t, "x", groups...)
			if r.IntN(2) == 0 {
				if who, err = who.At("finance"); err != nil {
					t.Fatal(err)
				}
			}
			for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
				list := g.ask(t, who, era, "tools/list", `{}`) + g.ask(t, who, era, "prompts/list", `{}`) + g.ask(t, who, era, "resources/list", `{}`)
				check := func(name, method, params string) {
					shown := strings.Contains(list, `"`+name+`"`)
					if shown {
						listed++
					} else {
						hidden++
					}
					if used := g.uses(t, who, era, method, params); used != shown {
						t.Fatalf("seed %d, %v at %s, %s: %s is listed: %v, can be used: %v\n%+v", seed, groups, who.Tenant(), era, name, shown, used, spec)
					}
				}
				for name := range tools {
					check(name, "tools/call", `{"name":"`+name+`","arguments":{"ok":true,"bad":false}}`)
				}
				check("bank__advice", "prompts/get", `{"name":"bank__advice","arguments":{"ok":true,"bad":false}}`)
				check("bank://open/a", "resources/read", `{"uri":"bank://open/a","arguments":{"ok":true,"bad":false}}`)
			}
		}
	}
	if listed < policies || hidden < policies {
		t.Errorf("%d entries listed and %d hidden prove little", listed, hidden)
	}
	t.Logf("%d entries listed and usable, %d hidden and not", listed, hidden)
}

// uses reports whether a request reaches the upstream.
func (g *ruled) uses(t *testing.T, who policy.Principal, era catalog.Era, method, params string) bool {
	t.Helper()
	g.reached = nil
	g.ask(t, who, era, method, params)
	return len(g.reached) > 0
}
