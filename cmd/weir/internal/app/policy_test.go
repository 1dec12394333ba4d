package app_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/upstream/upstreamtest"
)

// grants is a policy that gives the local user these rules.
func grants(rules ...string) object { return object{"grants": object{"user:local": rules}} }

// reload hands the file as it is now to the gateway.
func (p *place) reload(t *testing.T, a *app.App) error {
	t.Helper()
	file, err := config.Read(p.path, p.env.Config)
	if err != nil {
		return err
	}
	return a.Reload(file)
}

// may reports whether the local user's call of a tool reaches it.
func may(t *testing.T, a *app.App, name string) bool {
	t.Helper()
	out, err := a.Call(t.Context(), name, []byte(`{}`))
	return err == nil && out.Code == ""
}

// TestBadPolicyNeverReplacesAGoodOne holds that whatever is wrong with the policy in a new file, the file in force stays, whole.
func TestBadPolicyNeverReplacesAGoodOne(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	servers := object{"up": object{"url": up.URL}}
	good := object{"grants": object{"user:local": []string{"up/a"}}, "deny": []object{{"match": "up/c"}}}
	p := newPlace(t, object{"mcpServers": servers, "policy": good})
	a := p.start(t)
	settled(t, a)
	digest := a.Policy().Digest()
	for name, content := range map[string]object{
		"gone":        {"mcpServers": servers, "naming": "prefix"},
		"empty":       {"mcpServers": servers, "policy": object{}},
		"misspelt":    {"mcpServers": servers, "polcy": grants("up/*")},
		"key":         {"mcpServers": servers, "policy": object{"grant": object{"*": []string{"up/*"}}}},
		"role":        {"mcpServers": servers, "policy": grants("nobody-knows")},
		"pattern":     {"mcpServers": servers, "policy": grants("up__a")},
		"nothing":     {"mcpServers": servers, "policy": object{"deny": []object{{"match": "*"}}}},
		"failed test": {"mcpServers": servers, "policy": object{"grants": object{"*": []string{"up/*"}}, "tests": []object{{"as": "user:x", "call": "up/a", "want": "deny"}}}},
		"no rules":    {"mcpServers": servers, "policy": object{"rules": "absent.csv"}},
		"no shadow":   {"mcpServers": servers, "policy": object{"grants": object{"*": []string{"up/*"}}, "shadow": "absent.yaml"}},
	} {
		p.write(t, content)
		var problems config.Problems
		if err := p.reload(t, a); !errors.As(err, &problems) {
			t.Errorf("%s: %v, want problems", name, err)
		}
		if a.Policy().Digest() != digest || names(a) != "up__a" {
			t.Errorf("%s: the policy in force is another one; %s is visible", name, names(a))
		}
	}
	p.write(t, object{"mcpServers": servers, "policy": grants("up/b")})
	if err := p.reload(t, a); err != nil || names(a) != "up__b" {
		t.Errorf("a good policy: %v, %s is visible", err, names(a))
	}
}

