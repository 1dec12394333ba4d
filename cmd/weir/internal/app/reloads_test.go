package app_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/policy"
)

// reloads is how many descriptions change under load; -reloads=1000 is the whole test.
var reloads = flag.Int("reloads", 100, "changes of descriptions in TestCheck17_ReloadsUnderLoad")

// weight is the memory in use and the number of goroutines, without those of idle connections.
func weight(all []*shop) (heap uint64, goroutines int) {
	for _, s := range all {
		for _, f := range s.hangUp {
			f()
		}
	}
	heap = 1 << 62
	for range 5 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = min(heap, m.HeapAlloc)
	}
	return heap, runtime.NumGoroutine()
}

// load is callers that call getPet of a shop, over and over.
type load struct {
	calls atomic.Int64
	stop  context.CancelFunc
	group sync.WaitGroup
}

func (g *gate) load(t *testing.T, callers int) *load {
	l := &load{}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	who := member(t, "staff")
	for i := range callers {
		l.group.Go(func() {
			era := []catalog.Era{catalog.Legacy, catalog.Modern}[i%2]
			for ctx.Err() == nil {
				answer := g.ask(t, who, era, "tools/call", `{"name":"shop__getPet","arguments":{"id":7}}`)
				if !strings.Contains(answer, "Rex 7") || strings.Contains(answer, `"isError":true`) {
					t.Errorf("a call failed: %s", answer)
					return
				}
				l.calls.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(50 * time.Millisecond): // many callers, not many loops
				}
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) end() int64 {
	l.stop()
	l.group.Wait()
	return l.calls.Load()
}

// reloading is a shop whose description changes over and over.
type reloading struct {
	*gate
	shop *shop
	real int64        // changes that there were
	told atomic.Int64 // and that were told
}

func newReloading(t *testing.T, s *shop) *reloading {
	t.Helper()
	s.distant(t)
	s.closed = true // a ledger of all calls would be what grows
	r := &reloading{gate: newGate(t, object{"shop": s.config(nil, nil)}, everything(), nil), shop: s}
	t.Cleanup(r.gateway.Listen(member(t, "staff"), func(k catalog.Kind) {
		if k == catalog.Tool {
			r.told.Add(1)
		}
	}))
	return r
}

// change makes the description another one, every fifth time after one that is broken, and waits until the change is told, once.
func (r *reloading) change(t *testing.T) {
	t.Helper()
	problems := func() int { return len(r.set.Status()[0].Problems) }
	r.real++
	if r.real%5 == 0 {
		r.shop.put(t, broken)
		until(t, "the reason is there", func() bool { return problems() == 1 })
	}
	next := shopOperations()
	if r.real%2 == 1 {
		next = next[:len(next)-1]
	}
	r.shop.write(t, next)
	until(t, fmt.Sprintf("there are %d tools", len(next)), func() bool {
		return r.catalog.Snapshot().Len() == len(next) && r.told.Load() >= r.real && problems() == 0
	})
	if n := r.told.Load(); n != r.real {
		t.Fatalf("%d changes were told %d times", r.real, n)
	}
}

// TestCheck17_ReloadsUnderLoad: descriptions change over and over, every fifth time after one that is broken, while a hundred callers call. No call
// fails, each real change is told once, and neither memory nor goroutines grow. The whole of it, with -reloads=1000, takes some minutes.
func TestCheck17_ReloadsUnderLoad(t *testing.T) {
	changes, callers := *reloads, 100
	if testing.Short() {
		changes, callers = 12, 20
	}
	all := slices.Concat(shops(t), shops(t), shops(t)) // a gateway publishes once a second while its upstreams change without end
	var each []*reloading
	for _, s := range all {
		each = append(each, newReloading(t, s))
	}
	calling := func(f func()) (calls int64) {
		var loads []*load
		for _, r := range each {
			loads = append(loads, r.load(t, callers/len(each)+1))
		}
		f()
		for _, l := range loads {
			calls += l.end()
		}
		return calls
	}
	calling(func() {
		for range 2 { // every shop had both of its forms
			for _, r := range each {
				r.change(t)
			}
		}
	})
	heap, goroutines := weight(all)
	calls := calling(func() {
		for i := range changes {
			each[i%len(each)].change(t)
		}
	})
	var heapNow uint64
	var goroutinesNow int
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		heapNow, goroutinesNow = weight(all)
		if heapNow < heap+4<<20 && goroutinesNow < goroutines+20 {
			break
		}
		if time.Now().After(deadline) {
			t.Error("what the load used is not given back")
			break
		}
	}
	t.Logf("%d reloads, %d calls; heap %d KiB, then %d KiB; goroutines %d, then %d", changes, calls, heap>>10, heapNow>>10, goroutines, goroutinesNow)
	if calls < int64(callers) {
		t.Errorf("only %d calls", calls)
	}
}

// TestCheck16_NothingIsSentBefore: whatever is asked about an operation, and whatever is refused, no request reaches the API, counted there; what is
// allowed then makes exactly one.
func TestCheck16_NothingIsSentBefore(t *testing.T) {
	t.Parallel()
	rules := policy.Spec{
		Roles:      map[string][]string{"keeper": {"*/getPet", "*/oldPet", "*/addPet when named"}},
		Grants:     map[string][]string{"group:staff": {"keeper"}},
		Conditions: map[string]string{"named": `args.name != "Rex"`},
		Deny:       []policy.Deny{{Match: "*/oldPet", Reason: "it is gone", Instead: "shop/getPet"}},
	}
	for _, s := range shops(t) {
		for _, mode := range []string{"tools", "dynamic"} {
			g := newGate(t, object{"shop": s.config(object{"mode": mode}, nil)}, rules, nil)
			for _, era := range []catalog.Era{catalog.Legacy, catalog.Modern} {
				ask := func(method, params string) string { return g.ask(t, member(t, "staff"), era, method, params) }
				call := func(name, arguments string) string {
					if mode == "dynamic" {
						name, arguments = "call_shop", `{"name":"`+name+`","arguments":`+arguments+`}`
					}
					return ask("tools/call", `{"name":"shop__`+name+`","arguments":`+arguments+`}`)
				}
				before := len(s.reached())
				ask("tools/list", `{}`)
				ask("tools/call", `{"name":"shop__search_shop","arguments":{"query":"add a pet"}}`)
				ask("tools/call", `{"name":"shop__describe_shop","arguments":{"names":["addPet"]}}`)
				for _, refused := range []struct{ name, arguments, says string }{
					{"oldPet", `{"id":1}`, "it is gone"}, {"addPet", `{"name":"Rex"}`, "named"}, {"listPets", `{}`, "listPets"}, {"noPet", `{}`, "noPet"}, {"getPet", `{"id":"x"}`, "`id`"},
				} {
					if answer := call(refused.name, refused.arguments); !strings.Contains(answer, refused.says) {
						t.Errorf("%s, %s: %s: %s", s.kind, mode, refused.name, answer)
					}
				}
				if sent := s.reached()[before:]; len(sent) > 0 {
					t.Errorf("%s, %s: the API was asked for %q", s.kind, mode, sent)
				}
				call("addPet", `{"name":"Bo"}`)
				if sent := strings.Join(s.reached()[before:], " + "); sent != "addPet name=Bo" {
					t.Errorf("%s, %s: the API was asked for %q", s.kind, mode, sent)
				}
			}
		}
	}
}
