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

// A GraphQL API is an upstream like any other, for clients of both eras: two servers that share nothing but their schema, through the built program.
func TestGraphQL(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) graphqlServer{"graphql-go": graphqlInGo, "graphql-yoga": graphqlOnNode} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			entry := func(subscriptions string) object {
				return object{
					"graphql": s.url, "mutations": true, "subscriptions": subscriptions, "mode": "tools", "query": object{"enabled": true},
					"tools": object{"Query.slow": object{"timeout": "400ms"}},
				}
			}

			g := serve(t, object{"mcpServers": object{"lib": entry("sse"), "ws": entry("websocket")}})
			g.offers(t, 34)
			for _, e := range []era{legacy, modern} {
				t.Run(string(e), func(t *testing.T) { graphqlCalls(t, s, dialHTTP(t, g.url, e)) })
			}
		})
	}
}

// graphqlCalls makes the calls that every server and era must answer alike.
func graphqlCalls(t *testing.T, s graphqlServer, p *httpPeer) {
	s.ledger()
	for _, c := range []struct {
		what, tool string
		arguments  object
		want       []string
		sent       int
	}{
		{"values", "lib__book", object{"id": "b1"}, []string{`"title":"The Dispossessed"`, `"name":"Ursula K. Le Guin"`}, 1},
		{"partial data", "lib__book", object{"id": "b3"}, []string{`"title":"Solaris"`, "Parts of the data are missing: book b3 has no review (at book.review, code NO_REVIEW)."}, 1},
		{"no data", "lib__broken", nil, []string{`"isError":true`, "it is broken"}, 1},
		{"pages", "lib__books", object{"first": 1}, []string{`after=\"c1\"`}, 1},
		{"an upload", "lib__keep", object{"file": object{"text": "a,b", "filename": "t.csv", "mimeType": "text/csv"}}, []string{`"content":"a,b"`, `"mimeType":"text/csv"`}, 1},
		{"a deadline", "lib__slow", object{"milliseconds": 20000}, []string{`"isError":true`, "did not answer within 400ms"}, 1},
		{"an own query", "lib__query", object{"query": `{ book(id: "b1") { author { rival { name } } } }`}, []string{"Lem"}, 1},
		{"depth 9", "lib__query", object{"query": `{ book(id: "b1") { author { rival { rival { rival { rival { rival { rival { name } } } } } } } } }`}, []string{`"isError":true`, "more than 8 levels"}, 0},
		{"a flood of aliases", "lib__query", object{"query": "{" + strings.Join(aliases(20), "") + " }"}, []string{`"isError":true`, "more than 10 aliases"}, 0},
		{"a second operation", "lib__query", object{"query": `{ broken } mutation M { addBook(input:{title:"x",genre:FICTION,author:"a1"}) { id } }`}, []string{`"isError":true`, "exactly one is taken"}, 0},
		{"introspection", "lib__query", object{"query": `{ __schema { types { name } } }`}, []string{`"isError":true`, "is refused"}, 0},
		{"an operation in a text", "lib__echo", object{"text": `") { x } mutation { addBook(input:{}) { id } } query {`}, []string{`mutation { addBook(input:{})`}, 1},
		{"a wrong argument", "lib__matching", object{"condition": object{"genre": "FICTIONAL"}}, []string{`"isError":true`, `did you mean \"FICTION\"`}, 0},
	} {
		events, err := p.call("tools/call", object{"name": c.tool, "arguments": c.arguments})
		must(t, err)
		result := string(events[len(events)-1].Result)
		plain := strings.ReplaceAll(result, `\"`, `"`)
		for _, want := range c.want {
			if !strings.Contains(result, want) && !strings.Contains(plain, want) {
				t.Errorf("%s: %s lacks %s", c.what, result, want)
			}
		}
		if sent := s.ledger(); len(sent) != c.sent || c.tool == "lib__echo" && strings.Contains(sent[0], "mutation") {
			t.Errorf("%s: the server saw %q", c.what, sent)
		}
	}
	for _, tool := range []string{"lib__ticks", "ws__ticks"} {
		events, err := p.call("tools/call", object{"name": tool, "arguments": object{"count": 4, "max_events": 3}, "_meta": object{"progressToken": "t"}})
		must(t, err)
		progress := 0
		for _, m := range events[:len(events)-1] {
			if m.Method == "notifications/progress" {
				progress++
			}
		}
		want := `"structuredContent":{"events":[{"data":{"ticks":1}},{"data":{"ticks":2}},{"data":{"ticks":3}}],"complete":false`
		if result := string(events[len(events)-1].Result); !strings.Contains(result, want) || progress != 3 {
			t.Errorf("%s: %d notifications, %s", tool, progress, result)
		}
	}
	for _, c := range []struct {
		tool      string
		arguments object
	}{{"lib__ticks", object{"count": 1000, "milliseconds": 50}}, {"ws__ticks", object{"count": 1000, "milliseconds": 50}}} {
		s.ledger()
		before := s.gaveUp()
		call := p.open("tools/call", object{"name": c.tool, "arguments": c.arguments})
		until(t, "the subscription", func() bool { return len(s.ledger()) == 1 })
		call.cancel()
		until(t, "the end of the subscription at the server", func() bool { return s.gaveUp() > before })
		_, _ = call.wait() // a canceled call has no answer in one era, and an error in the other
	}
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
