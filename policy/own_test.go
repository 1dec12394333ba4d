package policy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	stringadapter "github.com/casbin/casbin/v2/persist/string-adapter"
	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// models are forms that are compiled, and one that is not, with the columns of their rows.
var ownModels = []struct {
	name, text string
	compiled   bool
	dom        bool
}{
	{"roles", plainModel, true, false},
	{"words for words", strings.Replace(plainModel, "glob(r.obj, p.obj)", "r.obj == p.obj", 1), true, false},
	{"no roles", strings.NewReplacer("[role_definition]\ng = _, _\n", "", "g(r.sub, p.sub)", "r.sub == p.sub").Replace(plainModel), true, false},
	{"any action", strings.Replace(plainModel, "r.act == p.act", `(p.act == "*" || p.act == r.act)`, 1), true, false},
	{"everyone", strings.Replace(plainModel, "g(r.sub, p.sub)", `(p.sub == "*" || g(r.sub, p.sub))`, 1), true, false},
	{"tenants", strings.NewReplacer("r = sub, obj", "r = sub, dom, obj", "p = sub, obj", "p = sub, dom, obj", "g = _, _", "g = _, _, _",
		"g(r.sub, p.sub)", "g(r.sub, p.sub, r.dom) && r.dom == p.dom").Replace(plainModel), true, true},
	{"keyMatch", strings.Replace(plainModel, "glob(", "keyMatch(", 1), false, false},
	{"priority", strings.Replace(plainModel, "some(where (p.eft == allow)) && !some(where (p.eft == deny))", "priority(p.eft) || deny", 1), false, false},
	{"by kind", strings.NewReplacer("r = sub, obj, act", "r = sub, obj, act, kind", "glob(r.obj, p.obj)", `glob(r.obj, p.obj) && r.kind == "tool"`).Replace(plainModel), false, false},
}

// randomRows makes rows that fit a model.
func randomRows(r *rand.Rand, m string, dom bool) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	var b strings.Builder
	for range 2 + r.IntN(8) {
		subjects := []string{"user:u1", "group:g", "role:r", "role:s"}
		if strings.Contains(m, `p.sub == "*"`) {
			subjects = append(subjects, "*")
		}
		objects := []string{"a/get_x", "b/x", "a/p", "b/file:///d/x"}
		if !strings.Contains(m, "r.obj == p.obj") {
			objects = append(objects, "a/*", "*", "b/file:///*")
		}
		if strings.Contains(m, "glob(") {
			objects = append(objects, "*/get_*")
		}
		acts := []string{"call", "read", "get", "complete"}
		if strings.Contains(m, `p.act == "*"`) {
			acts = append(acts, "*")
		}
		tenant := ""
		if dom {
			tenant = pick("t1", "t2") + ", "
		}
		fmt.Fprintf(&b, "p, %s, %s%s, %s, %s\n", pick(subjects...), tenant, pick(objects...), pick(acts...), pick("allow", "allow", "deny"))
	}
	b.WriteString("p, user:never, " + map[bool]string{true: "t1, "}[dom] + "a/get_x, call, allow\n")
	if strings.Contains(m, "role_definition") {
		for range r.IntN(4) {
			tenant := ""
			if dom {
				tenant = ", " + pick("t1", "t2")
			}
			b.WriteString(pick("g, user:u1, role:r", "g, group:g, role:r", "g, role:r, role:s", "g, user:u2, role:s") + tenant + "\n")
		}
	}
	return b.String()
}

// TestOwnModels compares what is decided with what Casbin says to the same rows, for models that are compiled and for others.
func TestOwnModels(t *testing.T) {
	s := randomSnapshot()
	for _, m := range ownModels {
		t.Run(m.name, func(t *testing.T) {
			listed := 0
			for seed := range uint64(20) {
				rows := randomRows(rand.New(rand.NewPCG(seed, 3)), m.text, m.dom)
				p, err := own(m.text, rows, nil)
				if err != nil {
					t.Fatalf("%v\n%s", err, rows)
				}
				if p.Compiled() != m.compiled {
					t.Fatalf("compiled %v", p.Compiled())
				}
				for _, caller := range []Principal{
					who(t, "user:u1"), who(t, "user:u2", "group:g"), who(t, "user:u3"), who(t, "user:u1", "group:g", "role:s", "in t1"), who(t, "user:u1", "in t2"),
				} {
					f := p.ProfileOf(caller, s)
					for _, e := range s.Entries() {
						if f.View.Visible(e) {
							listed++
						}
						compareOwn(t, rows, p, f, caller, e)
					}
				}
				if p.Differed() > 0 {
					t.Fatalf("seed %d: Casbin differed", seed)
				}
			}
			if listed == 0 {
				t.Error("nothing was ever allowed")
			}
		})
	}
}

