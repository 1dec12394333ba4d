package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/translate/graphql/graphqltest"
)

// graphqlServer is a library of books behind GraphQL. ledger tells the texts of the operations that reached it since it was asked last.
type graphqlServer struct {
	url    string
	ledger func() []string
	gaveUp func() int // slow calls and subscriptions that ended because nobody waited
}

func graphqlInGo(t *testing.T) graphqlServer {
	t.Helper()
	s := graphqltest.New()
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		s.Running.Wait()
	})
	return graphqlServer{url: h.URL + "/graphql", gaveUp: s.GaveUp, ledger: func() (texts []string) {
		for _, r := range s.Ledger() {
			texts = append(texts, r.Query)
		}
		return texts
	}}
}

func graphqlOnNode(t *testing.T) graphqlServer {
	t.Helper()
	n := needNode(t)
	schema, err := filepath.Abs(filepath.Join(root, "translate", "graphql", "graphqltest", "library.graphql"))
	must(t, err)
	cmd := n.command(t, filepath.Join(n.dir, "graphql-yoga.mjs"), schema)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	base := "http://127.0.0.1:" + strings.TrimSpace(port)
	read := func() (texts []string, ended int) {
		resp, err := http.Get(base + "/ledger")
		must(t, err)
		defer func() { _ = resp.Body.Close() }()
		data, err := io.ReadAll(resp.Body)
		must(t, err)
		var v struct {
			Requests []struct{ Query string }
			Ended    int
		}
		must(t, json.Unmarshal(data, &v))
		for _, r := range v.Requests {
			texts = append(texts, r.Query)
		}
		return texts, v.Ended
	}
	return graphqlServer{
		url:    base + "/graphql",
		ledger: func() []string { texts, _ := read(); return texts },
		gaveUp: func() int { _, n := read(); return n },
	}
}

// A GraphQL API is an upstream like any other, for clients of both eras: two servers that share nothing but their schema, through the built program. The
// matrix has each of them in each row.
func TestGraphQL(t *testing.T) {
	m := apiMatrix{held: map[string]bool{}, servers: []string{"graphql-go", "graphql-yoga"}, features: []string{
		"query", "cancellation", "deadline", "stream limits", "status details", "partial data", "upload", "subscription",
		"depth 9", "second operation", "alias flood", "100 MB answer", "unknown operation", "wrong arguments",
	}}
	for name, begin := range map[string]func(*testing.T) graphqlServer{"graphql-go": graphqlInGo, "graphql-yoga": graphqlOnNode} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			entry := func(subscriptions string, tools object) object {
				return object{
					"graphql": s.url, "mutations": true, "subscriptions": subscriptions, "mode": "tools", "query": object{"enabled": true}, "events": 20, "tools": tools,
				}
			}
			hurried := object{"Query.slow": object{"timeout": "400ms"}, "Subscription.ticks": object{"timeout": "2s"}}
			g := serve(t, object{"mcpServers": object{"lib": entry("sse", nil), "ws": entry("websocket", nil), "fast": entry("sse", hurried), "fastws": entry("websocket", hurried)}})
			g.offers(t, 68)
			for _, e := range []era{legacy, modern} {
				t.Run(string(e), func(t *testing.T) {
					p := dialHTTP(t, g.url, e)
					for _, feature := range m.features {
						m.cell(t, feature, name, e, func(t *testing.T) { graphqlFeature(t, s, p, feature) })
					}
				})
			}
		})
	}
	m.whole(t)
}

