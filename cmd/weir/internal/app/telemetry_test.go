package app_test

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"weir/cmd/weir/internal/app"
	"weir/cmd/weir/internal/config"
	"weir/upstream/upstreamtest"
)

// collector takes spans and metrics by OTLP/HTTP, and answers as it is told to.
type collector struct {
	mu       sync.Mutex
	paths    map[string]bool
	taken    int // spans and reports
	refused  int
	lost     int              // spans, as the newest report counts them
	refusing http.HandlerFunc // nil to take everything
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	b, err := io.ReadAll(body)
	n, lost := 1, 0
	if err == nil && strings.HasSuffix(r.URL.Path, "traces") {
		n, err = spansIn(b)
	} else if err == nil {
		lost, err = lostIn(b)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	refusing := c.refusing
	c.paths[r.URL.RequestURI()] = true
	c.lost = lost
	if refusing == nil {
		c.taken += n
	} else {
		c.refused += n
	}
	c.mu.Unlock()
	if refusing != nil {
		refusing(w, r)
	}
}

func spansIn(b []byte) (n int, err error) {
	var batch coltrace.ExportTraceServiceRequest
	err = proto.Unmarshal(b, &batch)
	for _, from := range batch.ResourceSpans {
		for _, scope := range from.ScopeSpans {
			n += len(scope.Spans)
		}
	}
	return n, err
}

// lostIn is what a report says of weir.spans.lost.
func lostIn(b []byte) (n int, err error) {
	var report colmetrics.ExportMetricsServiceRequest
	err = proto.Unmarshal(b, &report)
	for _, from := range report.ResourceMetrics {
		for _, scope := range from.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == "weir.spans.lost" {
					n = int(m.GetSum().DataPoints[0].GetAsInt())
				}
			}
		}
	}
	return n, err
}

func (c *collector) answer(refusing http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusing = refusing
}

func (c *collector) counts() (taken, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken, c.refused
}

// startCollector serves a collector; nothing may reach OpenTelemetry's own handler of errors while it does.
func startCollector(t *testing.T) (*collector, *httptest.Server) {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10") // milliseconds
	old := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		if !errors.Is(err, context.Canceled) { // a metric reader's own end
			t.Errorf("OpenTelemetry's handler of errors got: %v", err)
		}
	}))
	t.Cleanup(func() { otel.SetErrorHandler(old) })
	c := &collector{paths: map[string]bool{}}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s
}

// telling starts a gateway whose telemetry is as given; calls makes calls, of two spans each.
func telling(t *testing.T, telemetry object) (p *place, a *app.App, calls func(n int)) {
	t.Helper()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	p = newPlace(t, object{"mcpServers": object{"notes": object{"url": up.URL}}, "telemetry": telemetry})
	_, a = p.open(t)
	settled(t, a)
	return p, a, func(n int) {
		for range n {
			if _, err := a.Call(t.Context(), "notes__echo", []byte(`{}`)); err != nil {
				t.Error(err)
			}
		}
	}
}

// toldOf are the lines of a log about telemetry: level, message, error, and whether the number lost is the one given.
func toldOf(p *place, lost int) (lines []string) {
	for line := range strings.Lines(p.log.String()) {
		if m := regexp.MustCompile(`level=(\w+) msg="(telemetry[^"]*)" key=telemetry\.(\w+)\.otlp endpoint=http://127.0.0.1:\d+(?: error="?([^"\n]*)"?)?(?: lost=(\d+))?\n`).FindStringSubmatch(line); m != nil {
			text := m[1] + " " + m[3] + ": " + m[2]
			if m[4] != "" {
				text += ": " + m[4]
			}
			if m[5] == strconv.Itoa(lost) {
				text += " (all)"
			} else if m[5] != "" {
				text += " (" + m[5] + " of " + strconv.Itoa(lost) + ")"
			}
			lines = append(lines, text)
		}
	}
	return lines
}