func compareOwn(t *testing.T, rows string, p *Policy, f *Profile, caller Principal, e *catalog.Entry) {
	t.Helper()
	n := caller.identity()
	use, _, _, err := p.authority.ask(n, e.Ref, e.Kind, useOf(e.Kind), newFacts(e, hints{}, n, nil))
	if err != nil || use != f.View.Visible(e) || use != f.Decide(List, e).Allowed {
		t.Errorf("%v %s: Casbin says %v (%v), listed %v\n%s", n, e.Ref, use, err, f.View.Visible(e), rows)
	}
	for _, a := range actionsOn(e.Kind) {
		r := &Request{Principal: caller}
		if e.Kind == catalog.Template {
			r.Target = "db:///1"
		}
		want, _, _, err := p.authority.ask(n, e.Ref, e.Kind, a, newFacts(e, hints{}, n, r))
		if e.Kind == catalog.Template && (a == Read || a == Subscribe) {
			target := catalog.Ref{Upstream: e.Ref.Upstream, Name: r.Target}
			_, denied, _, _ := p.authority.ask(n, target, catalog.Resource, a, newFacts(e, hints{}, n, r))
			want = want && !denied
		}
		if d := f.DecideWith(a, e, r); err != nil || d.Allowed != (want && use) {
			t.Errorf("%v %s %s: Casbin says %v and %v (%v), decided %+v\n%s", n, a, e.Ref, want, use, err, d, rows)
		}
	}
}