// graphqlRows are the calls that every server and era must answer alike. sent has a part of each operation that reaches the server.
func graphqlRows() []row {
	const book = "book(id: $id)"
	return []row{
		{"query", "values", "lib__book", object{"id": "b1"}, []string{`"title":"The Dispossessed"`, `"name":"Ursula K. Le Guin"`}, []string{book}},
		{"query", "pages", "lib__books", object{"first": 1}, []string{`after="c1"`}, []string{"books("}},
		{"query", "parts of the result", "lib__book", object{"id": "b1", "fields": []string{"author.rival.name"}}, []string{`{"book":{"author":{"rival":{"name":"Stanisław Lem"}}}}`}, []string{"rival"}},
		{"query", "one of a model's own", "lib__query", object{"query": `{ book(id: "b1") { author { rival { name } } } }`}, []string{"Lem"}, []string{"rival"}},
		{"deadline", "of a tool", "fast__slow", object{"milliseconds": 20000}, []string{`"isError":true`, "did not answer within 400ms. It only reads, so it may be tried again."}, []string{"slow"}},
		{"status details", "code and path", "lib__broken", nil, []string{`"isError":true`, "The API answered with errors and no data: it is broken (at broken, code BROKEN)."}, []string{"broken"}},
		{"status details", "of a subscription over SSE", "lib__refused", nil, []string{`"isError":true`, "nobody may listen"}, []string{"refused"}},
		{"status details", "of a subscription over a WebSocket", "ws__refused", nil, []string{`"isError":true`, "nobody may listen"}, []string{"refused"}},
		{"partial data", "beside an error", "lib__book", object{"id": "b3"}, []string{`"title":"Solaris"`, "Parts of the data are missing: book b3 has no review (at book.review, code NO_REVIEW)."}, []string{book}},
		{"upload", "a text", "lib__keep", object{"file": object{"text": "a,b", "filename": "t.csv", "mimeType": "text/csv"}}, []string{`"content":"a,b"`, `"mimeType":"text/csv"`}, []string{"keep("}},
		{"upload", "two files", "lib__keepAll", object{"files": []object{{"data": "AAEC", "filename": "bits"}, {"text": "two"}}}, []string{`"filename":"bits"`, `"size":3`, `"content":"two"`}, []string{"keepAll("}},
		{"depth 9", "in a query", "lib__query", object{"query": `{ book(id: "b1") { author { rival { rival { rival { rival { rival { rival { name } } } } } } } } }`}, []string{`"isError":true`, "more than 8 levels"}, nil},
		{"depth 9", "in the fields argument", "lib__book", object{"id": "b1", "fields": []string{"author." + strings.Repeat("rival.", 8) + "name"}}, []string{`"isError":true`, "too deep"}, nil},
		{"second operation", "in a string", "lib__echo", object{"text": `") { x } mutation { addBook(input:{}) { id } } query {`}, []string{`mutation { addBook(input:{})`}, []string{"query echo ($text: String!) { echo(text: $text) }"}},
		{"second operation", "in a query", "lib__query", object{"query": `{ broken } mutation M { addBook(input:{title:"x",genre:FICTION,author:"a1"}) { id } }`}, []string{`"isError":true`, "exactly one is taken"}, nil},
		{"second operation", "in the fields argument", "lib__book", object{"id": "b1", "fields": []string{`id } } mutation { addBook(input:{}) { id`}}, []string{`"isError":true`, "has no field"}, nil},
		{"alias flood", "in a query", "lib__query", object{"query": "{" + strings.Join(aliases(20), "") + " }"}, []string{`"isError":true`, "more than 10 aliases"}, nil},
		{"100 MB answer", "of a query", "lib__long", object{"letters": 100_000_000}, []string{`"isError":true`, "longer than 16.0 MiB"}, []string{"long("}},
		{"unknown operation", "a field that the schema lacks", "lib__writer", object{}, []string{"writer"}, nil},
		{"unknown operation", "a tool by its key", "lib__Query.book", object{"id": "b1"}, []string{"Query.book"}, nil},
		{"unknown operation", "introspection", "lib__query", object{"query": `{ __schema { types { name } } }`}, []string{`"isError":true`, "is refused"}, nil},
		{"wrong arguments", "inside an input", "lib__matching", object{"condition": object{"genre": "FICTIONAL"}}, []string{`"isError":true`, `did you mean "FICTION"`}, nil},
	}
}

