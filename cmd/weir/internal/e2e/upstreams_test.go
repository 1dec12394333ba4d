package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// echo calls a tool that echoes, and returns an error unless the argument comes back as a result.
func echo(p peer, tool, say string) error {
	events, err := p.call("tools/call", object{"name": tool, "arguments": object{"say": say}})
	if err != nil {
		return err
	}
	answer := events[len(events)-1]
	if want := fmt.Sprintf(`"structuredContent":{"say":%q}`, say); !strings.Contains(string(answer.Result), want) {
		return fmt.Errorf("%s: result %s, error %s", tool, answer.Result, answer.Error)
	}
	return nil
}

// A call costs one upstream request on a connection that is kept, in every pair of eras.
func TestOneUpstreamRequestPerCall(t *testing.T) {
	const calls = 50
	for _, behind := range []upstreamtest.Era{upstreamtest.Legacy, upstreamtest.Modern, upstreamtest.Both} {
		for _, front := range []era{legacy, modern} {
			t.Run(fmt.Sprintf("%s client, upstream %q", front, behind), func(t *testing.T) {
				up := upstreamtest.New(t, upstreamtest.Config{Era: behind})
				g := serve(t, object{"mcpServers": object{"up": object{"url": up.URL}}})
				g.offers(t, 1)
				p := dialHTTP(t, g.url, front)
				must(t, echo(p, "up__echo", "once, for what a first call opens"))
				before := len(up.Ledger().Entries())
				for i := range calls {
					must(t, echo(p, "up__echo", fmt.Sprint(i)))
				}
				posted, conns := map[string]int{}, map[string]bool{}
				for _, entry := range up.Ledger().Entries()[before:] {
					if entry.Verb == "POST" {
						posted[entry.Method]++
						conns[entry.Conn] = true
					}
				}
				if diff := cmp.Diff(map[string]int{"tools/call": calls}, posted); diff != "" {
					t.Errorf("requests for %d calls: want (-) and seen (+):\n%s", calls, diff)
				}
				if len(conns) != 1 {
					t.Errorf("%d connections for calls one after the other", len(conns))
				}
				for _, breach := range up.Ledger().Breaches() {
					t.Error(breach)
				}
			})
		}
	}
}

// An upstream that accepts and never answers delays neither start, nor lists, nor calls of the others.
func TestSilentUpstreamDelaysNothing(t *testing.T) {
	const soon = 2 * time.Second // a silent upstream's time limits are tens of seconds
	deaf := upstreamtest.New(t, upstreamtest.Config{Deaf: true})
	deafChild := upstreamtest.Stdio(t, upstreamtest.Config{Deaf: true})
	up := upstreamtest.New(t, upstreamtest.Config{})
	begin := time.Now()
	g := serve(t, object{"mcpServers": object{
		"deaf": object{"url": deaf.URL}, "deafchild": object{"command": deafChild.Command, "args": deafChild.Args},
		"up": object{"url": up.URL},
	}})
	if names := g.offers(t, 1); len(names) != 1 || names[0] != "up__echo" {
		t.Errorf("lists %v", names)
	}
	for _, front := range []era{legacy, modern} {
		must(t, echo(dialHTTP(t, g.url, front), "up__echo", "anybody there?"))
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("start, list and calls took %s", took)
	}
}

// An upstream that forgets its sessions, as a restart makes it, costs at most one failed call.
func TestForgottenSessionsCostAtMostOneCall(t *testing.T) {
	for _, front := range []era{legacy, modern} {
		t.Run(string(front)+" client", func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Legacy})
			g := serve(t, object{"mcpServers": object{"up": object{"url": up.URL}}})
			g.offers(t, 1)
			p := dialHTTP(t, g.url, front)
			var failed int
			for i := range 30 {
				if i%10 == 5 {
					up.ForgetSessions()
				}
				if err := echo(p, "up__echo", fmt.Sprint(i)); err != nil {
					failed++
					t.Logf("call %d: %v", i, err)
				}
			}
			if failed > 3 {
				t.Errorf("%d calls failed over three restarts", failed)
			}
		})
	}
}

// A list that lacks an upstream must not be kept by the client: it would go without the upstream for as long.
func TestListsThatLackAnUpstreamAreNotKept(t *testing.T) {
	up, deaf := upstreamtest.New(t, upstreamtest.Config{}), upstreamtest.New(t, upstreamtest.Config{Deaf: true})
	for _, tt := range []struct {
		name    string
		servers object
		kept    bool
	}{
		{"all there", object{"up": object{"url": up.URL}}, true},
		{"one silent", object{"up": object{"url": up.URL}, "deaf": object{"url": deaf.URL}}, false},
		{"one disabled", object{"up": object{"url": up.URL}, "deaf": object{"url": deaf.URL, "disabled": true}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := serve(t, object{"mcpServers": tt.servers})
			g.offers(t, 1)
			events, err := dialHTTP(t, g.url, modern).call("tools/list", nil)
			must(t, err)
			var list struct{ TTLMs *int }
			must(t, json.Unmarshal(events[len(events)-1].Result, &list))
			if list.TTLMs == nil || *list.TTLMs > 0 != tt.kept {
				t.Errorf("%s", events[len(events)-1].Result)
			}
		})
	}
}
