package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// proxied puts toxiproxy in front of an address, on a port of its own unless listen names one; toxic is one of its toxics in JSON, or "".
func proxied(t *testing.T, listen, url, toxic string) *toxiproxy.Proxy {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop()), t.Name(), listen,
		strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp"))
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	if toxic != "" {
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// An answer that comes a byte a second ends at the limit, that of silence or that of all, whether there was progress before or goes on without end.
func TestR3_DripEndsAtTheLimit(t *testing.T) {
	const progress = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":«ID»,\"progress\":1}}\n\n"
	event := "data: {\"jsonrpc\":\"2.0\",\"id\":«ID»,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" + strings.Repeat("x", 1000) + "\"}]}}\n\n"
	for name, c := range map[string]struct {
		spec   Spec
		kind   string
		before string // at once
		drip   string // a byte a second
		ends   time.Duration
		want   string
	}{
		"JSON":               {Spec{Timeout: time.Minute}, "application/json", "", strings.TrimPrefix(event, "data: "), time.Minute, "up: no answer within 1m0s"},
		"events":             {Spec{Timeout: time.Minute}, "text/event-stream", "", event, time.Minute, "up: no answer within 1m0s"},
		"silence":            {Spec{Timeout: time.Hour, IdleTimeout: time.Minute}, "text/event-stream", progress, event, time.Minute, "up: no answer and no sign of life within 1m0s"},
		"comments":           {Spec{Timeout: time.Hour, IdleTimeout: time.Minute}, "text/event-stream", "", strings.Repeat(":\n\n", 1000), time.Minute, "up: no answer and no sign of life within 1m0s"},
		"progress":           {Spec{Timeout: 20 * time.Minute, IdleTimeout: 5 * time.Minute}, "text/event-stream", "", strings.Repeat(progress, 100), 20 * time.Minute, "up: no answer within 20m0s"},
		"progress, too slow": {Spec{Timeout: time.Hour, IdleTimeout: time.Minute}, "text/event-stream", "", strings.Repeat(progress, 100), time.Minute, "up: no answer and no sign of life within 1m0s"},
		"in time":            {Spec{Timeout: time.Hour}, "text/event-stream", progress, event, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, end := virtualSet(t, c.spec, func(w http.ResponseWriter, r *http.Request, id string) {
					w.Header().Set("Content-Type", c.kind)
					write := func(text string) bool {
						_, err := fmt.Fprint(w, strings.ReplaceAll(text, "«ID»", id))
						return err == nil && http.NewResponseController(w).Flush() == nil
					}
					write(c.before)
					for _, b := range strings.ReplaceAll(c.drip, "«ID»", id) {
						select {
						case <-time.After(time.Second):
						case <-r.Context().Done():
							return
						}
						if !write(string(b)) {
							return
						}
					}
				})
				defer end()
				began := time.Now()
				a, err := callTool(t, s, "up__a")
				took := time.Since(began)
				if err == nil {
					a.Release()
				}
				if c.want == "" {
					if err != nil || a.Message.Kind != rawjson.Result || took > time.Duration(len(event)+10)*time.Second {
						t.Errorf("%v after %s", err, took)
					}
					return
				}
				if e := own(t, err); e.Code != catalog.Timeout || e.Execution != catalog.Unknown || e.Msg != c.want || (took-c.ends).Abs() > 100*time.Millisecond {
					t.Errorf("%+v after %s, want %q after %s", e, took, c.want, c.ends)
				}
			})
		})
	}
}

// The same on a real connection: a proxy lets one byte through a second, and the call ends at its limit.
func TestR3_DripThroughToxiproxy(t *testing.T) {
	const limit = time.Second
	for _, events := range []bool{false, true} {
		t.Run(fmt.Sprintf("events %t", events), func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Era: upstreamtest.Modern, Script: []upstreamtest.Act{{On: "echo", Events: events, Progress: 3, Pad: 1 << 10}}})
			p := proxied(t, "127.0.0.1:0", up.URL, "")
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: "http://" + p.Listen + "/mcp", Timeout: limit}})})
			settle(t, s)
			if _, err := p.Toxics.AddToxicJson(strings.NewReader(`{"type":"slicer","stream":"downstream","attributes":{"average_size":1,"delay":1000000}}`)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err := callTool(t, s, "up__echo")
			took := time.Since(began)
			t.Logf("ended %s after the limit of %s", took-limit, limit)
			if e := own(t, err); e.Code != catalog.Timeout || e.Execution != catalog.Unknown || e.Msg != "up: no answer within 1s" || took < limit {
				t.Errorf("%+v after %s", e, took)
			}
			if n := up.Ledger().Count("tools/call"); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}
