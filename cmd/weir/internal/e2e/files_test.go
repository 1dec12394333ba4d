package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir/upstream/upstreamtest"
)

// filesAPI takes files as parts of a form and as a body, and keeps what it was sent: "part report.csv text/csv a,b".
type filesAPI struct {
	url, description string
	mu               sync.Mutex
	got              []string
}

func newFilesAPI(t *testing.T) *filesAPI {
	t.Helper()
	a := &filesAPI{description: filepath.Join(t.TempDir(), "api.json")}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	a.url = s.URL
	must(t, os.WriteFile(a.description, []byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{
		"/parts":{"post":{"operationId":"parts","requestBody":{"content":{"multipart/form-data":{"schema":{"type":"object","properties":{
			"note":{"type":"string"},"file":{"type":"string","format":"binary"},"files":{"type":"array","items":{"type":"string","format":"binary"}}}}}}},
			"responses":{"204":{"description":"d"}}}},
		"/body":{"put":{"operationId":"body","requestBody":{"content":{"application/octet-stream":{}}},"responses":{"204":{"description":"d"}}}}}}`), 0o600))
	return a
}

func (a *filesAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		b, _ := io.ReadAll(r.Body)
		a.got = append(a.got, "body "+kind+" "+cutFile(b))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	form := multipart.NewReader(r.Body, params["boundary"])
	for {
		p, err := form.NextPart()
		if err != nil {
			break
		}
		b, _ := io.ReadAll(p)
		a.got = append(a.got, strings.TrimSpace(p.FormName()+" "+p.FileName()+" "+p.Header.Get("Content-Type"))+" "+cutFile(b))
	}
	w.WriteHeader(http.StatusNoContent)
}

func cutFile(b []byte) string {
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return string(b)
}

// sent is what came since it was asked last.
func (a *filesAPI) sent() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	got := a.got
	a.got = nil
	return got
}

// filesShelf is an MCP server of an era with resources of all sorts.
func filesShelf(t *testing.T, e upstreamtest.Era) *upstreamtest.Server {
	t.Helper()
	contents := func(parts ...string) upstreamtest.Raw {
		return upstreamtest.Raw(`{"contents":[` + strings.Join(parts, ",") + `]}`)
	}
	text := func(uri, more string) string { return `{"uri":"` + uri + `",` + more + `}` }
	large := `"text":"` + strings.Repeat("x", 9<<20) + `"`
	acts := []upstreamtest.Act{
		{On: "notes://all/report.csv", Result: contents(text("notes://all/report.csv", `"mimeType":"text/csv","text":"a,b\n1,é"`))},
		{On: "notes://logo", Result: contents(text("notes://logo", `"mimeType":"image/png","blob":"`+base64.StdEncoding.EncodeToString([]byte{0, 1, 0xff})+`"`))},
		{On: "notes://odd", Result: contents(text("notes://odd", `"mimeType":"a/b\r\nX-Evil: 1","blob":"AP8="`))},
		{On: "notes://broken", Result: contents(text("notes://broken", `"blob":"!"`))},
		{On: "notes://none", Result: contents(text("notes://none", `"mimeType":"a/b"`))},
		{On: "notes://folder", Result: contents(text("notes://folder/1", `"text":"1"`), text("notes://folder/2", `"text":"2"`))},
		{On: "notes://large", Result: contents(text("notes://large", large))},
		{On: "notes://asks", Ask: []upstreamtest.Ask{{Method: "elicitation/create", Params: `{"mode":"form","message":"sure?","requestedSchema":{"type":"object","properties":{}}}`}}},
		{On: "notes://fails", Error: `{"code":-32603,"message":"the disk is on fire"}`},
		{On: "notes://secret", Result: contents(text("notes://secret", `"text":"SECRET"`))},
		{On: "notes://hidden", Result: contents(text("notes://hidden", `"text":"SECRET"`))},
	}
	var all []upstreamtest.Raw
	for _, a := range acts {
		all = append(all, upstreamtest.Raw(`{"name":"n","uri":"`+a.On+`"}`))
	}
	return upstreamtest.New(t, upstreamtest.Config{Era: e, Resources: all, Script: acts})
}

// TestFilesAreResources: a file argument may name a resource, which is read as its caller would read it, for clients and upstreams of both eras. What the
// caller may not read is not read, and nothing else is opened: no file of the machine, no address.
func TestFilesAreResources(t *testing.T) {
	for _, up := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run("upstream "+string(up), func(t *testing.T) {
			t.Parallel()
			var fetched sync.Map
			web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { fetched.Store(r.URL.Path, true) }))
			defer web.Close()
			rest, library, shelf := newFilesAPI(t), graphqlInGo(t), filesShelf(t, up)
			other := upstreamtest.New(t, upstreamtest.Config{Resources: []upstreamtest.Raw{`{"name":"n","uri":"other://1"}`}})
			log := filepath.Join(t.TempDir(), "log")
			g := serve(t, object{
				"mcpServers": object{
					"notes": object{"url": shelf.URL}, "other": object{"url": other.URL},
					"rest": object{"openapi": rest.description, "server": rest.url, "mode": "tools"},
					"lib":  object{"graphql": library.url, "mutations": true, "mode": "tools"},
				},
				"policy": object{
					"grants": object{"user:local": []string{"rest/*", "lib/*", "other/other://*", "notes/notes://*", "notes/notes://all/*"}},
					"deny":   []object{{"match": "notes/notes://secret", "reason": "it is secret"}, {"match": "notes/notes://hidden"}},
				},
				"servers": object{"apis": object{"include": []string{"rest/*"}}},
				"audit":   object{"dir": log},
			})
			g.offers(t, 10)
			p := dialHTTP(t, g.url, modern)
			until(t, "the resources", func() bool {
				events, err := p.call("resources/list", object{})
				return err == nil && strings.Contains(string(events[0].Result), "notes://logo") && strings.Contains(string(events[0].Result), "other://1")
			})
			for _, e := range []era{legacy, modern} {
				asked := person{can: object{"elicitation": object{"form": object{}}}, answers: func(m message) object {
					t.Errorf("%s: the client was asked %s", e, m.Method)
					return object{"action": "accept", "content": object{}}
				}}
				for _, who := range []person{{}, asked} {
					f := &filesStage{rest: rest, library: library, shelf: shelf, peer: dialHTTPAs(t, g.url, e, who, nil)}
					f.calls(t)
					f.refusals(t, web.URL+"/canary")
					f.asks(t)
					f.uploads(t)
					f.peer = dialHTTPAs(t, g.url+"/apis", e, who, nil)
					f.refused(t, object{"resource": "notes://all/report.csv"}, `unknown resource "notes://all/report.csv"`, 0)
				}
			}
			fetched.Range(func(path, _ any) bool {
				t.Errorf("somebody fetched %s", path)
				return true
			})
			filesRecorded(t, log)
		})
	}
}

type filesStage struct {
	rest    *filesAPI
	library graphqlServer
	shelf   *upstreamtest.Server
	peer    *httpPeer
}

// calls sends files that are resources by every way into a REST request.
func (f *filesStage) calls(t *testing.T) {
	t.Helper()
	const report = "notes://all/report.csv"
	for _, c := range []struct {
		tool      string
		arguments object
		want      []string
	}{
		{"rest__parts", object{"note": "n", "file": object{"resource": report}}, []string{"note n", "file report.csv text/csv a,b\n1,é"}},
		{"rest__parts", object{"file": object{"resource": report, "filename": "x", "mimeType": "a/b"}}, []string{"file x a/b a,b\n1,é"}},
		{"rest__parts", object{"files": []object{{"resource": "notes://logo"}, {"text": "t"}, {"resource": report}}}, []string{"files file image/png \x00\x01\xff", "files file application/octet-stream t", "files report.csv text/csv a,b\n1,é"}},
		{"rest__parts", object{"file": object{"resource": "notes://odd"}}, []string{"file file application/octet-stream \x00\xff"}}, //nolint:dupword // the part is called so
		{"rest__body", object{"body": object{"resource": report}}, []string{"body text/csv a,b\n1,é"}},
	} {
		answer, _ := answerOf(t, f.peer, c.tool, c.arguments)
		if got := f.rest.sent(); strings.Join(got, "|") != strings.Join(c.want, "|") || strings.Contains(answer, `"isError":true`) {
			t.Errorf("%s %v: sent %q, answered %s", c.tool, c.arguments, got, answer)
		}
	}
}

// refusals name resources that cannot be sent; the tool's result says why, and the API hears nothing.
func (f *filesStage) refusals(t *testing.T, address string) {
	t.Helper()
	for _, c := range []struct {
		uri, says string
		reads     int // that reached the shelf
	}{
		{"notes://secret", "Denied: notes/notes://secret is not allowed for you (rule ", 0},
		{"notes://hidden", `unknown resource "notes://hidden"`, 0},
		{"file:///etc/passwd", `unknown resource "file:///etc/passwd"`, 0},
		{address, `unknown resource "` + address, 0},
		{"no uri at all", `unknown resource "no uri at all"`, 0},
		{"notes://folder", "it holds several contents; name one of them: notes://folder/1, notes://folder/2", 1},
		{"notes://none", "its upstream gives neither text nor a blob", 1},
		{"notes://broken", "its upstream gives a blob that is not base64", 1},
		{"notes://fails", "the disk is on fire", 1},
	} {
		f.refused(t, object{"resource": c.uri}, c.says, c.reads)
	}
	f.refused(t, object{"resource": "notes://logo", "text": "t"}, "give one of them", 0)
	f.refused(t, object{"data": address}, "give the URI of a resource as resource", 0)
	var many []object
	for range 21 {
		many = append(many, object{"resource": "notes://logo"})
	}
	f.refusedAs(t, "rest__parts", object{"files": many}, "a call names at most 20 resources", 20)
	f.refusedAs(t, "rest__parts", object{"files": []object{{"resource": "notes://large"}, {"resource": "notes://large"}}}, "may have 16 MiB in all", 2)
}

