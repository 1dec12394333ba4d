package upstream

import (
	"context"
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

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate/graphql"
	described "weir/translate/grpc"
	"weir/translate/grpc/grpctest"
	"weir/translate/openapi"
)

// ration is memory of which so much may be held, and who asked for it how often.
type ration struct{ held, most, asked atomic.Int64 }

func (r *ration) hold(n int64) (func(), bool) {
	r.asked.Add(1)
	if r.held.Add(n) > r.most.Load() {
		r.held.Add(-n)
		return nil, false
	}
	return func() { r.held.Add(-n) }, true
}

// sized answers with a text of so many bytes, over any protocol.
type sized struct{ bytes atomic.Int64 }

func (s *sized) text() string { return strings.Repeat("x", int(s.bytes.Load())) }

// served is the URL of a server that answers in a form with one place for the text.
func (s *sized) served(t *testing.T, form string) string {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, form, s.text()) // a call may be given up
	}))
	t.Cleanup(h.Close)
	return h.URL
}

// Large answers of every kind of API wait until there is memory for them, and give all of it back; small ones ask for none.
func TestR33_AnswersOfAPIsWaitForMemory(t *testing.T) {
	var size sized
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	procedures := grpctest.Serve(t, grpctest.Setup{Reflect: "v1", Answer: func(context.Context, string, string) (string, error) {
		return `{"message":"` + size.text() + `"}`, nil
	}})
	for tool, spec := range map[string]Spec{
		"it__large": {OpenAPI: openapi.Spec{OpenAPI: file("api.json", `{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"operationId":"large",
			"responses":{"200":{"description":"d","content":{"application/json":{}}}}}}}}`), Server: size.served(t, `{"text":"%s"}`)}},
		"it__echo":          {GraphQL: graphql.Spec{GraphQL: size.served(t, `{"data":{"echo":"%s"}}`), Schema: file("a.graphql", `type Query { echo: String }`)}},
		"it__Greeter_Hello": {GRPC: described.Spec{GRPC: "http://" + procedures.Address}},
	} {
		t.Run(spec.Kind(), func(t *testing.T) {
			memory := &ration{}
			memory.most.Store(1 << 30)
			c := catalog.New()
			s := run(t, Options{Namespace: space(map[string]Spec{"it": spec}), Catalog: c, Hold: memory.hold})
			settle(t, s)
			call := func() (ended <-chan string) {
				over := make(chan string, 1)
				go func() {
					a, err := callTool(t, s, tool)
					if err != nil {
						over <- err.Error()
						return
					}
					over <- string(a.Message.Data)
					a.Release()
				}()
				return over
			}
			good := func(said string) {
				t.Helper()
				if !strings.Contains(said, `xx`) || strings.Contains(said, `"isError"`) {
					t.Errorf("%.300s", said)
				}
			}
			size.bytes.Store(10_000)
			good(<-call()) // how large answers are is seen by the first one
			before := memory.asked.Load()
			good(<-call())
			if asked := memory.asked.Load() - before; asked > 0 {
				t.Errorf("memory was asked for %d times for a small answer", asked)
			}
			size.bytes.Store(4 * room.Large)
			memory.most.Store(0)
			before = memory.asked.Load()
			waiting := call()
			until(t, "memory is asked for", func() bool { return memory.asked.Load() > before+1 })
			select {
			case said := <-waiting:
				t.Errorf("it did not wait: %.300s", said)
			case <-time.After(50 * time.Millisecond):
			}
			memory.most.Store(1 << 30)
			good(<-waiting)
			var many sync.WaitGroup
			for range 10 {
				many.Go(func() { good(<-call()) })
			}
			many.Wait()
			until(t, "all of it is given back", func() bool { return memory.held.Load() == 0 })
		})
	}
}
