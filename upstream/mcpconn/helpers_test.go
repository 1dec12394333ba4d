package mcpconn

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/upstream/upstreamtest"
)

// config is what tests connect with; edit may change it.
func config(url string, edit ...func(*Config)) Config {
	cfg := Config{
		Name: "up", Transport: "http", URL: url, Client: Implementation{Name: "weir", Version: "test"},
		Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range edit {
		f(&cfg)
	}
	return cfg
}

func pinned(era string) func(*Config) { return func(c *Config) { c.Era = era } }

// dial connects and closes the connection with the test.
func dial(t testing.TB, cfg Config) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), cfg)
	return closed(t, c, err)
}

// dialOver is dial over a client of the test's choice; nil leaves weir's.
func dialOver(t testing.TB, cfg Config, over client) *Conn {
	t.Helper()
	cfg.defaults()
	e, err := newEndpoint(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if over != nil {
		e.client = over
	}
	c, err := dialEndpoint(t.Context(), &cfg, e)
	return closed(t, c, err)
}

func closed(t testing.TB, c *Conn, err error) *Conn {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// serve starts a fake that ends before the goroutines are counted.
func serve(t testing.TB, cfg upstreamtest.Config) *upstreamtest.Server {
	t.Helper()
	return upstreamtest.New(t, cfg)
}

// caller is a client of one era, with everything that reached it.
type caller struct {
	era   catalog.Era
	caps  string
	level string

	mu   sync.Mutex
	seen []string
}

func (c *caller) notify(n catalog.Notification) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, n.Method+" "+string(n.Params))
}

// call makes a call the way the edge does. meta is a raw object or empty; rest are further raw members of params, each with a leading comma.
func (c *caller) call(t testing.TB, method, target, meta, rest string) *catalog.Call {
	t.Helper()
	member, kind := "name", catalog.Tool
	switch method {
	case "resources/read":
		member, kind = "uri", catalog.Resource
	case "prompts/get":
		kind = catalog.Prompt
	}
	params := fmt.Sprintf(`{%q:%q%s`, member, "public__"+target, rest)
	if meta != "" {
		params += `,"_meta":` + meta
	}
	return c.raw(t, method, target, kind, params+"}")
}

func (c *caller) raw(t testing.TB, method, target string, kind catalog.Kind, params string) *catalog.Call {
	t.Helper()
	var m rawjson.Message
	data := `{"jsonrpc":"2.0","id":"client-1","method":"` + method + `"`
	if params != "" {
		data += `,"params":` + params
	}
	if err := rawjson.Scan(&m, []byte(data+"}")); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	caps := c.caps
	if caps == "" {
		caps = "{}"
	}
	return &catalog.Call{
		Method: method, Target: target, Message: &m, Notify: c.notify, InputRequired: c.era == catalog.Modern,
		Entry:  &catalog.Entry{Kind: kind, Ref: catalog.Ref{Upstream: "up", Name: target}},
		Client: &catalog.Client{Era: c.era, Capabilities: []byte(caps), LogLevel: c.level, Session: "s"},
	}
}

func modernCaller() *caller { return &caller{era: catalog.Modern} }

// result calls and returns the raw result; an error of any kind ends the test.
func result(t testing.TB, c *Conn, call *catalog.Call) string {
	t.Helper()
	a, err := c.Call(t.Context(), call)
	if err != nil {
		t.Fatalf("%s: %v", call.Method, err)
	}
	defer a.Release()
	m := a.Message
	if m.Kind != rawjson.Result {
		t.Fatalf("%s: error %s", call.Method, m.Error.Of(m.Data))
	}
	if !json.Valid(m.Data) {
		t.Fatalf("%s: broken answer %s", call.Method, m.Data)
	}
	return string(m.Result.Of(m.Data))
}

// httpServer serves h until the end of the test.
func httpServer(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}
