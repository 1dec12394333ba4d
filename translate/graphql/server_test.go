package graphql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/translate"
)

// Everything below runs against two servers that share nothing but their schema.
func TestServers(t *testing.T) {
	for _, l := range libraries(t) {
		t.Run(l.name, func(t *testing.T) {
			a := newAPI(t, Spec{GraphQL: l.url, Mutations: true, Query: Query{Enabled: true}}, translate.Options{})
			if w := a.Report().Warnings; len(w) > 0 {
				t.Errorf("warnings %+v", w)
			}
			want := []string{"book", "books", "search", "node", "matching", "echo", "number", "broken", "slow", "long", "addBook", "keep", "keepAll", "query", "schema"}
			if diff := cmp.Diff(want, toolNames(t, a)); diff != "" {
				t.Fatal(diff)
			}
			l.ledger()
			t.Run("values", func(t *testing.T) { typedValues(t, l, a) })
			t.Run("partial data", func(t *testing.T) { partial(t, a) })
			t.Run("Relay pagination", func(t *testing.T) { pages(t, a) })
			t.Run("fields argument", func(t *testing.T) { fieldsArgument(t, l, a) })
			t.Run("members", func(t *testing.T) { members(t, a) })
			t.Run("multipart upload", func(t *testing.T) { uploaded(t, a) })
			t.Run("T15_smuggling", func(t *testing.T) { smuggling(t, l, a) })
			t.Run("T15_guarded free-form query", func(t *testing.T) { queryTexts(t, l, a) })
			t.Run("deadline", func(t *testing.T) { deadline(t, l) })
			t.Run("cancel", func(t *testing.T) { cancellation(t, l, a) })
			for _, over := range []string{overSSE, overWebSocket} {
				t.Run("subscription over "+over, func(t *testing.T) { subscriptions(t, l, over) })
			}
		})
	}
}

func typedValues(t *testing.T, l library, a *API) {
	for _, c := range []struct{ tool, arguments, pointer, want string }{
		{"book", `{"id":"b1"}`, "/data/book/title", `"The Dispossessed"`},
		{"book", `{"id":"b1"}`, "/data/book/author/name", `"Ursula K. Le Guin"`},
		{"book", `{"id":"none"}`, "/data/book", `null`},
		{"matching", `{"condition":{"genre":"FICTION","all":[{"title":"S"},{"not":{"minPages":300}}]}}`, "/data/matching", `[{"id":"b3","title":"Solaris","genre":"FICTION","pages":204,"printed":%s,"review":null,"rating":null,"author":{"id":"a2","name":"Stanisław Lem"}}]`},
		{"matching", `{"condition":{"genre":null,"title":"Matter"},"limit":1}`, "/data/matching/0/id", `"b5"`},
		{"echo", `{"text":"\"} query { broken } #\n\\ ☃"}`, "/data/echo", `"\"} query { broken } #\n\\ ☃"`},
	} {
		got := call(t, a, c.tool, c.arguments)
		have := at(got, c.pointer)
		want := c.want
		if strings.Contains(want, "%s") {
			have = strings.ReplaceAll(have, `"500000"`, "500000") // a scalar of their own is written as each server likes
			want = fmt.Sprintf(want, "500000")
		}
		if have != want {
			t.Errorf("%s(%s): got %s, want %s\n%s", c.tool, c.arguments, have, want, textOf(got))
		}
	}
	number := `"9007199254740993"`
	if l.name == "graphql-go" {
		number = `9007199254740993` // JavaScript would round it
	}
	if got := call(t, a, "number", `{"value":`+number+`}`); at(got, "/data/number") != number {
		t.Errorf("got %s", got.JSON())
	}
	added := call(t, a, "addBook", `{"title":"Eden","genre":"fiction","author":"a2"}`)
	if !added.True("isError") || !strings.Contains(textOf(added), `did you mean "FICTION"`) {
		t.Errorf("got %s", textOf(added))
	}
	l.ledger()
	added = call(t, a, "addBook", `{"title":"Eden","genre":"FICTION","author":"a2","printed":"12"}`)
	if at(added, "/data/addBook/title") != `"Eden"` {
		t.Errorf("got %s", textOf(added))
	}
	requests := l.ledger()
	if len(requests) != 1 || string(requests[0].Variables) != `{"input":{"title":"Eden","genre":"FICTION","author":"a2","printed":"12"}}` {
		t.Errorf("the server saw %+v", requests)
	}
}

