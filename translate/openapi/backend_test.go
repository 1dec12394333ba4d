package openapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
	"weir/translate/schema"
)

func literal(t *testing.T, text string) translate.Literal {
	t.Helper()
	v, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return translate.Literal{Value: v}
}

func TestCuration(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = r.Method + " " + r.URL.RequestURI() + " " + string(body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":1,"name":"n","tags":["a"]}`)
	}))
	defer server.Close()
	yes := true
	a := newAPI(t, small, Spec{
		Server: server.URL,
		Spec: translate.Spec{Include: []string{"/things/*"}, Exclude: []string{"DELETE"}, Tools: map[string]translate.Tool{
			"getThing":         {Name: "read_thing", Description: "Reads.", Args: map[string]translate.Arg{"id": {Fixed: literal(t, "7")}, "page": {Rename: "p", Default: literal(t, "1")}}, Result: translate.Shape{Fields: []string{"name"}}},
			"PUT /things/{id}": {Args: map[string]translate.Arg{"size": {Hide: true, Fixed: literal(t, "5")}}, Hints: translate.Hints{Idempotent: new(bool), ReadOnly: &yes}},
			"nothing":          {Name: "x"},
		}},
	}, translate.Options{})
	var names []string
	for _, raw := range a.Source().Tools {
		item, err := schema.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, item.GetText("name"))
	}
	if diff := cmp.Diff([]string{"read_thing", "putThing"}, names); diff != "" {
		t.Error(diff)
	}
	got, err := call(t, a, "read_thing", `{}`)
	if err != nil || seen != "GET /things/7?page=1 " || got.Get("structuredContent").JSON() != `{"name":"n"}` {
		t.Errorf("sent %q, got %v, %v", seen, got, err)
	}
	seen = ""
	for _, smuggled := range []string{`{"id":8}`, `{"ID":8}`, `{"page":3}`} {
		if got, err := call(t, a, "read_thing", smuggled); err != nil || !got.True("isError") || seen != "" {
			t.Errorf("%s was taken: sent %q", smuggled, seen)
		}
	}
	if _, err := call(t, a, "putThing", `{"id__path":"a","name":"n"}`); err != nil || seen != `PUT /things/a {"name":"n","size":5}` {
		t.Errorf("sent %q, %v", seen, err)
	}
	if w := a.Report().Warnings; len(w) != 1 || !strings.Contains(w[0].Message, `"nothing" names no operation`) {
		t.Errorf("warnings %+v", w)
	}
}