// TestCutOffPolicyIsRefused holds that a file which ends within its policy is not taken, wherever the cut makes a valid file.
func TestCutOffPolicyIsRefused(t *testing.T) {
	t.Parallel()
	const whole = "mcpServers: {}\npolicy:\n  grants:\n    user:local:\n      - \"up/*\"\n  deny:\n    - match: \"up/b\"\n    - match: \"up/c\"\nnaming: bare\n"
	p := newPlace(t, object{})
	p.path = filepath.Join(filepath.Dir(p.path), "weir.yaml")
	text := func(s string) {
		t.Helper()
		if err := os.WriteFile(p.path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text(whole)
	a := p.start(t)
	for n := len("mcpServers: {}\n"); n < strings.Index(whole, ": bare"); n++ {
		text(whole[:n])
		if err := p.reload(t, a); err == nil {
			t.Errorf("taken: %q", whole[:n])
		}
	}
	text(strings.Replace(whole, "    - match: \"up/c\"\n", "", 1)) // what a person removed is no cut
	if err := p.reload(t, a); err != nil {
		t.Error(err)
	}
}

func TestBadPolicyRefusesTheStart(t *testing.T) {
	t.Parallel()
	p := newPlace(t, object{"mcpServers": object{}, "policy": object{
		"grants": object{"group:eng": []string{"devs"}, "ana": []string{"up/*"}}, "deny": []object{{"match": "up__x"}},
	}})
	file, err := config.Read(p.path, p.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(file, p.env)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 3 || a != nil {
		t.Fatalf("New = %v, %v; want three problems and no gateway", a, err)
	}
	for _, problem := range problems {
		if problem.Line != 1 || problem.Column < 2 || problem.File != "weir.json" {
			t.Errorf("%s has no place", problem)
		}
	}
}

// TestRulesFileIsFollowed holds that a change of the file of rows takes effect, and that one which is cut off does not.
func TestRulesFileIsFollowed(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	p := newPlace(t, object{"listen": "127.0.0.1:0", "mcpServers": object{"up": object{"url": up.URL}}, "policy": object{"rules": "conf/rows.csv"}})
	rows := filepath.Join(filepath.Dir(p.path), "conf", "rows.csv")
	if err := os.Mkdir(filepath.Dir(rows), 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(refs ...string) {
		t.Helper()
		var b strings.Builder
		w := csv.NewWriter(&b)
		for i, ref := range refs {
			_ = w.Write([]string{"p", fmt.Sprintf("row%d", i), "user:local", "*", ref, "call", "", "allow", "", ""}) // into memory
		}
		w.Flush()
		if err := os.WriteFile(rows, policy.Seal([]byte(b.String())), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("up/a")
	a := p.start(t)
	serve(t, a)
	settled(t, a)
	if names(a) != "up__a" {
		t.Fatalf("%s is visible", names(a))
	}
	until(t, "the new rows hold", func() bool { put("up/a", "up/b"); time.Sleep(150 * time.Millisecond); return names(a) == "up__a up__b" })
	whole, err := os.ReadFile(rows)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rows, whole[:strings.IndexByte(string(whole), '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "the cut was reported", func() bool { return strings.Contains(p.log.String(), "last good one stays") })
	if names(a) != "up__a up__b" {
		t.Errorf("%s is visible after a file that was cut off", names(a))
	}
}

// TestChangedBeforeItIsFollowed holds that a change between reading and following takes effect too.
func TestChangedBeforeItIsFollowed(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	p := newPlace(t, object{"listen": "127.0.0.1:0", "mcpServers": object{"up": object{"url": up.URL}}, "policy": object{"rules": "rows.csv"}})
	rows := func(ref string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(p.path), "rows.csv"), policy.Seal([]byte("p,row,user:local,*,"+ref+",call,,allow,,\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows("up/a")
	a := p.start(t)
	settled(t, a)
	rows("up/b")
	serve(t, a)
	until(t, "the new rows hold", func() bool { return names(a) == "up__b" })
}

// TestRightsChangeWithTheNextCall holds that the call after a reload is decided by the new policy, in both directions, without a new session.
func TestRightsChangeWithTheNextCall(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	content := object{"mcpServers": object{"up": object{"url": up.URL}}}
	content["policy"] = grants("up/a")
	p := newPlace(t, content)
	a := p.start(t)
	settled(t, a)
	for i := range 4 {
		allowed, denied := "a", "b"
		if i%2 == 1 {
			allowed, denied = denied, allowed
		}
		content["policy"] = grants("up/" + allowed)
		p.write(t, content)
		if err := p.reload(t, a); err != nil {
			t.Fatal(err)
		}
		before := up.Ledger().Count("tools/call")
		if !may(t, a, "up__"+allowed) || may(t, a, "up__"+denied) {
			t.Errorf("reload %d: %s allowed %t, %s allowed %t", i, allowed, may(t, a, "up__"+allowed), denied, may(t, a, "up__"+denied))
		}
		if n := up.Ledger().Count("tools/call") - before; n != 1 {
			t.Errorf("reload %d: %d calls reached the upstream, want the one that is allowed", i, n)
		}
	}
}

// TestR4ReloadsUnderLoad swaps two policies fifty times under load: every call is answered as one of the two says, by rule and reason, with no
// error and nothing in between. Each policy allows one tool and denies the other with a reason of its own.
func TestR4ReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	content := object{"mcpServers": object{"up": object{"url": up.URL}}, "log": object{"level": "error"}}
	side := func(allowed, denied string) object {
		return object{
			"grants": object{"user:local": []string{"up/*"}},
			"deny":   []object{{"match": "up/" + denied, "reason": "only " + allowed, "instead": "up/" + allowed}},
		}
	}
	content["policy"] = side("a", "b")
	p := newPlace(t, content)
	p.env.Log = slog.New(slog.DiscardHandler)
	a := p.start(t)
	settled(t, a)
	var calls, allowed, wrong atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range 8 {
		name, other := "a", "b"
		if i%2 == 1 {
			name, other = other, name
		}
		load.Go(func() {
			for ctx.Err() == nil {
				out, err := a.Call(context.WithoutCancel(ctx), "up__"+name, []byte(`{"text":"here"}`))
				text := string(out.Result)
				calls.Add(1)
				switch {
				case err == nil && out.Code == "" && strings.Contains(text, "here"):
					allowed.Add(1)
				case err == nil && out.Code == catalog.Denied && strings.Contains(text, "deny[0]") && strings.Contains(text, "only "+other) &&
					strings.Contains(text, "up__"+other):
				default:
					wrong.Add(1)
					t.Errorf("%s: %q %q %v", name, out.Code, text, err)
				}
			}
		})
	}
	for i := range 50 {
		content["policy"] = side([]string{"b", "a"}[i%2], []string{"a", "b"}[i%2])
		p.write(t, content)
		if err := p.reload(t, a); err != nil {
			t.Error(err)
		}
		before := allowed.Load()
		until(t, "calls went on", func() bool { return allowed.Load() >= before+8 })
	}
	stop()
	load.Wait()
	if wrong.Load() > 0 || allowed.Load() == 0 || allowed.Load() == calls.Load() {
		t.Errorf("%d calls, %d allowed, %d as neither policy says", calls.Load(), allowed.Load(), wrong.Load())
	}
	t.Logf("50 reloads, %d calls, %d allowed", calls.Load(), allowed.Load())
}

// TestShadow holds that a policy in the shadow changes nothing, and that what it would change is counted and logged once for each kind.
func TestShadow(t *testing.T) {
	t.Parallel()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("a"), tool("b")}})
	content := object{"mcpServers": object{"up": object{"url": up.URL}}}
	content["policy"] = object{"grants": object{"user:local": []string{"up/*"}}, "shadow": "next.yaml"}
	p := newPlace(t, content)
	next := filepath.Join(filepath.Dir(p.path), "next.yaml")
	if err := os.WriteFile(next, []byte("policy:\n  grants: { user:local: [\"up/a\"] }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := p.start(t)
	settled(t, a)
	for range 3 {
		if !may(t, a, "up__a") || !may(t, a, "up__b") {
			t.Error("the shadow was enforced")
		}
	}
	if names(a) != "up__a up__b" {
		t.Errorf("%s is visible", names(a))
	}
	if n := strings.Count(p.log.String(), "outcome=would_deny"); n != 1 {
		t.Errorf("%d differences logged, want 1:\n%s", n, p.log)
	}
	content["policy"] = grants("up/*")
	p.write(t, content)
	if err := p.reload(t, a); err != nil {
		t.Fatal(err)
	}
	if want := "decisions=6 would_deny=3 would_allow=0"; !strings.Contains(p.log.String(), want) {
		t.Errorf("the reload does not say %s:\n%s", want, p.log)
	}
	if err := os.WriteFile(next, []byte("policy:\n  grnts: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	content["policy"] = object{"grants": object{"user:local": []string{"up/*"}}, "shadow": "next.yaml"}
	p.write(t, content)
	var problems config.Problems
	if err := p.reload(t, a); !errors.As(err, &problems) || problems[0].File != "next.yaml" {
		t.Errorf("a broken shadow: %v", err)
	}
}

// TestOneIssuerNeedsNoName holds that where one issuer is trusted, rules name its users without it, and no other's.
func TestOneIssuerNeedsNoName(t *testing.T) {
	t.Parallel()
	p := newPlace(t, object{
		"mcpServers": object{}, "auth": object{"oidc": object{"issuer": "https://id.example"}},
		"policy": object{"grants": object{"user:ana": []string{"up/a"}}},
	})
	file, err := config.Read(p.path, p.env.Config)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := app.Compile(file, p.env.Config, nil, p.env.Log)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := policy.Find(nil, policy.Call, "up/a")
	if err != nil {
		t.Fatal(err)
	}
	for issuer, want := range map[string]bool{"https://id.example": true, "https://other.example": false, "": false} {
		who, err := policy.Verified(policy.Identity{Issuer: issuer, Subject: "ana"})
		if err != nil {
			t.Fatal(err)
		}
		if got := rules.Policy.ProfileOf(who, nil).Decide(policy.Call, entry).Allowed; got != want {
			t.Errorf("ana of %q: %t, want %t", issuer, got, want)
		}
	}
}