// TestTelemetryInTrouble: the log has one line when an endpoint begins to fail and one when it works again, which says how many were lost. Neither says anything
// that could be secret, and standard error has nothing.
func TestTelemetryInTrouble(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("it went where nobody sent it, with %v", r.Header)
	}))
	defer elsewhere.Close()
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, fmt.Sprint("CANARY ", r.Header), code) }
	}
	part := func(rejected int64) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			b, _ := proto.Marshal(&coltrace.ExportTraceServiceResponse{PartialSuccess: &coltrace.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: "CANARY (0 spans rejected)"}})
			_, _ = w.Write(b) // in the same form as that of metrics
		}
	}
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		why    string
		waits  bool
	}{
		{"it refuses", status(http.StatusForbidden), "status 403 Forbidden", false},
		{"it is not there", status(http.StatusNotFound), "status 404 Not Found", false},
		{"it is overloaded", status(http.StatusServiceUnavailable), "it is overloaded or away (status 429, 502, 503 or 504)", true},
		{"it says nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time", true},
		{"it takes nothing of it", part(1000), "it does not take all", false},
		{"it hangs up", func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = c.Close()
			}
		}, "no answer that can be read", false},
		{"it redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/CANARY", http.StatusTemporaryRedirect)
		}, "it redirects to another place", false},
	} {
		for _, signal := range []string{"traces", "metrics"} {
			t.Run(tt.name+", "+signal, func(t *testing.T) {
				c, s := startCollector(t)
				t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=CANARY")
				if tt.waits { // for an answer, or until it tries again; a busy machine takes its time for all that does not
					t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "300") // milliseconds
					t.Setenv("OTEL_METRIC_EXPORT_TIMEOUT", "300")
				}
				c.answer(tt.answer)
				spec := object{"otlp": s.URL + "/CANARY", "sample": 1}
				if signal == "metrics" {
					spec = object{"otlp": s.URL + "/CANARY", "interval": "20ms"}
				}
				p, a, calls := telling(t, object{signal: spec})
				for n := range 3 { // one batch each
					_, before := c.counts()
					calls(1)
					until(t, fmt.Sprint("refusal ", n), func() bool { _, refused := c.counts(); return refused > before })
				}
				until(t, "the line", func() bool { return len(toldOf(p, 0)) == 1 })
				c.answer(nil)
				calls(1)
				until(t, "it works again", func() bool { return strings.Contains(p.log.String(), "again") })
				_, refused := c.counts()
				want := []string{"WARN " + signal + ": telemetry does not arrive: " + tt.why, "INFO " + signal + ": telemetry arrives again (all)"}
				if err := a.Close(); err != nil {
					t.Error(err)
				}
				if d := cmp.Diff(want, toldOf(p, refused)); d != "" || refused < 3 {
					t.Errorf("%d refused; (-want +got): %s", refused, d)
				}
				if strings.Contains(p.log.String(), "CANARY") {
					t.Error("the log tells a secret:", p.log)
				}
			})
		}
	}
}

// TestTelemetryThatWaits: an endpoint that takes its time costs no more spans than there is no room for, every one is counted in the log and in the metrics, and the gateway is not held up.
func TestTelemetryThatWaits(t *testing.T) {
	c, s := startCollector(t)
	free := make(chan struct{})
	c.answer(func(http.ResponseWriter, *http.Request) { <-free })
	well, to := startCollector(t)
	const patience = "120000" // milliseconds: what is given up counts as lost and arrives all the same
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", patience)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", patience)
	p, a, calls := telling(t, object{"traces": object{"otlp": s.URL, "sample": 1}, "metrics": object{"otlp": to.URL, "interval": "1h"}})
	const made = 1200
	calls(made)
	until(t, "the line", func() bool { return len(toldOf(p, 0)) == 1 })
	c.answer(nil)
	close(free)
	until(t, "it works again", func() bool { return strings.Contains(p.log.String(), "again") })
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	taken, late := c.counts()
	want := []string{"WARN traces: telemetry does not arrive: there are more than it takes", "INFO traces: telemetry arrives again (all)"}
	lost := 2*made - taken - late
	if d := cmp.Diff(want, toldOf(p, lost)); d != "" || lost == 0 || well.lost != lost {
		t.Errorf("%d of %d spans were lost, the metrics say %d; (-want +got): %s", lost, 2*made, well.lost, d)
	}
}

// TestTelemetryThatNeverArrived: what could not be sent until the end is said at the end; that is no failure of the gateway.
func TestTelemetryThatNeverArrived(t *testing.T) {
	c, s := startCollector(t)
	c.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	p, a, calls := telling(t, object{"traces": object{"otlp": s.URL, "sample": 1}, "metrics": object{"otlp": s.URL, "interval": "1h"}})
	calls(2)
	until(t, "refusals", func() bool { _, refused := c.counts(); return refused >= 4 })
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	want := []string{
		"WARN traces: telemetry does not arrive: status 401 Unauthorized", "WARN traces: telemetry never arrived (4 of 1)",
		"WARN metrics: telemetry does not arrive: status 401 Unauthorized", "WARN metrics: telemetry never arrived (all)",
	}
	if d := cmp.Diff(want, toldOf(p, 1)); d != "" {
		t.Errorf("(-want +got): %s", d)
	}
}