func partial(t *testing.T, a *API) {
	got := call(t, a, "book", `{"id":"b3"}`)
	text := textOf(got)
	if got.True("isError") || at(got, "/data/book/title") != `"Solaris"` || at(got, "/errors/0/message") != `"book b3 has no review"` ||
		!strings.Contains(text, "Parts of the data are missing: book b3 has no review (at book.review, code NO_REVIEW).") || !strings.HasPrefix(text, `{"`) {
		t.Errorf("got %s", got.JSON())
	}
	got = call(t, a, "broken", `{}`)
	if !got.True("isError") || !strings.Contains(textOf(got), "errors and no data: it is broken (at broken") {
		t.Errorf("got %s", got.JSON())
	}
	if got = call(t, a, "book", `{"id":"nobody"}`); got.True("isError") {
		t.Errorf("null without an error is an answer: %s", got.JSON())
	}
}

func pages(t *testing.T, a *API) {
	got := call(t, a, "books", `{"first":2}`)
	if !strings.Contains(textOf(got), `There is more: call again with after="c2" and the same other arguments.`) || at(got, "/data/books/nodes/0/id") != `"b1"` {
		t.Errorf("got %s", textOf(got))
	}
	got = call(t, a, "books", `{"first":2,"after":"c2","genre":"FICTION"}`)
	if at(got, "/data/books/nodes/0/id") != `"b3"` || strings.Contains(textOf(got), "There is more") {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "books", `{}`); got.True("isError") || at(got, "/data/books/totalCount") == "" {
		t.Errorf("a page without a bound got %s", textOf(got))
	}
}

func fieldsArgument(t *testing.T, l library, a *API) {
	got := call(t, a, "book", `{"id":"b1","fields":["title","author.rival.name"]}`)
	if diff := cmp.Diff(`{"title":"The Dispossessed","author":{"rival":{"name":"Stanisław Lem"}}}`, at(got, "/data/book")); diff != "" {
		t.Error(diff)
	}
	got = call(t, a, "books", `{"first":1,"fields":["title","author.name"]}`)
	if at(got, "/data/books/edges/0/node/title") != `"The Dispossessed"` && at(got, "/data/books/nodes/0/title") != `"The Dispossessed"` || !strings.Contains(textOf(got), `after="c1"`) {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "book", `{"id":"b1","fields":["*","author.rival.id"]}`); at(got, "/data/book/genre") != `"FICTION"` || at(got, "/data/book/author/rival/id") != `"a2"` {
		t.Errorf("got %s", textOf(got))
	}
	l.ledger()
	for fields, want := range map[string]string{
		`["writer"]`:                 `has no field "writer"; there are id, title`,
		`["author.books.title"]`:     "`author.books` needs the argument \"genre\"",
		`["title.length"]`:           "`title` is a plain value",
		`["title) { id } x: book("]`: `has no field "title)"`,
		`["__schema"]`:               `has no field "__schema"`,
		`[""]`:                       "names nothing",
		`["author.` + strings.Repeat("rival.", 8) + `name"]`: "too deep",
	} {
		got := call(t, a, "book", `{"id":"b1","fields":`+fields+`}`)
		if !got.True("isError") || !strings.Contains(textOf(got), want) {
			t.Errorf("%s: got %s, want %s", fields, textOf(got), want)
		}
	}
	if seen := l.ledger(); len(seen) > 0 {
		t.Errorf("the server saw %+v", seen)
	}
}

func members(t *testing.T, a *API) {
	got := call(t, a, "search", `{"text":"e"}`)
	for _, m := range got.Get("structuredContent").Get("data").Array("search") {
		switch kind := m.Value.GetText("__typename"); kind {
		case "Book": // title and rating have other types in Book and in Magazine
			if m.Value.GetText("title_Book") == "" {
				t.Errorf("got %s", m.Value.JSON())
			}
		case "Magazine":
			if m.Value.GetText("title_Magazine") == "" {
				t.Errorf("got %s", m.Value.JSON())
			}
		default:
			t.Errorf("got %s", m.Value.JSON())
		}
	}
	if n := len(got.Get("structuredContent").Get("data").Array("search")); n < 3 {
		t.Errorf("%d found: %s", n, textOf(got))
	}
	got = call(t, a, "node", `{"id":"m1","fields":["id","Magazine.title","name"]}`)
	if at(got, "/data/node/__typename") != `"Magazine"` || !strings.Contains(textOf(got), "The Reader") {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "node", `{"id":"a1"}`); at(got, "/data/node/name") != `"Ursula K. Le Guin"` {
		t.Errorf("got %s", textOf(got))
	}
}