// TestDynamic goes through the three tools; what a caller may not see is not there for it.
func TestDynamic(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { requests++; w.WriteHeader(204) }))
	defer server.Close()
	a := newAPI(t, small, Spec{Server: server.URL, Spec: translate.Spec{Mode: translate.ModeDynamic, Pinned: []string{"listThings"}}}, translate.Options{})
	sees := func(name string) bool { return name != "deleteThing" }
	if n := len(a.Source().Tools); n != 4 {
		t.Errorf("%d tools are listed", n)
	}
	found, err := callSeeing(t, a, sees, "search_api", `{"query":"change a thing"}`)
	if err != nil || !strings.Contains(textOf(found), "putThing(id__path, name) [di]") || strings.Contains(textOf(found), "deleteThing") {
		t.Errorf("got %s, %v", textOf(found), err)
	}
	told, err := callSeeing(t, a, sees, "describe_api", `{"names":["putThing"]}`)
	if err != nil || !strings.Contains(textOf(told), `"size":{"type":"integer"}`) {
		t.Errorf("got %s, %v", textOf(told), err)
	}
	if done, err := callSeeing(t, a, sees, "call_api", `{"name":"putThing","arguments":{"id__path":"a","name":"n"}}`); err != nil || textOf(done) != "Done (204)." {
		t.Errorf("got %v, %v", done, err)
	}
	if requests != 1 {
		t.Errorf("%d requests", requests)
	}
	denied, err := callSeeing(t, a, sees, "call_api", `{"name":"deleteThing","arguments":{"id":"a"}}`)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := callSeeing(t, a, sees, "call_api", `{"name":"eraseThing","arguments":{"id":"a"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(textOf(unknown), "eraseThing", "deleteThing"), textOf(denied)); diff != "" || requests != 1 {
		t.Errorf("denied and unknown differ (%d requests): %s", requests, diff)
	}
	if _, err := callSeeing(t, a, sees, "putThing", `{"id__path":"a","name":"n"}`); err == nil {
		t.Error("an operation that is not listed can be called by its name")
	}
	if wrong, err := callSeeing(t, a, sees, "call_api", `{"name":"putThing","arguments":{"id__path":"a"}}`); err != nil || !strings.Contains(textOf(wrong), "`name` is missing") {
		t.Errorf("got %v, %v", wrong, err)
	}
}

// secret is a credential for tests.
type secret struct {
	value   atomic.Pointer[string]
	renewed atomic.Int32
}

func (s *secret) Has(name string) bool { return name == "key" }

func (s *secret) Authorize(_ context.Context, r *http.Request, scheme translate.SecurityScheme, _ string) error {
	r.Header.Set(scheme.Param, *s.value.Load())
	return nil
}

func (s *secret) Renew(context.Context, translate.SecurityScheme, string) bool {
	fresh := "fresh-secret"
	s.value.Store(&fresh)
	return s.renewed.Add(1) == 1
}

// TestCredentials: arguments cannot take the place of a credential, a refused one is renewed once, and an echo of it is removed.
func TestCredentials(t *testing.T) {
	const text = `{"openapi":"3.0.0","components":{"securitySchemes":{"other":{"type":"http","scheme":"bearer"},"key":{"type":"apiKey","in":"header","name":"X-Key"}}},"security":[{"other":[]},{"key":[]}],
		"paths":{"/a":{"get":{"operationId":"a","parameters":[{"name":"X-Key","in":"header","schema":{"type":"string"}},{"name":"Authorization","in":"header","schema":{"type":"string"}}],"responses":{}}}}}`
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("X-Key"))
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("X-Key") != "fresh-secret" {
			w.WriteHeader(401)
			return
		}
		w.WriteHeader(400)
		_, _ = fmt.Fprintf(w, `{"message":"bad key %s"}`, r.Header.Get("X-Key"))
	}))
	defer server.Close()
	s := &secret{}
	stale := "stale-secret"
	s.value.Store(&stale)
	a := newAPI(t, text, Spec{Server: server.URL}, translate.Options{Credentials: s})
	if strings.Contains(string(a.Source().Tools[0]), "X-Key") {
		t.Error("the credential is an argument")
	}
	got, err := call(t, a, "a", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"stale-secret", "fresh-secret"}, keys); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(got.JSON(), "fresh-secret") || !strings.Contains(textOf(got), "bad key [removed]") {
		t.Errorf("got %s", got.JSON())
	}
}

// TestContent gives each kind of content its block.
func TestContent(t *testing.T) {
	text := `{"openapi":"3.0.0","paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"d","content":{"*/*":{}}}}}}}}`
	png := "\x89PNG\r\n\x1a\n0000"
	tests := []struct{ name, contentType, body, want string }{
		{"image", "image/png", png, `{"content":[{"type":"image","data":"` + base64.StdEncoding.EncodeToString([]byte(png)) + `","mimeType":"image/png"}]`},
		{"sniffed image", "application/octet-stream", png, `{"content":[{"type":"image",`},
		{"audio", "audio/mpeg", "abc", `{"content":[{"type":"audio","data":"YWJj","mimeType":"audio/mpeg"}]`},
		{"pdf", "application/pdf", "%PDF-1.4", `{"content":[{"type":"resource","resource":{"uri":"blob:sha256:`},
		{"csv", "text/csv", "a,b\n", `{"content":[{"type":"text","text":"a,b\n"}]`},
		{"latin1", "text/plain; charset=iso-8859-1", "\xe9", `{"content":[{"type":"text","text":"é"}]`},
		{"events", "text/event-stream", "data: {\"a\":1}\n\ndata: two\ndata: lines\n\ndata: [DONE]\n\n", `{"content":[{"type":"text","text":"{\"items\":[{\"a\":1},\"two\\nlines\"],\"complete\":true}"}],"structuredContent":{"items":[{"a":1},"two\nlines"],"complete":true}`},
		{"lines", "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", `{"content":[{"type":"text","text":"{\"items\":[{\"a\":1},{\"a\":2}],\"complete\":true}"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t, text, Spec{Server: "https://h.test"}, translate.Options{Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				_, _ = io.WriteString(w, tt.body)
			})}})
			got, err := call(t, a, "a", `{}`)
			if err != nil {
				t.Fatal(err)
			}
			if got = got.Without("resultType"); !strings.HasPrefix(got.JSON(), tt.want) || got.True("isError") {
				t.Errorf("got %s", got.JSON())
			}
		})
	}
}

// TestLargeResults are cut between elements, stay valid, and say what is missing.
func TestLargeResults(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := range 1000 {
		if i > 0 {
			b.WriteString(",")
		}
		_, _ = fmt.Fprintf(&b, `{"id":%d,"text":"%s"}`, i, strings.Repeat("x", 100))
	}
	b.WriteString(`],"total":1000}`)
	for _, limit := range []int{200, 1000, 10_000, 60_000, 1 << 20} {
		v, err := schema.Parse([]byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		out, notes := translate.Shrink(v, limit)
		if n := len(out.JSON()); n > limit || limit < 100_000 && n < limit*6/10 && limit > 500 {
			t.Errorf("limit %d: %d bytes", limit, n)
		}
		if (len(notes) == 0) != (limit == 1<<20) {
			t.Errorf("limit %d: notes %v", limit, notes)
		}
	}
}

// TestCheck17_ReloadUnderLoad changes the description a thousand times while a hundred callers call: no call fails, a change is told once, a
// description that is broken or has lost most of its tools changes nothing, and nothing is left behind.
func TestCheck17_ReloadUnderLoad(t *testing.T) {
	reloads, callers := 1000, 100
	if testing.Short() {
		reloads, callers = 50, 10
	}
	var told, failed, calls atomic.Int32
	a := newAPI(t, small, Spec{Server: "https://h.test"}, translate.Options{Changed: func() { told.Add(1) }, Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })}})
	write := func(text string) {
		if err := os.WriteFile(a.spec.OpenAPI, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	texts := [...]string{strings.Replace(small, `"listThings"`, `"listAll"`, 1), small}
	round := func(i int) {
		var wait sync.WaitGroup
		begin := make(chan struct{})
		for range callers {
			wait.Go(func() {
				<-begin
				got, err := call(t, a, "deleteThing", `{"id":"x"}`)
				if calls.Add(1); err != nil || got.True("isError") {
					failed.Add(1)
				}
			})
		}
		write(texts[i%2])
		close(begin)
		a.Reload(t.Context())
		if a.Reload(t.Context()) {
			t.Error("a change was told that was none")
		}
		wait.Wait()
		if n := told.Load(); n != int32(i+1) {
			t.Fatalf("change %d was told %d times", i+1, n)
		}
	}
	round(0)
	round(1)
	routines, heap := runtime.NumGoroutine(), heapInUse()
	for i := 2; i < reloads; i++ {
		round(i)
	}
	t.Logf("%d reloads, %d told, %d calls, %d failed; %d goroutines more, %d KiB more", reloads, told.Load(), calls.Load(), failed.Load(), runtime.NumGoroutine()-routines, (heapInUse()-heap)>>10)
	if failed.Load() > 0 || runtime.NumGoroutine() > routines || heapInUse()-heap > 4<<20 {
		t.Error("calls failed, or something is left behind")
	}
	before := a.Source()
	for _, broken := range []string{`{"openapi":`, ``, `{"openapi":"3.0.0","paths":{}}`} {
		write(broken)
		if a.Reload(t.Context()) || a.Source() != before {
			t.Errorf("%q replaced the description", broken)
		}
	}
}

// heapInUse is how many bytes are reachable.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDescriptionOverHTTP reads a description behind a URL, asks again with its ETag, and calls relative to it.
func TestDescriptionOverHTTP(t *testing.T) {
	var etags []string
	transport := direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/openapi.json" {
			w.WriteHeader(204)
			return
		}
		etags = append(etags, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, small)
	})}
	a, err := New(t.Context(), Spec{OpenAPI: "https://h.test/api/openapi.json", Spec: translate.Spec{Refresh: -1}}, translate.Options{Upstream: "api", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close(t.Context()) }()
	if a.Reload(t.Context()) {
		t.Error("an unchanged description became another")
	}
	if diff := cmp.Diff([]string{"", `"1"`}, etags); diff != "" {
		t.Error(diff)
	}
	if got, err := call(t, a, "deleteThing", `{"id":"x"}`); err != nil || textOf(got) != "Done (204)." {
		t.Errorf("got %v, %v", got, err)
	}
}
