package mcphttp

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/server/authn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstreamFunc is an upstream that a test writes as one function.
type upstreamFunc func(context.Context, *catalog.Call) (*catalog.Answer, error)

func (f upstreamFunc) Call(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
	return f(ctx, c)
}

// result makes the answer that carries a raw result.
func result(t testing.TB, era catalog.Era, raw string) *catalog.Answer {
	t.Helper()
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"result":`+raw+`}`)); err != nil {
		t.Errorf("scan %s: %v", raw, err)
	}
	return catalog.NewAnswer(m, era, nil)
}

// fixture is a gateway over one upstream "up" with a few tools, behind a real HTTP server.
type fixture struct {
	t       *testing.T
	url     string
	catalog *catalog.Catalog
	end     *Endpoint
	server  *Server
	stop    func() error // ends the server and returns how that went; it may be called more than once
	client  *http.Client
}

func source(tools ...string) *catalog.Source {
	s := &catalog.Source{Upstream: "up", Capabilities: []byte(`{"tools":{}}`)}
	for _, name := range tools {
		s.Tools = append(s.Tools, []byte(`{"name":"`+name+`","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}`))
	}
	return s
}

func start(t *testing.T, up upstreamFunc, change func(*server.Spec)) *fixture {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	engine, err := policy.New()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{source("echo", "other")}, catalog.Options{Naming: catalog.Prefix}))
	spec := server.Default()
	spec.DrainTimeout = 5 * time.Second
	if change != nil {
		change(&spec)
	}
	g := server.New(server.Options{Catalog: c, Policy: engine, Upstream: up, Log: log, Version: "1.2.3", ListTTL: spec.ListTTL})
	e := New(Options{Gateway: g, Spec: spec, Log: log, Authenticate: func(*http.Request) (authn.Caller, error) { return authn.Caller{Principal: policy.LocalUser()}, nil }})
	f := &fixture{t: t, catalog: c, end: e, server: NewServer(ServerOptions{Spec: spec, Handler: e, Log: log, MaxConnections: spec.MaxConnections, Drain: e.Drain, GiveUp: e.GiveUp})}
	f.serve()
	f.client = &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		e.Close()
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// serve starts the server on a port of its own.
func (f *fixture) serve() {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.url = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(ctx, ln) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
}

// answer is what came back for a request: status, selected header, body.
type answer struct {
	Status int
	Type   string
	Body   string
}

func (f *fixture) do(method, body string, header ...string) (answer, http.Header) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, f.url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := f.client.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), string(b)}, resp.Header
}