// asks names a resource whose server asks the user something first: nobody is asked in the middle of another call. The server may go on without an answer.
func (f *filesStage) asks(t *testing.T) {
	t.Helper()
	answer, _ := answerOf(t, f.peer, "rest__parts", object{"file": object{"resource": "notes://asks"}})
	got := strings.Join(f.rest.sent(), "|")
	failed := strings.Contains(answer, `"isError":true`)
	if failed == (got != "") || got != "" && got != "file file text/plain read" || strings.Contains(answer, "input_required") { //nolint:dupword // the part is called so
		t.Errorf("%s: sent %q, answered %s", f.peer.era, got, answer)
	}
}

func (f *filesStage) refused(t *testing.T, file object, says string, reads int) {
	t.Helper()
	f.refusedAs(t, "rest__parts", object{"file": file}, says, reads)
	f.refusedAs(t, "rest__body", object{"body": file}, says, reads)
}

func (f *filesStage) refusedAs(t *testing.T, tool string, arguments object, says string, reads int) {
	t.Helper()
	before := f.shelf.Ledger().Count("resources/read")
	answer, _ := answerOf(t, f.peer, tool, arguments)
	if !strings.Contains(answer, `"isError":true`) || !strings.Contains(answer, says) || !strings.Contains(answer, "The call was not sent: `") {
		t.Errorf("%s, %s %v: lacks %q: %s", f.peer.era, tool, arguments, says, tail(answer, 2000))
	}
	if got := f.rest.sent(); len(got) > 0 {
		t.Errorf("%s, %s %v: the API got %q", f.peer.era, tool, arguments, got)
	}
	if got := f.shelf.Ledger().Count("resources/read") - before; got != reads {
		t.Errorf("%s, %s %v: the resource was read %d times and not %d", f.peer.era, tool, arguments, got, reads)
	}
}