func uploaded(t *testing.T, a *API) {
	got := call(t, a, "keep", `{"file":{"text":"a,b\n1,2","filename":"x\"\r\ny.csv","mimeType":"text/csv"},"note":"n"}`)
	if at(got, "/data/keep/content") != `"a,b\n1,2"` || at(got, "/data/keep/mimeType") != `"text/csv"` || at(got, "/data/keep/note") != `"n"` {
		t.Errorf("got %s", textOf(got))
	}
	got = call(t, a, "keepAll", `{"files":[{"data":"AAEC","filename":"bits"},{"text":"two"}]}`)
	if at(got, "/data/keepAll/0/size") != "3" || at(got, "/data/keepAll/0/filename") != `"bits"` || at(got, "/data/keepAll/1/content") != `"two"` {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "keep", `{"file":{"data":"not base64!"}}`); !got.True("isError") || !strings.Contains(textOf(got), "`file` has data that is not base64") {
		t.Errorf("got %s", textOf(got))
	}
}

// smuggling: no argument changes the text that is sent.
func smuggling(t *testing.T, l library, a *API) {
	l.ledger()
	before := call(t, a, "echo", `{"text":"x"}`)
	text := l.ledger()[0].Query
	for _, evil := range []string{
		`\") { id } mutation { addBook(input:{title:\"x\",genre:FICTION,author:\"a1\"}) { id } } query q { echo(text: \"`, `\"\"\"`, `$text`, `} { broken }`, `\u0000\u001f`, `#`,
	} {
		got := call(t, a, "echo", `{"text":"`+evil+`"}`)
		requests := l.ledger()
		if got.True("isError") || len(requests) != 1 || requests[0].Query != text {
			t.Errorf("%s: the server saw %+v, answered %s", evil, requests, textOf(got))
		}
		want, _ := json.Marshal(json.RawMessage(`"` + evil + `"`))
		var w, g string
		if json.Unmarshal(want, &w) != nil || json.Unmarshal([]byte(at(got, "/data/echo")), &g) != nil || w != g {
			t.Errorf("%s came back as %s", evil, at(got, "/data/echo"))
		}
	}
	if before.True("isError") {
		t.Error(textOf(before))
	}
}

