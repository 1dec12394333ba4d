package graphql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
)

// canned is a transport that answers without a network, so that what is left is the cost of either side.
type canned struct{ body []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(c.body)), ContentLength: int64(len(c.body)), Request: r,
	}, nil
}

func smallAnswer() canned {
	return canned{[]byte(`{"data":{"book":{"id":"b1","title":"The Dispossessed","genre":"FICTION","pages":341,"printed":9007199254740993,"review":"Two worlds.","rating":4.5,"author":{"id":"a1","name":"Ursula K. Le Guin"}}}}`)}
}

func BenchmarkCall(b *testing.B) {
	a := newAPI(b, Spec{GraphQL: "http://127.0.0.1:1/graphql", Schema: "graphqltest/library.graphql"}, translate.Options{Transport: smallAnswer()})
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"book","arguments":{"id":"b1"}}}`)); err != nil {
		b.Fatal(err)
	}
	c := &catalog.Call{Method: "tools/call", Target: "book", Message: m, Client: &catalog.Client{}, Owner: "me"}
	b.ReportAllocs()
	for b.Loop() {
		answer, err := a.Call(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		answer.Release()
	}
}

// BenchmarkHandWritten is the same call as somebody writes it: marshal, post, read, decode.
func BenchmarkHandWritten(b *testing.B) {
	transport := smallAnswer()
	const text = "query book($id: ID!) { book(id: $id) { id title genre pages printed review rating author { id name } } }"
	b.ReportAllocs()
	for b.Loop() {
		body, err := json.Marshal(map[string]any{"query": text, "operationName": "book", "variables": map[string]any{"id": "b1"}})
		if err != nil {
			b.Fatal(err)
		}
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://127.0.0.1:1/graphql", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		response, err := transport.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(response.Body)
		if err != nil {
			b.Fatal(err)
		}
		var v struct{ Data map[string]any }
		if err := json.Unmarshal(data, &v); err != nil {
			b.Fatal(err)
		}
	}
}

// many is a schema of n types with n/5 root fields.
func many(n int) []byte {
	var b strings.Builder
	b.WriteString("type Query {\n")
	for i := range n / 5 {
		fmt.Fprintf(&b, "  \"Finds things of kind %d.\"\n  thing%d(id: ID!, where: Where%d, first: Int = 10): Thing%d\n", i, i, i*2, i*4)
	}
	b.WriteString("}\n")
	for i := range n * 8 / 10 {
		fmt.Fprintf(&b, "\"A thing of kind %d.\"\ntype Thing%d {\n  id: ID!\n  name: String\n  size: Int\n  next: Thing%d\n  others(first: Int!): [Thing%d!]!\n  kind: Kind%d\n}\n", i, i, (i+1)%(n*8/10), (i+7)%(n*8/10), i%(n/20))
	}
	for i := range n * 3 / 20 * 3 {
		fmt.Fprintf(&b, "input Where%d { id: ID name: String! and: [Where%d!] kind: Kind%d }\n", i, (i+1)%(n*9/20), i%(n/20))
	}
	for i := range n / 20 {
		fmt.Fprintf(&b, "enum Kind%d { SMALL LARGE HUGE }\n", i)
	}
	return []byte(b.String())
}

// A schema of more than 10,000 types is ready in a second of CPU.
func TestLargeSchemaIsReady(t *testing.T) {
	size := 10_000
	if testing.Short() { // as with the race detector, which takes the time
		size = 500
	}
	text := many(size)
	best := time.Hour
	for range 3 {
		before := cpu(t)
		b, tools := built(t, "many.graphql", text, &Spec{})
		if n := len(b.description.schema.Types); n < size || len(tools) != size/5 {
			t.Fatalf("%d types, %d tools", n, len(tools))
		}
		best = min(best, cpu(t)-before)
	}
	t.Logf("%d KiB: %v of CPU", len(text)>>10, best)
	if best > time.Second {
		t.Errorf("it took %v of CPU", best)
	}
}

func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkBuildGitHub(b *testing.B) {
	text := corpus(b)["github.graphql"]
	b.ReportAllocs()
	for b.Loop() {
		built(b, "github.graphql", text, &Spec{Mutations: true})
	}
}
