package export

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gosyslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"weir/server/record/requestlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func row(i int) requestlog.Row {
	return requestlog.Row{
		ID: fmt.Sprintf("id-%05d", i), At: time.Date(2026, 11, 20, 12, 0, i%60, 0, time.UTC), Who: "user:ana", Method: "tools/call", Upstream: "bank", Name: "pay", Kind: "tool",
		Era: "modern", Rule: "grants.user:ana[0]", Outcome: "unavailable", Reason: "bank: is \"down\"]\n|=", Execution: "not executed", Millis: 1.5, In: 10, Out: 20,
		Trace: "0af7651916cd43dd8448eb211c80319c", Address: "192.0.2.1", Arguments: `{"CANARY":1}`,
	}
}

// seen counts ids, safe for concurrent use.
type seen struct {
	mu  sync.Mutex
	ids map[string]int
}

func (s *seen) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = make(map[string]int)
	}
	s.ids[id]++
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

// all waits until n ids were seen, and fails where one was seen twice.
func (s *seen) all(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.count() < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages came", s.count(), n)
		}
		time.Sleep(5 * time.Millisecond) // polls
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, times := range s.ids {
		if times != 1 {
			t.Errorf("%s came %d times", id, times)
		}
	}
}

func start(t *testing.T, s Spec) *Exporter {
	t.Helper()
	if key, err := s.Check(); err != nil {
		t.Fatal(key, err)
	}
	e, err := New(s, "1.0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// TestShapes: each shape is what its format says, and nothing in a value can break out of its field.
func TestShapes(t *testing.T) {
	r := row(1)
	r.Arguments = ""
	got, err := shaped("cef", "1|0", &r)
	want := `CEF:0|weir|weir|1\|0|tools/call|tools/call bank/pay|5|rt=1795176001000 externalId=id-00001 suser=user:ana src=192.0.2.1 act=tools/call outcome=unavailable ` +
		`reason=bank: is "down"]\n|\= destinationServiceName=bank in=10 out=20 cs1Label=tool cs1=pay cs2Label=rule cs2=grants.user:ana[0] cs3Label=trace ` +
		`cs3=0af7651916cd43dd8448eb211c80319c cs4Label=era cs4=modern cs5Label=execution cs5=not executed cfp1Label=milliseconds cfp1=1.5`
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Error(err, "cef (-want +got):", diff)
	}
	raw, err := shaped("ocsf", "1.0", &r)
	var o map[string]any
	if err != nil || json.Unmarshal(raw, &o) != nil {
		t.Fatal(err, string(raw))
	}
	for _, required := range []string{"activity_id", "actor", "api", "category_uid", "class_uid", "metadata", "severity_id", "src_endpoint", "time", "type_uid"} {
		if o[required] == nil {
			t.Errorf("ocsf lacks %s, which API Activity requires", required)
		}
	}
	if o["type_uid"] != float64(6003*100+99) || o["status_id"] != 2.0 {
		t.Errorf("ocsf: %s", raw)
	}
	for _, shape := range Shapes() {
		if line, err := shaped(shape, "1", &r); err != nil || bytes.ContainsAny(line, "\n\r") {
			t.Errorf("%s is no line: %v %q", shape, err, line)
		}
	}
}

// syslogReceiver takes syslog over TCP and TLS, read by a parser that is not ours.
type syslogReceiver struct {
	seen
	last *rfc5424.SyslogMessage
}

// serve takes connections until stop is called.
func (r *syslogReceiver) serve(t *testing.T, ln net.Listener) (stop func()) {
	t.Helper()
	var conns sync.WaitGroup
	var open sync.Map
	conns.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			conns.Go(func() {
				p := octetcounting.NewParser(gosyslog.WithListener(func(got *gosyslog.Result) {
					m, ok := got.Message.(*rfc5424.SyslogMessage)
					if !ok || got.Error != nil || m.StructuredData == nil {
						if got.Error != nil && !errors.Is(got.Error, io.EOF) && got.Message != nil {
							t.Errorf("not RFC 5424: %v", got.Error)
						}
						return
					}
					r.last = m
					r.add((*m.StructuredData)["weir@32473"]["id"])
				}), gosyslog.WithMaxMessageLength(1<<20))
				p.Parse(c)
			})
		}
	})
	return func() {
		_ = ln.Close()
		open.Range(func(c, _ any) bool {
			if conn, ok := c.(net.Conn); ok {
				_ = conn.Close()
			}
			return true
		})
		conns.Wait()
	}
}