// uploads sends a resource as a file of a GraphQL operation.
func (f *filesStage) uploads(t *testing.T) {
	t.Helper()
	f.library.ledger()
	answer, _ := answerOf(t, f.peer, "lib__keep", object{"file": object{"resource": "notes://all/report.csv"}})
	if !strings.Contains(answer, `"filename":"report.csv"`) || !strings.Contains(answer, `"mimeType":"text/csv"`) || !strings.Contains(answer, `1,é`) || len(f.library.ledger()) != 1 {
		t.Errorf("lib__keep: %s", answer)
	}
	answer, _ = answerOf(t, f.peer, "lib__keep", object{"file": object{"resource": "notes://secret"}})
	if !strings.Contains(answer, "The call was not sent: `file` names a resource that cannot be read: Denied: notes/notes://secret is not allowed for you") || len(f.library.ledger()) != 0 {
		t.Errorf("lib__keep: %s", answer)
	}
}

// filesRecorded looks for the readings in the audit log: each is a request of its own.
func filesRecorded(t *testing.T, dir string) {
	t.Helper()
	want := []string{`"method":"resources/read","ref":"notes/notes://all/report.csv","rule"`, `"ref":"notes/notes://secret"`, `"outcome":"denied"`}
	until(t, "the audit log", func() bool {
		segments, _ := filepath.Glob(filepath.Join(dir, "*", "*.jsonl"))
		var all strings.Builder
		for _, name := range segments {
			b, _ := os.ReadFile(name)
			all.Write(b)
		}
		for _, text := range want {
			if !strings.Contains(all.String(), text) {
				return false
			}
		}
		return true
	})
}
