package upstream

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/translate"
	"weir/translate/openapi"
	"weir/translate/schema"
	"weir/upstream/cred"
)

// rest is an API that serves its own description.
type rest struct {
	*httptest.Server
	operations atomic.Value // []string
	down       atomic.Bool
	mu         sync.Mutex
	seen       []string // requests of operations, with their credentials
}

func newREST(t *testing.T, operations ...string) *rest {
	t.Helper()
	r := &rest{}
	r.operations.Store(operations)
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *rest) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.down.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if q.URL.Path != "/openapi.json" {
		r.mu.Lock()
		r.seen = append(r.seen, q.Method+" "+q.URL.RequestURI()+" "+q.Header.Get("X-Key")+q.Header.Get("Authorization"))
		r.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"ok":true}`)
		return
	}
	operations, _ := r.operations.Load().([]string)
	var paths []string
	for _, o := range operations {
		paths = append(paths, fmt.Sprintf(`"/%s":{"get":{"operationId":%q,"responses":{"200":{"description":"d"}}}}`, o, o))
	}
	_, _ = fmt.Fprintf(w, `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"security":[{"key":[]}],"paths":{%s},
		"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}}}}`, strings.Join(paths, ","))
}

func (r *rest) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.seen...)
}

// restSpec reads the description of r.
func restSpec(r *rest) Spec { return Spec{OpenAPI: openapi.Spec{OpenAPI: r.URL + "/openapi.json"}} }

// until polls a condition for ten seconds.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, 10*time.Second, what, ok)
}

// within polls a condition for as long as it may take.
func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(most); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
	}
}

func TestAPI(t *testing.T) {
	r := newREST(t, "one", "two", "three")
	spec := restSpec(r)
	spec.Exclude, spec.Headers = []string{"three"}, map[string]string{"Authorization": "Bearer ${TOKEN}"}
	spec.Credentials = map[string]cred.Spec{"key": {Value: "${KEY}"}}
	spec.API.Tools = map[string]translate.Tool{"one": {Name: "uno"}}
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"api": spec}), Catalog: c, Expand: func(v string) (string, error) {
		return strings.NewReplacer("${TOKEN}", "t0ken", "${KEY}", "k3y").Replace(v), nil
	}})
	settle(t, s)
	if diff := cmp.Diff([]string{"api__two", "api__uno"}, names(c)); diff != "" {
		t.Error(diff)
	}
	answer, err := callTool(t, s, "api__uno")
	if err != nil {
		t.Fatal(err)
	}
	answer.Release()
	if diff := cmp.Diff([]string{"GET /one k3yBearer t0ken"}, r.requests()); diff != "" {
		t.Error(diff)
	}
	st := statusOf(s, "api")
	if st.Transport != "openapi" || st.Report == nil || st.Report.Tools != 2 {
		t.Errorf("status %+v", st)
	}
	if text := fmt.Sprintf("%+v %+v", st, spec); strings.Contains(text, "k3y") || strings.Contains(text, "t0ken") {
		t.Error("a secret shows")
	}
}

// TestAPIStartsLater: an API whose description cannot be had is down with the reason, and comes up when it can.
func TestAPIStartsLater(t *testing.T) {
	r := newREST(t, "one")
	r.down.Store(true)
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"api": restSpec(r)}), Catalog: c})
	settle(t, s)
	st := statusOf(s, "api")
	if want := "api: the description at " + r.URL + "/openapi.json cannot be fetched: status 503"; st.State != Failed || st.Reason != want {
		t.Errorf("got %s %q, want %q", st.State, st.Reason, want)
	}
	r.down.Store(false)
	until(t, "it is ready", func() bool { return statusOf(s, "api").State == Ready })
	until(t, "it is listed", func() bool { return len(names(c)) == 1 })
}

// TestAPIChanges: a description that is another one at the next look makes another catalogue.
func TestAPIChanges(t *testing.T) {
	r := newREST(t, "one")
	spec := restSpec(r)
	spec.API.Refresh = 20 * time.Millisecond
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"api": spec}), Catalog: c})
	settle(t, s)
	r.operations.Store([]string{"one", "two"})
	until(t, "the new operation is listed", func() bool { return len(names(c)) == 2 })
	if st := statusOf(s, "api"); st.Restarts != 0 || st.State != Ready {
		t.Errorf("%+v", st)
	}
}

// TestAPIReload: what decides the catalogue makes the API start anew, what does not leaves it.
func TestAPIReload(t *testing.T) {
	r := newREST(t, "one", "two")
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"api": restSpec(r)}), Catalog: c})
	settle(t, s)
	before := (*s.members.Load())["api"]
	spec := restSpec(r)
	spec.Alias = map[string]string{"one": "uno"}
	s.Reload(space(map[string]Spec{"api": spec}))
	until(t, "the alias is in force", func() bool { return cmp.Equal([]string{"api__two", "uno"}, names(c)) })
	if (*s.members.Load())["api"] != before {
		t.Error("an alias made it start anew")
	}
	spec.Include = []string{"GET /t*"}
	s.Reload(space(map[string]Spec{"api": spec}))
	until(t, "the filter is in force", func() bool { return cmp.Equal([]string{"api__two"}, names(c)) })
}

// TestAPIKeepsCredentials: a description from elsewhere that names a host of its own gets neither credentials nor headers.
func TestAPIKeepsCredentials(t *testing.T) {
	thief := newREST(t)
	file := filepath.Join(t.TempDir(), "openapi.json")
	text := `{"openapi":"3.1.0","servers":[{"url":"` + thief.URL + `"}],"security":[{"key":[]}],"paths":{"/one":{"get":{"operationId":"one"}}},
		"components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}}}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := Spec{OpenAPI: openapi.Spec{OpenAPI: file}, Headers: map[string]string{"Authorization": "a"}, Credentials: map[string]cred.Spec{"key": {Value: "k"}}}
	c := catalog.New()
	s := run(t, Options{Namespace: space(map[string]Spec{"api": spec}), Catalog: c})
	settle(t, s)
	answer, err := callTool(t, s, "api__one")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Release()
	text = string(answer.Message.Result.Of(answer.Message.Data))
	if len(thief.requests()) > 0 || !strings.Contains(text, "it is not meant for "+thief.URL) {
		t.Errorf("sent %v, answered %s", thief.requests(), text)
	}
}

func TestResolveReachesEveryText(t *testing.T) {
	literal, err := schema.Parse([]byte(`{"a":["${X}"]}`))
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{
		Env: map[string]string{"A": "${X}"}, Args: []string{"${X}"}, Credentials: map[string]cred.Spec{"k": {Scopes: []string{"${X}"}}},
		API: translate.Spec{Tools: map[string]translate.Tool{"t": {Args: map[string]translate.Arg{"a": {Fixed: translate.Literal{Value: literal}}}}}},
	}
	s := New(Options{Expand: func(string) (string, error) { return "x", nil }})
	r, err := s.resolve("up", &spec)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{r.Env["A"], r.Args[0], r.Credentials["k"].Scopes[0], r.API.Tools["t"].Args["a"].Fixed.Value.JSON()}
	if diff := cmp.Diff([]string{"x", "x", "x", `{"a":["x"]}`}, got); diff != "" || len(r.secrets) != 4 {
		t.Error(diff, r.secrets)
	}
	if spec.Args[0] != "${X}" || literal.JSON() != `{"a":["${X}"]}` {
		t.Error("the spec itself was changed")
	}
	if s.print("up", &spec) == s.print("up", &Spec{}) {
		t.Error("the print does not depend on what references resolve to")
	}
}