// queryTexts: what a model writes is checked before anything is sent.
func queryTexts(t *testing.T, l library, a *API) {
	l.ledger()
	got := call(t, a, "query", `{"query":"query ($id: ID!) { book(id: $id) { title author { ...A } } } fragment A on Author { name }","variables":{"id":"b2"}}`)
	if at(got, "/data/book/author/name") != `"Ursula K. Le Guin"` {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "query", `{"query":"{ books(first: 1) { nodes { id } pageInfo { hasNextPage endCursor } } }"}`); at(got, "/data/books/nodes/0/id") != `"b1"` {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "schema", `{"types":["Book","Genre"]}`); !strings.Contains(textOf(got), "printed: BigInt!") || !strings.Contains(textOf(got), "FICTION") {
		t.Errorf("got %s", textOf(got))
	}
	if got = call(t, a, "schema", `{"search":"who writes a book, author"}`); !strings.Contains(textOf(got), "type Author") {
		t.Errorf("got %s", textOf(got))
	}
	l.ledger()
	nested := "{ book(id: \"b1\") { author { " + strings.Repeat("rival { ", 6) + "name" + strings.Repeat(" }", 6) + " } } }"
	flood := "{"
	for i := range 11 {
		flood += fmt.Sprintf(" a%d: echo(text: \"x\")", i)
	}
	var bombs strings.Builder
	bombs.WriteString("{ book(id: \"b1\") { ...F0 } }")
	for i := range 40 {
		fmt.Fprintf(&bombs, " fragment F%d on Book { ...F%d ...F%d }", i, i+1, i+1)
	}
	bombs.WriteString(" fragment F40 on Book { id }")
	for name, c := range map[string]struct{ query, want string }{
		"depth 9":           {nested, "more than 8 levels of fields"},
		"aliases":           {flood + " }", "more than 10 aliases"},
		"two operations":    {`query a { broken } mutation b { addBook(input:{title:"x",genre:FICTION,author:"a1"}) { id } }`, "exactly one is taken"},
		"none":              {`fragment F on Book { id }`, "exactly one is taken"},
		"introspection":     {`{ __schema { types { name } } }`, "the field __schema is refused"},
		"in a fragment":     {`{ ...Q } fragment Q on Query { __type(name: "Book") { name } }`, "the field __type is refused"},
		"fragments":         {bombs.String(), "more than 200 fields"},
		"a cycle":           {`{ book(id:"b1") { ...A } } fragment A on Book { ...B } fragment B on Book { ...A }`, "spreads itself"},
		"cost":              {`{ books(first: 1000) { nodes { id title genre pages author { id name } } } }`, "more than 5000 cost"},
		"cost by a default": {`query ($n: Int = 100000) { books(first: $n) { nodes { id } } }`, "more than 5000 cost"},
		"negative":          {`{ books(first: -1) { nodes { id } } }`, "more than 5000 cost"},
		"an unknown field":  {`{ writer { name } }`, `Cannot query field`},
		"a subscription":    {`subscription { ticks(count: 1) }`, "subscriptions are not allowed"},
		"two mutations":     {`mutation { a: addBook(input:{title:"x",genre:FICTION,author:"a1"}) { id } b: addBook(input:{title:"x",genre:FICTION,author:"a1"}) { id } }`, "one mutation at a time"},
		"no text":           {`}`, "cannot be read"},
		"nesting":           {strings.Repeat("{a", 2000), "cannot be read"},
		"lists":             {`{ echo(text: ` + strings.Repeat("[", 3000) + ` }`, "cannot be read"},
		"size":              {`{ echo(text: "` + strings.Repeat("x", 40<<10) + `") }`, "longer than 32 KiB"},
		"tokens":            {"{ " + strings.Repeat("a ", 5000) + "}", "cannot be read"},
	} {
		arguments, err := json.Marshal(map[string]string{"query": c.query})
		if err != nil {
			t.Fatal(err)
		}
		if got := call(t, a, "query", string(arguments)); !got.True("isError") || !strings.Contains(textOf(got), c.want) || strings.Contains(textOf(got), "?.") {
			t.Errorf("%s: got %s, want %s", name, textOf(got), c.want)
		}
	}
	if got := call(t, a, "query", `{"query":"query ($id: ID!) { book(id: $id) { title } }","variables":{"id":{"x":1}}}`); !got.True("isError") || !strings.Contains(textOf(got), "`id`: expected string, got an object") {
		t.Errorf("got %s", textOf(got))
	}
	if got := call(t, a, "query", `{"query":"query ($id: ID!) { book(id: $id) { title } }","variables":{"di":"b1"}}`); !got.True("isError") || !strings.Contains(textOf(got), "`id` is missing") {
		t.Errorf("got %s", textOf(got))
	}
	if seen := l.ledger(); len(seen) > 0 {
		t.Errorf("the server saw %d requests: %+v", len(seen), seen)
	}
	reading := newAPI(t, Spec{GraphQL: l.url, Query: Query{Enabled: true}}, translate.Options{})
	l.ledger()
	if got := call(t, reading, "query", `{"query":"mutation { addBook(input:{title:\"x\",genre:FICTION,author:\"a1\"}) { id } }"}`); !got.True("isError") || !strings.Contains(textOf(got), "mutations are not allowed") || len(l.ledger()) > 0 {
		t.Errorf("got %s", textOf(got))
	}
	if slices.ContainsFunc(toolNames(t, reading), func(n string) bool { return n == "addBook" || n == "keep" }) {
		t.Error("mutations are listed though they are not allowed")
	}
}