// TestTLS: syslog, HTTP and OTLP over TLS reach a receiver whose authority the file names, and nobody else.
func TestTLS(t *testing.T) {
	web := &receiver{}
	server := httptest.NewUnstartedServer(web)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	collector := &syslogReceiver{}
	defer collector.serve(t, ln)()
	for _, tt := range []struct {
		name string
		to   Spec
		got  *seen
	}{
		{"syslog", Spec{Syslog: "tls://" + ln.Addr().String()}, &collector.seen},
		{"http", Spec{HTTP: server.URL}, &web.seen},
		{"otlp", Spec{OTLP: server.URL}, &web.seen},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.got.count()
			stranger := start(t, tt.to)
			stranger.Put(row(0))
			if err := stranger.Close(); err == nil || tt.got.count() != before { // Close tries once more
				t.Errorf("a message went to a receiver that nobody vouches for: %v", err)
			}
			tt.to.CA = ca
			e := start(t, tt.to)
			for i := range 100 {
				r := row(i)
				r.ID = tt.name + r.ID
				e.Put(r)
			}
			tt.got.all(t, before+100)
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBadCA: a file of authorities that cannot be used is said when weir starts.
func TestBadCA(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{empty, empty + ".not.there"} {
		if _, err := New(Spec{HTTP: "https://127.0.0.1:1", CA: ca}, "1", slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "export: ca: ") || !strings.Contains(err.Error(), ca) {
			t.Errorf("%s: %v", ca, err)
		}
	}
}

// TestSyslogTCP: a parser that is not ours reads every message, framed by octets; a receiver that was away gets what came meanwhile.
func TestSyslogTCP(t *testing.T) {
	r := &syslogReceiver{}
	listen := func(address string) (string, func()) {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return ln.Addr().String(), r.serve(t, ln)
	}
	addr, stop := listen("127.0.0.1:0")
	e := start(t, Spec{Syslog: "tcp://" + addr, Spool: t.TempDir()})
	for i := range 300 {
		e.Put(row(i))
	}
	r.all(t, 300)
	stop()
	for i := 300; i < 600; i++ {
		e.Put(row(i))
	}
	_, stop = listen(addr)
	defer stop()
	r.all(t, 600)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	stop()
	m := r.last
	if *m.Facility != facility || *m.Severity != warning || *m.Appname != "weir" || *m.MsgID != "tools/call" || (*m.StructuredData)["weir@32473"]["outcome"] != "unavailable" {
		t.Errorf("%+v", m)
	}
	if !json.Valid([]byte(*m.Message)) || strings.Contains(*m.Message, "CANARY") {
		t.Errorf("message: %s", *m.Message)
	}
}

// TestSyslogUDP: one datagram for each message.
func TestSyslogUDP(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	e := start(t, Spec{Syslog: "udp://" + conn.LocalAddr().String(), Shape: "cef"})
	e.Put(row(1))
	b := make([]byte, 64<<10)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, _, err := conn.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := rfc5424.NewParser().Parse(b[:n])
	if err != nil || !strings.HasPrefix(*m.(*rfc5424.SyslogMessage).Message, "CEF:0|weir|") { //nolint:errcheck,forcetypeassert // of this parser
		t.Errorf("%v: %s", err, b[:n])
	}
}

// receiver is an HTTP sink that can be down.
type receiver struct {
	seen
	down, bad bool
	headers   http.Header
	otlp      *logs.ExportLogsServiceRequest
}

func (r *receiver) set(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	down, bad := r.down, r.bad
	r.headers = q.Header
	r.mu.Unlock()
	switch {
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case bad:
		w.WriteHeader(http.StatusBadRequest)
		return
	case q.URL.Path == "/v1/logs":
		m := new(logs.ExportLogsServiceRequest)
		if err := proto.Unmarshal(body, m); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, l := range m.ResourceLogs[0].ScopeLogs[0].LogRecords {
			r.add(l.Attributes[0].Value.GetStringValue())
		}
		r.mu.Lock()
		r.otlp = m
		r.mu.Unlock()
		return
	}
	for line := range bytes.Lines(body) {
		var one requestlog.Row
		if err := json.Unmarshal(line, &one); err == nil {
			r.add(one.ID)
		}
	}
}

// TestS30_SinkDownThenUp: nothing is lost and nothing comes twice, through an outage with a restart in it.
func TestS30_SinkDownThenUp(t *testing.T) {
	for _, kind := range []string{"http", "otlp"} {
		t.Run(kind, func(t *testing.T) {
			r := &receiver{}
			web := httptest.NewServer(r)
			defer web.Close()
			s := Spec{HTTP: web.URL, Headers: map[string]string{"X-Key": "k"}, Spool: t.TempDir()}
			if kind == "otlp" {
				s.HTTP, s.OTLP = "", web.URL
			}
			e := start(t, s)
			put := func(from, to int) {
				for i := from; i < to; i++ {
					e.Put(row(i))
				}
			}
			put(0, 1200)
			r.all(t, 1200)
			r.set(true)
			put(1200, 2400)
			if err := e.Close(); err != nil { // the rest waits in the folder
				t.Fatal(err)
			}
			e = start(t, s)
			put(2400, 3600)
			if r.count() != 1200 {
				t.Errorf("%d came while the sink was down", r.count())
			}
			r.set(false)
			r.all(t, 3600)
			if err := e.Close(); err != nil || !e.spool.empty() {
				t.Errorf("%v; spool empty: %v", err, e.spool.empty())
			}
			if r.headers.Get("X-Key") != "k" || r.headers.Get("Idempotency-Key") == "" {
				t.Errorf("headers %v", r.headers)
			}
		})
	}
}

// TestOTLP: attributes have the names of spans, the trace is the request's.
func TestOTLP(t *testing.T) {
	r := &receiver{}
	web := httptest.NewServer(r)
	defer web.Close()
	e := start(t, Spec{OTLP: web.URL + "/"})
	e.Put(row(1))
	r.all(t, 1)
	_ = e.Close()
	l := r.otlp.ResourceLogs[0].ScopeLogs[0].LogRecords[0]
	var got []string
	for _, a := range l.Attributes {
		if s := a.Value.GetStringValue(); s != "" {
			got = append(got, a.Key+"="+s)
		}
	}
	want := []string{
		"log.record.uid=id-00001", "weir.principal=user:ana", "mcp.method.name=tools/call", "weir.upstream=bank", "gen_ai.tool.name=pay", "weir.era=modern",
		"weir.policy.rule=grants.user:ana[0]", "weir.outcome=unavailable", "weir.execution=not executed", "weir.reason=" + row(1).Reason, "client.address=192.0.2.1", "error.type=unavailable",
	}
	if diff := cmp.Diff(want, got); diff != "" || fmt.Sprintf("%x", l.TraceId) != row(1).Trace {
		t.Errorf("trace %x (-want +got):\n%s", l.TraceId, diff)
	}
}

// TestBounds: the spool stays within its bound, the oldest go, and what is lost is counted; a batch that is bad stops nobody.
func TestBounds(t *testing.T) {
	s, err := openSpool(t.TempDir(), 2000)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for i := range 20 {
		n, err := s.push(batch{rows: []requestlog.Row{row(i)}})
		if err != nil {
			t.Fatal(err)
		}
		lost += n
	}
	if b, ok := s.first(); !ok || s.size > 2000 || lost == 0 || b.rows[0].ID != fmt.Sprintf("id-%05d", lost) {
		t.Errorf("%d bytes, %d lost, first %+v", s.size, lost, b)
	}
	r := &receiver{bad: true}
	web := httptest.NewServer(r)
	defer web.Close()
	e := start(t, Spec{HTTP: web.URL})
	e.Put(row(1))
	if err := e.Close(); err == nil || e.Lost() != 1 || !e.spool.empty() {
		t.Errorf("a refused batch: %v, %d lost", err, e.Lost())
	}
}

// TestSpecs: what cannot work is said, without any value.
func TestSpecs(t *testing.T) {
	for _, tt := range []struct {
		spec Spec
		key  string
	}{
		{Spec{}, ""},
		{Spec{HTTP: "http://CANARY", OTLP: "http://x"}, ""},
		{Spec{Syslog: "http://CANARY:1"}, "syslog"},
		{Spec{Syslog: "tcp://CANARY"}, "syslog"},
		{Spec{Syslog: "tcp://x:1", Headers: map[string]string{"CANARY": "x"}}, "headers"},
		{Spec{HTTP: "ftp://CANARY"}, "http"},
		{Spec{HTTP: "https://user:CANARY@x"}, "http"},
		{Spec{OTLP: "http://x", Shape: "cef"}, "shape"},
	} {
		if key, err := tt.spec.Check(); err == nil || key != tt.key || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%+v: %s %v", tt.spec, key, err)
		}
	}
}
