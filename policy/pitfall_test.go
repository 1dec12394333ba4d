package policy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/casbin/casbin/v2/model"
	"github.com/google/go-cmp/cmp"

	"weir/catalog"
)

// plainModel is the model that most people begin with.
const plainModel = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && glob(r.obj, p.obj) && r.act == p.act
`

// files serves ReadFile from memory.
func files(f map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, ok := f[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

// own compiles a model and rows.
func own(model, rows string, previous *Policy) (*Policy, error) {
	return Compile(Spec{Model: "m.conf", Rules: "p.csv"}, Options{
		ReadFile: files(map[string]string{"m.conf": model, "p.csv": rows}), Previous: previous,
	})
}

// refused fails the test unless err says what is wanted.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want Problems with %q", err, want)
	}
}

// TestPitfall_CachedOrReloadedEnforcer keeps Casbin's caching, locking and reloading out: the cache confuses requests whose fields hold its
// separator, SyncedEnforcer's watcher reloads without its lock, and LoadPolicy races with Enforce.
func TestPitfall_CachedOrReloadedEnforcer(t *testing.T) {
	banned := []string{
		"CachedEnforcer", "NewCachedEnforcer", "SyncedEnforcer", "NewSyncedEnforcer", "NewSyncedCachedEnforcer", "SetWatcher", "LoadFilteredPolicy",
		"BuildRoleLinks", "AddPolicies", "RemovePolicy", "UpdatePolicy", "EnableAutoSave", "ClearPolicy",
	}
	set := token.NewFileSet()
	sources, err := filepath.Glob("*.go")
	if err != nil || len(sources) < 10 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			for _, name := range banned {
				if s.Sel.Name == name {
					t.Errorf("%s: %s", set.Position(s.Pos()), name)
				}
			}
			return true
		})
	}
	p := compiled(t, Spec{
		Grants:  map[string][]string{"user:a": {"x/*"}},
		Tenants: map[string]Tenant{"acme$$x": {Grants: map[string][]string{"user:b": {"bank/*"}}}},
	}, Options{})
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(p)
	s := shop()
	if seen := visible(e.Profile(who(t, "user:b", "in acme$$x"), s)); len(seen) != 2 {
		t.Errorf("sees %v", seen)
	}
	for _, other := range []Principal{who(t, "user:b", "in acme"), who(t, "user:b$$acme", "in x"), who(t, "user:b"), who(t, "user:b", "in x")} {
		if seen := visible(e.Profile(other, s)); len(seen) > 0 {
			t.Errorf("%q sees %v", other.Key(), seen)
		}
	}
}

// TestPitfall_ReloadDuringEnforce swaps policies under load: nobody sees a mixture, or nothing.
func TestPitfall_ReloadDuringEnforce(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	one := compiled(t, Spec{Roles: map[string][]string{"r": {"github/*"}}, Grants: map[string][]string{"group:eng": {"r", "bank/get_*"}}}, Options{})
	two := compiled(t, Spec{Grants: map[string][]string{"group:eng": {"bank/*"}}, Deny: []Deny{{Match: "bank/get_*"}}}, Options{})
	e.Swap(one)
	s, caller := shop(), who(t, "group:eng")
	expected := map[string]bool{
		fmt.Sprint(visible(one.ProfileOf(caller, s))): true, fmt.Sprint(visible(two.ProfileOf(caller, s))): true,
	}
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !stop.Load() {
				f := e.Profile(caller, s)
				seen := fmt.Sprint(visible(f))
				if !expected[seen] {
					t.Errorf("a mixture: %s", seen)
					return
				}
				for _, entry := range s.Entries() {
					if f.Decide(useOf(entry.Kind), entry).Allowed != f.View.Visible(entry) {
						t.Errorf("%s: listed and callable differ", entry.Ref)
						return
					}
				}
			}
		})
	}
	for i := range 50 {
		e.Swap([]*Policy{one, two}[i%2])
		e.Profile(caller, s)
	}
	stop.Store(true)
	group.Wait()
}

func TestPitfall_EffectTypedDeny(t *testing.T) {
	_, err := own(plainModel, "p, user:a, github/*, call, allow\np, user:a, github/delete_repo, call, Deny\n", nil)
	refused(t, err, `p.csv:2: policy: the effect is "Deny"; write allow or deny`)
	_, err = own(strings.Replace(plainModel, " && !some(where (p.eft == deny))", "", 1), "p, user:a, github/*, call, allow\np, user:a, github/x, call, deny\n", nil)
	refused(t, err, "the model's effect takes no notice of that")
}

func TestPitfall_MissingColumnOrUnknownType(t *testing.T) {
	_, err := own(plainModel, "p, user:a, github/*, call\n", nil)
	refused(t, err, "p.csv:1: policy: 3 columns, and the model has 4")
	_, err = own(plainModel, "p, user:a, github/*, call, allow, extra\n", nil)
	refused(t, err, "5 columns")
	_, err = own(plainModel, "p, user:a, github/*, call, allow\nq, user:a, x\n", nil)
	refused(t, err, `a row of type "q"`)
	_, err = own(plainModel, "p, user:a, github/*, call, allow\ng2, user:a, role:x\n", nil)
	refused(t, err, `a row of type "g2"`)
	_, err = own(plainModel, "p, user:a, github/*, call, allow\ng, user:a\n", nil)
	refused(t, err, "1 columns, and the model has 2")
	_, err = own(plainModel, "p, user:a, , call, allow\n", nil)
	refused(t, err, "obj is empty")
	_, err = own(strings.Replace(plainModel, "[matchers]", "[matcher]", 1), "p, user:a, github/*, call, allow\n", nil)
	refused(t, err, "m.conf")
}

func TestPitfall_FileCutAtALineEnd(t *testing.T) {
	const whole = "p, user:a, github/*, call, allow\np, user:a, github/delete_repo, call, deny\n"
	cut := whole[:strings.Index(whole, "\n")+1]
	sealed := string(Seal([]byte(whole)))
	good, err := own(plainModel, sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(good.Warnings()) != 0 {
		t.Errorf("warnings %v", good.Warnings())
	}
	for i := 1; i < len(sealed); i++ {
		if _, err := own(plainModel, sealed[:i], good); err == nil {
			t.Fatalf("taken when cut to %d of %d bytes", i, len(sealed))
		}
	}
	_, err = own(plainModel, cut+sealed[strings.Index(sealed, "# end"):], nil)
	refused(t, err, "not those that were sealed")

	_, err = own(plainModel, "p, user:b, bank/*, call, allow\n", good)
	refused(t, err, "was sealed before and is not now")

	unsealed, err := own(plainModel, whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(unsealed.Warnings()) != 1 || !strings.Contains(unsealed.Warnings()[0].Msg, "no seal") {
		t.Errorf("warnings %v", unsealed.Warnings())
	}
	_, err = own(plainModel, cut, unsealed)
	refused(t, err, "looks cut off")
	_, err = own(plainModel, whole[:len(whole)-3], nil)
	refused(t, err, "looks cut off")
	_, err = own(plainModel, strings.Replace(whole, "\np, user:a, github/delete_repo", "\np, user:a, github/create_issue", 1), unsealed)
	if err != nil {
		t.Errorf("an edit was refused: %v", err)
	}
	if got := string(Seal([]byte(sealed))); got != sealed {
		t.Errorf("sealed twice: %s", got)
	}
}

func TestPitfall_ShortFormCutOff(t *testing.T) {
	text := "policy:\n  grants: { \"user:a\": [\"github/*\"] }\n  deny:\n    - { match: \"github/delete_*\" }\n"
	before := compiled(t, Spec{Grants: map[string][]string{"user:a": {"github/*"}}, Deny: []Deny{{Match: "github/delete_*"}}}, Options{Source: []byte(text)})
	after := Spec{Grants: map[string][]string{"user:a": {"github/*"}}}
	_, err := Compile(after, Options{Source: []byte(text[:strings.Index(text, "  deny")]), Previous: before})
	refused(t, err, "looks cut off")
	if _, err := Compile(after, Options{Source: []byte("# changed\n" + text), Previous: before}); err != nil {
		t.Error(err)
	}
	if _, err := Compile(after, Options{Previous: before}); err != nil {
		t.Errorf("without its text: %v", err)
	}
	_, err = Compile(Spec{}, Options{Previous: before})
	refused(t, err, "the policy is gone")
}

func TestPitfall_EmptyWhileItIsWritten(t *testing.T) {
	good, err := own(plainModel, "p, user:a, github/*, call, allow\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []string{"", "\n", "# nothing\n", "p, user:a, github/*, call, deny\n", "g, user:a, role:b\n"} {
		_, err := own(plainModel, rows, good)
		refused(t, err, "p")
	}
	_, err = Compile(Spec{Deny: []Deny{{Match: "*"}}}, Options{})
	refused(t, err, "no rule allows anything")
	if _, err := Compile(Spec{Deny: []Deny{{Match: "*"}}, AllowEmpty: true}, Options{}); err != nil {
		t.Error(err)
	}
}

func TestPitfall_KeyMatchIgnoresTheTail(t *testing.T) {
	text := strings.Replace(plainModel, "glob(", "keyMatch(", 1)
	for _, pattern := range []string{"*/delete_*", "github/get_*_admin", "**"} {
		_, err := own(text, "p, user:a, "+pattern+", call, allow\n", nil)
		refused(t, err, "keyMatch ignores everything behind the first *")
	}
	p, err := own(text, "p, user:a, github/*, call, allow\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"github/create_issue", "github/delete_repo", "github/get_issue", "github/list_issues"}, visible(p.ProfileOf(who(t, "user:a"), shop()))); diff != "" {
		t.Error(diff)
	}
	short := compiled(t, Spec{Grants: map[string][]string{"user:a": {"*/delete_*", "github/get_*_admin"}}}, Options{})
	if diff := cmp.Diff([]string{"github/delete_repo"}, visible(short.ProfileOf(who(t, "user:a"), shop()))); diff != "" {
		t.Error(diff)
	}
}

func TestPitfall_RoleChainTooDeep(t *testing.T) {
	chain := func(n int) Spec {
		s := Spec{Roles: map[string][]string{}, Grants: map[string][]string{"user:a": {"r1"}}}
		for i := 1; i < n; i++ {
			s.Roles[fmt.Sprintf("r%d", i)] = []string{fmt.Sprintf("r%d", i+1)}
		}
		s.Roles[fmt.Sprintf("r%d", n)] = []string{"github/*"}
		return s
	}
	if _, err := Compile(chain(maxDepth+1), Options{}); err == nil || !strings.Contains(err.Error(), "9 roles in a row, more than 8: user:a → role:r1") {
		t.Errorf("%v", err)
	}
	p := compiled(t, chain(maxDepth), Options{})
	if len(visible(p.ProfileOf(who(t, "user:a"), shop()))) == 0 {
		t.Error("the deepest chain holds nothing")
	}
	circle := chain(3)
	circle.Roles["r3"] = append(circle.Roles["r3"], "r1")
	_, err := Compile(circle, Options{})
	refused(t, err, "a circle of roles: role:r1 → role:r2 → role:r3 → role:r1")

	var rows strings.Builder
	rows.WriteString("p, role:r9, github/*, call, allow\ng, user:a, role:r1\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&rows, "g, role:r%d, role:r%d\n", i, i+1)
	}
	_, err = own(plainModel, rows.String(), nil)
	refused(t, err, "9 roles in a row")
}

func TestPitfall_UserNamedLikeARole(t *testing.T) {
	_, err := own(plainModel, "p, admin, github/*, call, allow\n", nil)
	refused(t, err, `"admin" has no type; write user:admin`)
	_, err = own(plainModel, "p, role:admin, github/*, call, allow\ng, alice, role:admin\n", nil)
	refused(t, err, `"alice" has no type`)
	p, err := own(plainModel, "p, role:admin, github/*, call, allow\ng, user:alice, role:admin\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]bool{"user:alice": true, "role:admin": true, "user:role:admin": false, "user:admin": false, "group:admin": false} {
		if got := len(visible(p.ProfileOf(who(t, subject), shop()))) > 0; got != want {
			t.Errorf("%s: %v", subject, got)
		}
	}
}

// TestPitfall_NamesThatLookLikeDeniedOnes: what a client sends is resolved to an entry first, and the entry decides.
func TestPitfall_NamesThatLookLikeDeniedOnes(t *testing.T) {
	p := compiled(t, Spec{Grants: map[string][]string{"user:a": {"github/*"}}, Deny: []Deny{{Match: "github/delete_repo"}}}, Options{})
	s := shop()
	f := p.ProfileOf(who(t, "user:a"), s)
	for _, name := range []string{"github__delete_repo", "github__Delete_Repo", "github__delete_repo\x00", "github__delete_repo ", "delete_repo", "DELETE_REPO", "github/delete_repo"} {
		if e, err := s.Resolve(catalog.Tool, name, f.Knows); err == nil {
			t.Errorf("%q is %s", name, e.Ref)
		}
	}
	for _, pattern := range []string{"github/delete_repo\x00", "github/delete_repo ", "github/delete\u200b_repo", "github/delete_repo\n"} {
		_, err := Compile(Spec{Grants: map[string][]string{"user:a": {"github/*"}}, Deny: []Deny{{Match: pattern}}}, Options{})
		refused(t, err, "does not show")
	}
}

func TestPitfall_Eval(t *testing.T) {
	_, err := own(strings.Replace(plainModel, "r.act == p.act", "eval(p.act)", 1), "p, user:a, github/*, call, allow\n", nil)
	refused(t, err, "eval is not supported")
	// One condition that cannot be answered leaves the other rules as they are.
	p := compiled(t, Spec{
		Conditions: map[string]string{"broken": "args.missing > 1"},
		Grants:     map[string][]string{"user:a": {"bank/* when broken", "bank/transfer"}},
	}, Options{})
	s := shop()
	if d := p.ProfileOf(who(t, "user:a"), s).DecideWith(Call, find(t, s, "bank/transfer"), &Request{}); !d.Allowed {
		t.Errorf("%+v", d)
	}
}

// failingStore fails, or gives half of its rows.
type failingStore struct{ rows [][]string }

func (f failingStore) Rows(string) ([][]string, error) {
	if f.rows == nil {
		return nil, errors.New("store: connection lost")
	}
	return f.rows, nil
}

func TestPitfall_StoreThatFails(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p := compiled(t, Spec{}, Options{Store: failingStore{[][]string{{"p", "one", "user:a", "*", "github/*", "*", "-", "allow", "", ""}}}})
	e.Swap(p)
	_, err = Compile(Spec{}, Options{Store: failingStore{}, Previous: p})
	refused(t, err, "connection lost")
	for _, rows := range [][][]string{{}, {{}}, {{"p"}}, {{"p", "one", "user:a"}}} {
		_, err = Compile(Spec{}, Options{Store: failingStore{rows}, Previous: p})
		refused(t, err, "policy")
	}
	if e.Policy() != p || len(visible(e.Profile(who(t, "user:a"), shop()))) != 5 {
		t.Error("the policy in force has changed")
	}
}

func TestPitfall_TextsThatCasbinChanges(t *testing.T) {
	_, err := own(strings.Replace(plainModel, "r.act == p.act", `r.act == p.act && r.obj != "p.secret/x"`, 1), "p, user:a, github/*, call, allow\n", nil)
	refused(t, err, "holds r. or p., which Casbin changes")
}

func TestPitfall_EffectThatAllowsByDefault(t *testing.T) {
	_, err := own(strings.Replace(plainModel, "some(where (p.eft == allow)) && ", "", 1), "p, user:a, github/*, call, allow\n", nil)
	refused(t, err, "the effect allows what no row names")
}

// TestPitfall_StrangersGrowTheMemo asks Casbin for thousands of callers it has never seen and looks for what it kept of them.
func TestPitfall_StrangersGrowTheMemo(t *testing.T) {
	const rows = "p, role:r, github/*, call, allow\np, user:a, bank/*, call, allow\ng, user:b, role:r\n"
	lazy := strings.Replace(plainModel, "glob(r.obj, p.obj)", "keyMatch(r.obj, p.obj)", 1)
	for _, text := range []string{plainModel, lazy} {
		p, err := own(text, rows, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := shop()
		known := linkCount(p.authority.enforcer.GetModel())
		for i := range 500 {
			if seen := visible(p.ProfileOf(who(t, fmt.Sprintf("user:stranger%d", i)), s)); len(seen) > 0 {
				t.Fatalf("sees %v", seen)
			}
		}
		if matcher := p.authority.enforcer.GetModel()["m"]["m"].Value; roleCall.MatchString(matcher) {
			t.Errorf("the matcher still calls g, which remembers: %s", matcher)
		}
		if now := linkCount(p.authority.enforcer.GetModel()); now != known {
			t.Errorf("the role manager knows %d names, before it was %d", now, known)
		}
	}
}

func linkCount(m model.Model) int {
	n := 0
	for _, a := range m["g"] {
		roles, err := a.RM.GetAllDomains()
		if err == nil {
			n += len(roles)
		}
		users, err := a.RM.GetImplicitUsers("role:r")
		if err == nil {
			n += len(users)
		}
	}
	return n
}