func TestOwnModelSaysWhere(t *testing.T) {
	const rows = "# rights of a\np, user:a, github/*, call, allow\np, user:a, github/delete_repo, call, deny\n"
	for _, text := range []string{plainModel, strings.Replace(plainModel, "glob(", "keyMatch(", 1)} {
		p, err := own(text, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := shop()
		f := p.ProfileOf(who(t, "user:a"), s)
		want := Decision{Allowed: true, Rule: "p.csv:2", Place: Place{"p.csv", 2}}
		if diff := cmp.Diff(want, f.DecideWith(Call, find(t, s, "github/get_issue"), &Request{Principal: who(t, "user:a")})); diff != "" && p.Compiled() {
			t.Error(diff)
		}
		if d := f.Decide(Call, find(t, s, "bank/transfer")); d.Rule != "default deny" {
			t.Errorf("%+v", d)
		}
		want = Decision{Rule: "p.csv:3", Place: Place{"p.csv", 3}}
		if diff := cmp.Diff(want, f.Decide(Call, find(t, s, "github/delete_repo"))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOwnModelErrors(t *testing.T) {
	const row = "p, user:a, github/*, call, allow\n"
	tests := []struct{ model, rows, want string }{
		{strings.Replace(plainModel, "r = sub, obj, act", "r = sub, obj, act, colour", 1), row, `the request has "colour"`},
		{strings.Replace(plainModel, "e = some", "e = any", 1), row, "is not supported"},
		{strings.Replace(plainModel, "g(r.sub, p.sub) && ", "", 1), row, "the matcher does not look at r.sub"},
		{plainModel + "\n[request_definition2]\n", row, ""},
		{strings.Replace(plainModel, "r = sub, obj, act", "r = sub, obj, act\nr2 = sub, obj, act", 1), row, "one definition of r is needed"},
		{plainModel, "p, *, github/*, call, allow\n", "does not mean everyone"},
		{plainModel, "p, user:a, github/*, list, allow\n", "list is asked as call, get or read"},
		{plainModel, "p, user:a, github/*, *, allow\n", "a name like any other"},
		{plainModel, "p, user:a, github, call, allow\n", "names no upstream"},
		{plainModel, "p, user:a, github/*, cal, allow\n", `unknown action "cal"`},
		{plainModel, "p, user:a, git\x00hub/*, call, allow\n", "does not show"},
		{plainModel, `p, "user:a, github/*, call, allow` + "\n", "p.csv"},
		{"[nonsense", row, "m.conf"},
		{ownModels[5].text, "p, user:a, *, github/*, call, allow\n", "does not mean everywhere"},
		{strings.Replace(plainModel, "glob(", "keyMatch(", 1), row + "g, role:a, role:b\ng, role:b, role:a\n", "a circle of roles"},
		{builtIn, "p, one, user:a, *, github/*, *, -, allow, , \np, one, user:a, *, bank/*, *, -, allow, , \n", `the id "one" is that of another rule`},
		{builtIn, "p, one, user:a, *, github/*, *, odd, allow, , \n", `unknown condition "odd"`},
	}
	for _, tt := range tests {
		_, err := own(tt.model, tt.rows, nil)
		if tt.want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, err, tt.want)
	}
	_, err := Compile(Spec{Model: "m.conf", Grants: map[string][]string{"user:a": {"x/*"}}}, Options{})
	refused(t, err, "remove one or the other")
	_, err = Compile(Spec{Model: "m.conf"}, Options{})
	refused(t, err, "rules is missing")
	_, err = Compile(Spec{Model: "m.conf", Rules: "p.csv"}, Options{ReadFile: files(nil)})
	refused(t, err, "not exist")
}

// TestExport reads back what the short form compiles to.
func TestExport(t *testing.T) {
	spec := bank()
	p := compiled(t, spec, Options{})
	again, err := Compile(Spec{Rules: "p.csv", Conditions: spec.Conditions, Annotations: spec.Annotations}, Options{ReadFile: files(map[string]string{"p.csv": string(p.CSV())})})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Compiled() || again.Digest() != p.Digest() || again.Model() != p.Model() || len(again.Warnings()) != 0 {
		t.Errorf("compiled %v, digests %s and %s, warnings %v", again.Compiled(), p.Digest(), again.Digest(), again.Warnings())
	}
	s := shop()
	for _, group := range []string{"fin", "day", "net", "own", "read", "clear", "big", "all"} {
		caller := who(t, "user:x", "group:"+group, `{"clearance":"high"}`)
		a, b := p.ProfileOf(caller, s), again.ProfileOf(caller, s)
		for _, e := range s.Entries() {
			if diff := cmp.Diff(a.verdict(e), b.verdict(e), cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("%s %s: %s", group, e.Ref, diff)
			}
		}
	}
}

func TestAdapter(t *testing.T) {
	adapter := stringadapter.NewAdapter("p, user:a, github/*, call, allow\np, role:r, bank/*, call, allow\ng, user:b, role:r")
	p, err := Compile(Spec{Model: "m.conf"}, Options{Store: FromAdapter(adapter), ReadFile: files(map[string]string{"m.conf": plainModel})})
	if err != nil {
		t.Fatal(err)
	}
	for caller, want := range map[string]int{"user:a": 4, "user:b": 2, "user:c": 0} {
		if seen := visible(p.ProfileOf(who(t, caller), shop())); len(seen) != want {
			t.Errorf("%s sees %v", caller, seen)
		}
	}
}

func FuzzParseCSV(f *testing.F) {
	f.Add([]byte("p, user:a, github/*, call, allow\n# end 1 00\n"))
	f.Add([]byte("g, \"a\nb\", c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := parseCSV("p.csv", data)
		if err == nil {
			for _, row := range rows {
				if len(row.fields) == 0 || row.place.Line < 1 {
					t.Errorf("%+v", row)
				}
			}
		}
		sealed := Seal(data)
		if ok, err := checkSeal(sealed); !ok || err != nil {
			t.Errorf("sealed and not taken: %v", err)
		}
		if p, err := own(plainModel, string(data), nil); err == nil && p.ProfileOf(LocalUser(), nil) == nil {
			t.Error("no profile")
		}
	})
}

// TestOwnModelWithoutRoles: the whole caller, and no roles to ask about.
func TestOwnModelWithoutRoles(t *testing.T) {
	text := strings.NewReplacer("[role_definition]\ng = _, _\n", "", "g(r.sub, p.sub)", "who(r.sub, p.sub)").Replace(plainModel)
	p, err := own(text, "p, group:g, github/*, call, allow\np, *, github/delete_repo, call, deny\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if seen := visible(p.ProfileOf(who(t, "user:a", "group:g"), shop())); len(seen) != 3 || p.Compiled() {
		t.Errorf("sees %v", seen)
	}
	if seen := visible(p.ProfileOf(who(t, "user:a"), shop())); len(seen) != 0 {
		t.Errorf("sees %v", seen)
	}
}
