package guard

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
)

// watching is an engine with flows.
func watching(t testing.TB, change func(*Flows)) *Engine {
	t.Helper()
	s := Default()
	s.Flows.Private, s.Flows.Untrusted, s.Flows.External = []string{"db/*", "mail/read"}, []string{"web/*", "mail/read"}, []string{"mail/send", "web/post", "db/export"}
	if change != nil {
		change(&s.Flows)
	}
	g, err := New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	e.Swap(g)
	return e
}

// T24: a step of a script is CALLER:TOOL, +DURATION before it lets time pass, and ! behind it says that it is refused.
func TestT24_Flows(t *testing.T) {
	for script, change := range map[string]func(*Flows){
		"ana:db/query ana:web/fetch ana:mail/send!":                         nil,
		"ana:web/fetch ana:db/query ana:mail/send! +1s ana:mail/send!":      nil,
		"ana:mail/read ana:mail/send!":                                      nil, // both at once
		"ana:mail/send ana:db/query ana:web/fetch ana:mail/send!":           nil, // what was sent before had nothing to send
		"ana:db/query ana:mail/send ana:web/fetch ana:mail/send!":           nil,
		"ana:web/fetch ana:mail/send ana:other/tool ana:mail/send":          nil, // nothing private was read
		"ana:db/query bob:web/fetch ana:mail/send bob:mail/send":            nil, // callers are apart
		"ana:db/query ana:web/post ana:web/post!":                           nil, // what it reads itself told nobody to call it
		"ana:db/export ana:web/fetch ana:db/export!":                        nil, // what it reads itself it sends
		"ana:db/query +59m ana:web/fetch +59s ana:mail/send!":               nil,
		"ana:db/query +59m ana:web/fetch +60s ana:mail/send":                nil, // the private part is long ago
		"ana:db/query ana:web/fetch +2h ana:mail/send":                      nil,
		"ana:db/query ana:web/fetch +50m ana:db/query +20m ana:mail/send":   nil,
		"ana:db/query ana:web/fetch +50m ana:mail/read +50m ana:mail/send!": nil,
		"ana:db/query ana:web/fetch ana:web/post! +61m ana:web/post":        nil, // what was refused read nothing
		"ana:db/query ana:web/fetch +2m ana:mail/send":                      func(f *Flows) { f.Window = time.Minute },
		"ana/1:db/query ana/2:web/fetch ana:mail/send ana/1:mail/send":      func(f *Flows) { f.Per = "trace" },
		"ana/1:db/query ana/1:web/fetch bob/1:mail/send ana/1:mail/send!":   func(f *Flows) { f.Per = "trace" },
		"ana/1:db/query ana/2:web/fetch ana/3:mail/send!":                   nil, // a trace means nothing then
		"ana:web/fetch ana:db/query<mail/send!":                             nil, // read for what sends
		"ana:db/query ana:web/fetch<mail/send ana:other/x<mail/send!":       nil,
		"ana:db/query<other/x ana:web/fetch ana:web/fetch<other/x":          nil,
	} {
		e, now := watching(t, change), time.Unix(1_800_000_000, 0)
		for i, step := range strings.Fields(script) {
			if step[0] == '+' {
				d, err := time.ParseDuration(step)
				if err != nil {
					t.Fatal(err)
				}
				now = now.Add(d)
				continue
			}
			step, refused := strings.CutSuffix(step, "!")
			who, what, _ := strings.Cut(step, ":")
			what, sends, inside := strings.Cut(what, "<")
			u := Use{Now: now, Ref: refOf(what)}
			if u.Caller, u.Trace, _ = strings.Cut(who, "/"); inside {
				outer := refOf(sends)
				u.Sends = &outer
			}
			leak := e.Enter(u)
			if (leak != nil) != refused {
				t.Errorf("%s: step %d, %s: %+v", script, i+1, step, leak)
			}
			if leak != nil && !leak.Block {
				t.Errorf("%s: step %d passes", script, i+1)
			}
		}
	}
}

func refOf(s string) catalog.Ref {
	up, name, _ := strings.Cut(s, "/")
	return catalog.Ref{Upstream: up, Name: name}
}

// T24: what was read stays known when the guard changes, and a guard that only flags says so.
func TestT24_Swap(t *testing.T) {
	e, now := watching(t, nil), time.Now()
	for _, what := range []string{"db/query", "web/fetch"} {
		e.Enter(Use{Caller: "ana", Ref: refOf(what), Now: now})
	}
	e.Swap(watching(t, func(f *Flows) { f.Action = Flag }).Guard())
	leak := e.Enter(Use{Caller: "ana", Ref: refOf("mail/send"), Now: now})
	if leak == nil || leak.Block || leak.Private != refOf("db/query") || leak.Untrusted != refOf("web/fetch") || !leak.Until.Equal(now.Add(time.Hour)) {
		t.Errorf("%+v", leak)
	}
	e.Swap(nil)
	if leak := e.Enter(Use{Caller: "ana", Ref: refOf("mail/send"), Now: now}); leak != nil {
		t.Errorf("without a guard: %+v", leak)
	}
	if leak := (*Engine)(nil).Guard(); leak != nil {
		t.Error(leak)
	}
}

// T24: of calls at the same time one is the earlier: whoever has read both, sends nothing after.
func TestT24_AtOnce(t *testing.T) {
	e, now := watching(t, nil), time.Now()
	var both atomic.Int32
	var wg sync.WaitGroup
	for i := range 100 {
		for _, what := range []string{"db/query", "web/fetch"} {
			wg.Go(func() {
				u := Use{Caller: fmt.Sprint(i), Ref: refOf(what), Now: now}
				e.Enter(u)
				u.Ref = refOf("mail/send")
				if e.Enter(u) != nil {
					both.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if n := both.Load(); n < 100 {
		t.Errorf("%d of 100 callers were refused", n)
	}
}

// A section that would watch nothing is an error.
func TestT24_Incomplete(t *testing.T) {
	for want, change := range map[string]func(*Flows){
		"private is empty":  func(f *Flows) { f.Private = nil },
		"external is empty": func(f *Flows) { f.External = nil },
		"flows.untrusted: ": func(f *Flows) { f.Untrusted = []string{"web__fetch"} },
		"flows.window":      func(f *Flows) { f.Window = 0 },
		"flows.action":      func(f *Flows) { f.Action = Redact },
	} {
		s := Default()
		s.Flows.Private, s.Flows.Untrusted, s.Flows.External = []string{"a/*"}, []string{"b/*"}, []string{"c/*"}
		change(&s.Flows)
		if _, err := New(s, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