// TestTelemetryEndpoints: the path of a signal is appended to the URL of the configuration, whatever that looks like.
func TestTelemetryEndpoints(t *testing.T) {
	for _, tt := range []struct{ name, path, want string }{
		{"nothing", "", "/v1/"},
		{"a slash", "/", "/v1/"},
		{"a path", "/otlp", "/otlp/v1/"},
		{"a path with a slash", "/api/otlp/", "/api/otlp/v1/"},
		{"many slashes", "/otlp///", "/otlp/v1/"},
		{"an escaped path", "/a%20b", "/a%20b/v1/"},
		{"https, with an authority of its own", "", "/v1/"},
		{"https, with a path", "/otlp/", "/otlp/v1/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := startCollector(t)
			if strings.HasPrefix(tt.name, "https") {
				s = httptest.NewTLSServer(c)
				defer s.Close()
				ca := filepath.Join(t.TempDir(), "ca.pem")
				if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
			}
			p, a, calls := telling(t, object{"traces": object{"otlp": s.URL + tt.path, "sample": 1}, "metrics": object{"otlp": s.URL + tt.path, "interval": "10ms"}})
			calls(1)
			all := func() map[string]bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				got := map[string]bool{}
				for path := range c.paths {
					got[path] = true
				}
				return got
			}
			until(t, "both signals", func() bool { return len(all()) >= 2 })
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(map[string]bool{tt.want + "traces": true, tt.want + "metrics": true}, all()); d != "" {
				t.Error("(-want +got):", d)
			}
			if told := toldOf(p, 0); told != nil {
				t.Error(told)
			}
		})
	}
}

// TestTelemetryHeaders: variables that OpenTelemetry would not understand are refused before it writes them to standard error.
func TestTelemetryHeaders(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		good        bool
	}{
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b, y-key=c=", true},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-key=CANARY,", false},
		{"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "CANARY", true}, // nobody reads it
		{"OTEL_EXPORTER_OTLP_HEADERS", "Bearer CANARY", false},
		{"OTEL_EXPORTER_OTLP_HEADERS", "x-key: CANARY", false},
		{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,x-key=100%zCANARY", false},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x key=CANARY", false},
	} {
		t.Run(tt.name+" "+tt.value, func(t *testing.T) {
			_, s := startCollector(t)
			t.Setenv(tt.name, tt.value)
			p := newPlace(t, object{"telemetry": object{"traces": object{"otlp": s.URL}}})
			file, err := config.Read(p.path, p.env.Config)
			if err != nil {
				t.Fatal(err)
			}
			a, err := app.New(file, p.env)
			if err == nil {
				err = a.Close()
			} else if !strings.Contains(err.Error(), tt.name) || strings.Contains(err.Error(), "CANARY") {
				t.Error(err)
			}
			if (err == nil) != tt.good {
				t.Error(err)
			}
		})
	}
}

// TestTelemetryThatCannotConnect: the log says what is wrong with a connection, as far as it is weir's or the network's word.
func TestTelemetryThatCannotConnect(t *testing.T) {
	plain, secured, gone := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler()), httptest.NewServer(nil)
	gone.Close()
	defer plain.Close()
	defer secured.Close()
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, tt := range []struct{ name, url, want string }{
		{"nobody listens", gone.URL, "connection refused"},
		{"an authority that nobody knows", secured.URL, "certificate signed by unknown authority"},
		{"no TLS", strings.Replace(plain.URL, "http", "https", 1), "no answer that can be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _ = startCollector(t)
			p, a, calls := telling(t, object{"traces": object{"otlp": tt.url, "sample": 1}})
			calls(1)
			until(t, "the line", func() bool { return strings.Contains(p.log.String(), "telemetry does not arrive") })
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if line := regexp.MustCompile(`telemetry does not arrive.*`).FindString(p.log.String()); !strings.Contains(line, tt.want) {
				t.Errorf("%s, want %q", line, tt.want)
			}
		})
	}
}
