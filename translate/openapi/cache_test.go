package openapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
)

// memory is a cache for tests.
type memory struct {
	mu   sync.Mutex
	data map[string][]byte
	hits int
}

func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.data[key]
	if ok {
		m.hits++
	}
	return data, ok
}

func (m *memory) Put(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		m.data = make(map[string][]byte)
	}
	m.data[key] = data
}

// TestCache: what comes out of the cache is what was read without one: the same lists, the same report, the same calls, in every mode. What is
// damaged, or was made with other settings or credentials, is read anew.
func TestCache(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method+" "+r.URL.RequestURI())
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"id":1,"name":"n"}`)
	}))
	defer server.Close()
	for _, mode := range []string{translate.ModeTools, translate.ModeDynamic} {
		c := &memory{}
		start := func(s Spec, o translate.Options) *API {
			s.Server, s.Mode, o.Cache = server.URL, mode, c
			return newAPI(t, small, s, o)
		}
		cold, warm := start(Spec{}, translate.Options{}), start(Spec{}, translate.Options{})
		if c.hits != 1 || len(c.data) != 1 {
			t.Fatalf("%s: %d hits, %d kept", mode, c.hits, len(c.data))
		}
		if diff := cmp.Diff(cold.Source().Tools, warm.Source().Tools); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(cold.Source().Hidden, warm.Source().Hidden); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(cold.Report(), warm.Report()); diff != "" {
			t.Error(diff)
		}
		calls := [][2]string{{"getThing", `{"id":7}`}, {"getThing", `{}`}, {"noThing", `{}`}}
		if mode == translate.ModeDynamic {
			calls = [][2]string{
				{"search_api", `{"query":"one thing"}`},
				{"describe_api", `{"names":["putThing","getThing"]}`},
				{"call_api", `{"name":"getThing","arguments":{"id":7}}`},
				{"call_api", `{"name":"noThing"}`},
			}
		}
		for _, x := range calls {
			sent = nil
			want, wantErr := call(t, cold, x[0], x[1])
			direct := sent
			sent = nil
			got, err := call(t, warm, x[0], x[1])
			if (err == nil) != (wantErr == nil) || err == nil && !got.Equal(want) {
				t.Errorf("%s %s: %v, %v; want %v, %v", x[0], x[1], got, err, want, wantErr)
			}
			if diff := cmp.Diff(direct, sent); diff != "" {
				t.Error(diff)
			}
		}
		start(Spec{Arrays: "repeat"}, translate.Options{})
		if c.hits != 1 {
			t.Error("other settings have the same key")
		}
		start(Spec{}, translate.Options{Credentials: &secret{}})
		for key := range c.data {
			c.data[key] = []byte("damaged")
		}
		if again := start(Spec{}, translate.Options{}); len(again.Source().Tools) != len(cold.Source().Tools) {
			t.Error("a damaged cache was believed")
		}
	}
}

// TestStartWithoutTheServer: what a URL had last is used at a start at which nobody answers there, and the next answer takes its place.
func TestStartWithoutTheServer(t *testing.T) {
	up := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprint(w, small)
	}))
	defer server.Close()
	c := &memory{}
	start := func(o translate.Options) (*API, error) {
		o.Upstream, o.Transport = "api", server.Client().Transport
		a, err := New(t.Context(), Spec{OpenAPI: server.URL + "/openapi.json?key=secret", Server: "https://h.test"}, o)
		if err == nil {
			t.Cleanup(func() { _ = a.Close(context.WithoutCancel(t.Context())) })
		}
		return a, err
	}
	first, err := start(translate.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	up = false
	if _, err := start(translate.Options{}); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "status 502") {
		t.Errorf("without a cache: %v", err)
	}
	again, err := start(translate.Options{Cache: c})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Source().Tools, again.Source().Tools); diff != "" {
		t.Error(diff)
	}
	warned := func() string { return fmt.Sprint(again.Report().Warnings) }
	if !strings.Contains(warned(), "the description cannot be read now; this is the last one") {
		t.Error(warned())
	}
	if again.Reload(t.Context()); !strings.Contains(again.Report().Outdated, "status 502") {
		t.Errorf("%+v", again.Report())
	}
	up = true
	if again.Reload(t.Context()); again.Report().Outdated != "" || strings.Contains(warned(), "cannot be read now") {
		t.Errorf("%+v", again.Report())
	}
}

// BenchmarkWarm reads GitHub's description, of which the cache holds what lists need. cpu-ms is the time of all threads.
func BenchmarkWarm(b *testing.B) {
	f := corpus(b, "github")[0]
	file := filepath.Join(b.TempDir(), "openapi.json")
	if err := os.WriteFile(file, f.text, 0o600); err != nil {
		b.Fatal(err)
	}
	c := &memory{}
	newAPI(b, string(f.text), Spec{Server: "https://h.test"}, translate.Options{Cache: c})
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		a, err := New(b.Context(), Spec{OpenAPI: file, Server: "https://h.test"}, translate.Options{Upstream: "api", Cache: c})
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	for _, data := range c.data {
		b.ReportMetric(float64(len(data))/(1<<20), "kept-MB")
	}
	if c.hits == 0 {
		b.Error("nothing came out of the cache")
	}
}