// graphqlFeature makes the calls of one feature, and looks at what the server noted.
func graphqlFeature(t *testing.T, s graphqlServer, p *httpPeer, feature string) {
	calls := 0
	for _, c := range graphqlRows() {
		if c.feature != feature {
			continue
		}
		calls++
		s.ledger()
		gaveUp := s.gaveUp()
		answer, _ := answerOf(t, p, c.tool, c.arguments)
		for _, want := range c.want {
			if !strings.Contains(answer, want) {
				t.Errorf("%s: %s lacks %s", c.what, tail(answer, 2000), want)
			}
		}
		sent := s.ledger()
		if !slices.EqualFunc(sent, c.sent, func(text, part string) bool { return strings.Contains(strings.Join(strings.Fields(text), " "), part) }) {
			t.Errorf("%s: the server saw %q", c.what, sent)
		}
		if feature == "deadline" {
			until(t, "the end of the call at the server", func() bool { return s.gaveUp() > gaveUp })
		}
	}
	calls += graphqlStreams(t, s, p, feature)
	if feature == "cancellation" {
		calls += graphqlCanceled(t, s, p)
	}
	if calls == 0 {
		t.Error("nothing was called")
	}
}

// graphqlStreams ends subscriptions at each of their limits, over both protocols. The server hears of the end of those that it would have gone on with.
func graphqlStreams(t *testing.T, s graphqlServer, p *httpPeer, feature string) (calls int) {
	const three = `"structuredContent":{"events":[{"data":{"ticks":1}},{"data":{"ticks":2}},{"data":{"ticks":3}}],"complete":`
	for _, c := range []struct {
		feature, tool string
		arguments     object
		want          string
		progress      int // at least
		cut           bool
	}{
		{"subscription", "lib__ticks", object{"count": 3}, three + "true}", 3, false},
		{"subscription", "ws__ticks", object{"count": 3}, three + "true}", 3, false},
		{"stream limits", "lib__ticks", object{"count": 100_000_000, "max_events": 3}, three + `false,"stopped":"the limit of 3 events is reached"`, 3, true},
		{"stream limits", "ws__ticks", object{"count": 100_000_000, "max_events": 3}, three + `false,"stopped":"the limit of 3 events is reached"`, 3, true},
		{"stream limits", "lib__ticks", object{"count": 100_000_000}, `"stopped":"the limit of 20 events is reached"`, 20, true},
		{"stream limits", "ws__ticks", object{"count": 100_000_000}, `"stopped":"the limit of 20 events is reached"`, 20, true},
		{"deadline", "fast__ticks", object{"count": 100, "milliseconds": 500}, `"complete":false,"stopped":"the time of 2s is over"`, 1, true},
		{"deadline", "fastws__ticks", object{"count": 100, "milliseconds": 500}, `"complete":false,"stopped":"the time of 2s is over"`, 1, true},
	} {
		if c.feature != feature {
			continue
		}
		calls++
		before := s.gaveUp()
		answer, progress := answerOf(t, p, c.tool, c.arguments)
		if !strings.Contains(answer, c.want) || progress < c.progress {
			t.Errorf("%s: %d notifications, %s", c.tool, progress, tail(answer, 1000))
		}
		if c.cut {
			until(t, "the end of the subscription at the server", func() bool { return s.gaveUp() > before })
		}
	}
	return calls
}

// graphqlCanceled takes calls back while the server works on them.
func graphqlCanceled(t *testing.T, s graphqlServer, p *httpPeer) (calls int) {
	for tool, arguments := range map[string]object{
		"lib__slow": {"milliseconds": 20000}, "lib__ticks": {"count": 1000, "milliseconds": 50}, "ws__ticks": {"count": 1000, "milliseconds": 50},
	} {
		calls++
		s.ledger()
		before := s.gaveUp()
		call := p.open("tools/call", object{"name": tool, "arguments": arguments})
		until(t, "the call", func() bool { return len(s.ledger()) == 1 })
		call.cancel()
		until(t, "the end of the call at the server", func() bool { return s.gaveUp() > before })
		_, _ = call.wait() // a canceled call has no answer in one era, and an error in the other
	}
	return calls
}

func aliases(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(" a%d: broken", i))
	}
	return all
}

// until waits for what happens in another process.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}