func deadline(t *testing.T, l library) {
	a := newAPI(t, Spec{GraphQL: l.url, Spec: translate.Spec{Tools: map[string]translate.Tool{"Query.slow": {Timeout: 50 * time.Millisecond}}}}, translate.Options{})
	got := call(t, a, "slow", `{"milliseconds":30000}`)
	if !got.True("isError") || !strings.Contains(textOf(got), "did not answer within 50ms. It only reads, so it may be tried again.") {
		t.Errorf("got %s", textOf(got))
	}
}

func cancellation(t *testing.T, l library, a *API) {
	l.ledger()
	before := l.ended()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		_, err := callWith(ctx, t, a, "slow", `{"milliseconds":20000}`, nil)
		result <- err
	}()
	eventually(t, "the call", func() bool { return len(l.ledger()) == 1 })
	cancel()
	var refused *catalog.Error
	if err := <-result; !errors.As(err, &refused) || refused.Code != catalog.Canceled {
		t.Errorf("got %v", err)
	}
	eventually(t, "the end of the call at the server", func() bool { return l.ended() > before })
}

func subscriptions(t *testing.T, l library, over string) {
	a := newAPI(t, Spec{GraphQL: l.url, Subscriptions: over, Events: 20, Spec: translate.Spec{
		Include: []string{"kind:subscription"}, Tools: map[string]translate.Tool{"ticks": {Timeout: 2 * time.Second}},
	}}, translate.Options{})
	if diff := cmp.Diff([]string{"ticks", "refused"}, toolNames(t, a)); diff != "" {
		t.Fatal(diff)
	}
	var progress atomic.Int32
	notify := func(n catalog.Notification) {
		if n.Method == "notifications/progress" {
			progress.Add(1)
		}
	}
	got, err := callWith(t.Context(), t, a, "ticks", `{"count":3}`, notify)
	if err != nil || got.Get("structuredContent").JSON() != `{"events":[{"data":{"ticks":1}},{"data":{"ticks":2}},{"data":{"ticks":3}}],"complete":true}` || progress.Load() != 3 {
		t.Errorf("%d notifications, got %s, %v", progress.Load(), got.JSON(), err)
	}
	before := l.ended()
	got = call(t, a, "ticks", `{"count":1000000,"max_events":2}`)
	if at(got, "/complete") != "false" || at(got, "/stopped") != `"the limit of 2 events is reached"` || len(got.Get("structuredContent").Array("events")) != 2 {
		t.Errorf("got %s", textOf(got))
	}
	eventually(t, "the end of the subscription at the server", func() bool { return l.ended() > before })
	if got = call(t, a, "ticks", `{"count":1000000}`); at(got, "/stopped") != `"the limit of 20 events is reached"` {
		t.Errorf("got %s", textOf(got))
	}
	before = l.ended()
	got = call(t, a, "ticks", `{"count":100,"milliseconds":300}`)
	if at(got, "/stopped") != `"the time of 2s is over"` || len(got.Get("structuredContent").Array("events")) < 2 || got.True("isError") {
		t.Errorf("got %s", textOf(got))
	}
	eventually(t, "the end of the subscription at the server", func() bool { return l.ended() > before })
	got = call(t, a, "refused", `{}`)
	if !got.True("isError") || !strings.Contains(textOf(got), "nobody may listen") {
		t.Errorf("got %s", got.JSON())
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	before = l.ended()
	if _, err := callWith(ctx, t, a, "ticks", `{"count":100,"milliseconds":50}`, nil); err == nil {
		t.Error("a canceled call has a result")
	}
	eventually(t, "the end of the subscription at the server", func() bool { return l.ended() > before })
}

// Operations of files and manifests become tools, and only they.
func TestWritten(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ops/a.graphql", "# Finds a book\n# by its number.\nquery FindBook($id: ID!,\n # with the author\n $deep: Boolean = false) { book(id: $id) { ...Parts author @include(if: $deep) { name } } }\nquery Broken { nothing }\nquery { echo(text:\"x\") }\nsubscription S { ticks(count: 1) }")
	write("ops/b.graphql", "fragment Parts on Book { id title }\nmutation Add($input: NewBook!) { addBook(input: $input) { id } }\nquery Page($n: Int = 2, $cursor: String) { books(first: $n, after: $cursor) { nodes { id } pageInfo { hasNextPage endCursor } } }")
	write("ops/notes.txt", "not an operation")
	for _, l := range libraries(t) {
		t.Run(l.name, func(t *testing.T) {
			a := newAPI(t, Spec{GraphQL: l.url, Operations: []string{filepath.Join(dir, "ops")}}, translate.Options{})
			if diff := cmp.Diff([]string{"FindBook", "Add", "Page"}, toolNames(t, a)); diff != "" {
				t.Error(diff)
			}
			r := a.Report()
			if r.Lost != 3 || r.Operations != 6 {
				t.Errorf("report %+v", r)
			}
			item := string(a.Source().Tools[0])
			for _, want := range []string{`"description":"Finds a book by its number."`, `"deep":{"type":["boolean","null"],"description":"with the author","default":false}`, `"required":["id"]`, `"annotations":{"readOnlyHint":true}`} {
				if !strings.Contains(item, want) {
					t.Errorf("%s lacks %s", item, want)
				}
			}
			if got := call(t, a, "FindBook", `{"id":"b1","deep":true}`); at(got, "/data/book") != `{"id":"b1","title":"The Dispossessed","author":{"name":"Ursula K. Le Guin"}}` {
				t.Errorf("got %s", textOf(got))
			}
			if got := call(t, a, "FindBook", `{"id":"b1","fields":["book.title"]}`); got.Get("structuredContent").JSON() != `{"data":{"book":{"title":"The Dispossessed"}}}` {
				t.Errorf("got %s", got.JSON())
			}
			if got := call(t, a, "Page", `{}`); !strings.Contains(textOf(got), `cursor="c2"`) {
				t.Errorf("got %s", textOf(got))
			}
		})
	}
}

// Persisted operations go as hash or identifier; the text follows when the server asks for it.
func TestPersisted(t *testing.T) {
	l := goLibrary(t)
	apollo := filepath.Join(t.TempDir(), "manifest.json")
	body := `query Find($id: ID!) { book(id: $id) { title } }`
	if err := os.WriteFile(apollo, []byte(`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"abc","name":"Find","type":"query","body":"`+body+`"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	relay := filepath.Join(t.TempDir(), "relay.json")
	if err := os.WriteFile(relay, []byte(`{"abc":"`+body+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, url := persisting(t, map[string]string{"abc": body})
	for name, c := range map[string]struct {
		spec   Spec
		want   string
		method string
	}{
		"apollo":          {Spec{Operations: []string{apollo}, Persisted: persistHash}, `{"persistedQuery":{"version":1,"sha256Hash":"abc"}}`, http.MethodPost},
		"apollo by GET":   {Spec{Operations: []string{apollo}, Persisted: persistHash, Get: true}, `{"persistedQuery":{"version":1,"sha256Hash":"abc"}}`, http.MethodGet},
		"relay":           {Spec{Operations: []string{relay}, Persisted: persistID}, "abc", http.MethodPost},
		"document by GET": {Spec{Operations: []string{relay}, Persisted: persistDocumentID, Get: true}, "abc", http.MethodGet},
	} {
		t.Run(name, func(t *testing.T) {
			c.spec.GraphQL = url
			a := newAPI(t, c.spec, translate.Options{})
			s.Ledger()
			got := call(t, a, "Find", `{"id":"b1"}`)
			requests := s.Ledger()
			if len(requests) != 1 || requests[0].Query != "" || requests[0].Method != c.method || string(requests[0].Extensions)+requests[0].ID+requests[0].DocumentID != c.want || at(got, "/data/book/title") != `"The Dispossessed"` {
				t.Errorf("the server saw %+v and answered %s", requests, textOf(got))
			}
		})
	}
	a := newAPI(t, Spec{GraphQL: l.url, Persisted: persistHash, Get: true}, translate.Options{})
	l.ledger()
	got := call(t, a, "book", `{"id":"b1"}`)
	requests := l.ledger()
	if at(got, "/data/book/id") != `"b1"` || len(requests) != 2 || requests[0].Query != "" || requests[0].Method != http.MethodGet || requests[1].Method != http.MethodPost || !strings.Contains(requests[1].Query, "book(id: $id)") {
		t.Errorf("the server saw %+v and answered %s", requests, textOf(got))
	}
}
