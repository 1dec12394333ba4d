//go:build unix

package policy

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"weir/catalog"
)

// measure adds the CPU time of each iteration to the figures: on a busy machine the time on the wall says little.
func measure(b *testing.B) {
	b.Helper()
	began := cpuTime(b)
	b.Cleanup(func() { b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N), "cpu-ns/op") })
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// large is a snapshot of n tools, a tenth of them per upstream.
func large(n int) *catalog.Snapshot {
	sources := make([]*catalog.Source, 10)
	for u := range sources {
		sources[u] = &catalog.Source{Upstream: fmt.Sprintf("up%d", u), Capabilities: []byte(`{"tools":{}}`)}
		for i := range n / 10 {
			sources[u].Tools = append(sources[u].Tools, fmt.Appendf(nil, `{"name":"%s_thing_%04d","description":"does a thing","inputSchema":{"type":"object"}}`, []string{"get", "list", "put", "delete"}[i%4], i))
		}
	}
	return catalog.Build(sources, catalog.Options{Naming: catalog.Prefix})
}

// rows is a policy of n rules in 100 roles, with 1,000 groups of two roles each.
func rows(n int) Spec {
	s := Spec{Roles: map[string][]string{}, Grants: map[string][]string{}, Conditions: map[string]string{"small": "args.amount < 1000"}}
	for i := range n {
		role := fmt.Sprintf("r%02d", i%100)
		entry := fmt.Sprintf("up%d/get_thing_%04d", i%10, i)
		switch i % 10 {
		case 0:
			entry = fmt.Sprintf("up%d/*_thing_%03d*", i/10%10, i%1000)
		case 5:
			entry = fmt.Sprintf("up%d/*_thing_%04d when small", i/10%10, i%100)
		}
		s.Roles[role] = append(s.Roles[role], entry)
	}
	for g := range 1000 {
		s.Grants[fmt.Sprintf("group:g%d", g)] = []string{fmt.Sprintf("r%02d", g%min(n, 100)), fmt.Sprintf("r%02d", (g*7+1)%min(n, 100))}
	}
	s.Deny = []Deny{{Match: "*/delete_*", Reason: "no"}}
	return s
}

func engine(b *testing.B, s Spec) *Engine {
	b.Helper()
	e, err := New()
	if err != nil {
		b.Fatal(err)
	}
	e.Swap(compiled(b, s, Options{}))
	return e
}

// BenchmarkDecide is a decision as a gateway makes it, everything warm: the caller's profile and the answer.
func BenchmarkDecide(b *testing.B) {
	spec := rows(1000)
	spec.Grants["group:g5"] = append(spec.Grants["group:g5"], "up1/*")
	e, s := engine(b, spec), large(1000)
	caller := who(b, "user:https://idp|ana", "group:g5")
	f := e.Profile(caller, s)
	var allowed, conditional *catalog.Entry
	for _, entry := range s.Entries() {
		switch d := f.Decide(Call, entry); {
		case d.Allowed:
			allowed = entry
		case d.Conditional:
			conditional = entry
		}
	}
	if allowed == nil || conditional == nil {
		b.Fatal("nothing is allowed, or nothing depends")
	}
	b.Run("allowed", func(b *testing.B) {
		b.ReportAllocs()
		measure(b)
		r := &Request{Principal: caller}
		for b.Loop() {
			if !e.Profile(caller, s).DecideWith(Call, allowed, r).Allowed {
				b.Fatal("refused")
			}
		}
	})
	b.Run("profile kept", func(b *testing.B) {
		b.ReportAllocs()
		measure(b)
		for b.Loop() {
			if !f.Decide(Call, allowed).Allowed {
				b.Fatal("refused")
			}
		}
	})
	b.Run("condition", func(b *testing.B) {
		b.ReportAllocs()
		measure(b)
		r := &Request{Principal: caller, Arguments: []byte(`{"amount":5,"to":"DE00 0000","note":"thanks"}`)}
		for b.Loop() {
			if !e.Profile(caller, s).DecideWith(Call, conditional, r).Allowed {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkProfile is the first request of a set of roles: rules, self-check and view.
func BenchmarkProfile(b *testing.B) {
	for _, size := range []struct{ tools, rows int }{{1000, 10}, {1000, 1000}, {1000, 10000}, {10000, 1000}, {10000, 10000}} {
		b.Run(fmt.Sprintf("tools=%d/rows=%d", size.tools, size.rows), func(b *testing.B) {
			p, s := compiled(b, rows(size.rows), Options{}), large(size.tools)
			x, n := newIndex(s), who(b, "group:g1").identity()
			_, held := p.roleKey(n)
			b.ReportAllocs()
			measure(b)
			for b.Loop() {
				p.newProfile(x, n, held)
			}
		})
	}
}

// BenchmarkSwap is a reload with 10,000 rows until the first caller is answered.
func BenchmarkSwap(b *testing.B) {
	spec, s := rows(10000), large(1000)
	e := engine(b, spec)
	caller := who(b, "group:g1")
	b.ReportAllocs()
	measure(b)
	for b.Loop() {
		p, err := Compile(spec, Options{})
		if err != nil {
			b.Fatal(err)
		}
		e.Swap(p)
		e.Profile(caller, s)
	}
}

// BenchmarkList compares a filtered list of 10,000 tools with one that holds everything; both are rendered once.
func BenchmarkList(b *testing.B) {
	s := large(10000)
	spec := Spec{Grants: map[string][]string{"group:half": {"*/get_*", "*/put_*"}, "group:all": {"*"}}}
	e := engine(b, spec)
	for _, group := range []string{"group:half", "group:all"} {
		caller := who(b, group)
		b.Run(group, func(b *testing.B) {
			measure(b)
			for b.Loop() {
				page, err := e.Profile(caller, s).View.List(catalog.Tool, catalog.Modern, "")
				if err != nil || page.Count == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
