package openapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
)

// paged lists things by page, cursor and offset, in a bare list, and by what no argument leads to.
const paged = `{"openapi":"3.1.0","info":{"title":"Paged","version":"1"},"paths":{
"/things":{"get":{"operationId":"byPage","parameters":[{"name":"page","in":"query","schema":{"type":"integer"}},{"name":"state","in":"query","schema":{"type":"string"}},
  {"name":"per_page","in":"query","schema":{"type":"integer"}}],"responses":{"200":{"description":"ok","content":{"application/json":{}}}}},
 "post":{"operationId":"writes","parameters":[{"name":"page","in":"query","schema":{"type":"integer"}}],"responses":{"200":{"description":"ok"}}}},
"/cursor":{"get":{"operationId":"byCursor","parameters":[{"name":"cursor","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"ok","content":{"application/json":{}}}}}},
"/offset":{"get":{"operationId":"byOffset","parameters":[{"name":"offset","in":"query","schema":{"type":"integer"}}],"responses":{"200":{"description":"ok","content":{"application/json":{}}}}}},
"/opaque":{"get":{"operationId":"opaque","parameters":[{"name":"owner","in":"query","schema":{"type":"string"}}],
  "responses":{"200":{"description":"ok","headers":{"Link":{"schema":{"type":"string"}}},"content":{"application/json":{}}}}}},
"/one":{"get":{"operationId":"one","responses":{"200":{"description":"ok","content":{"application/json":{}}}}}}}}`

func TestAllPages(t *testing.T) {
	link := func(w http.ResponseWriter, to string) { w.Header().Set("Link", "<"+to+`>; rel="next"`) }
	number := func(r *http.Request, name string) int {
		n, _ := strconv.Atoi(r.URL.Query().Get(name))
		return n
	}
	// page answers three pages of a list, with what leads from one to the next.
	page := func(next func(w http.ResponseWriter, n int)) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			n := max(number(r, "page"), 1)
			if n < 3 {
				next(w, n)
			}
			_, _ = fmt.Fprintf(w, `[{"id":%d}]`, n)
		}
	}
	for _, tt := range []struct {
		name, tool, arguments string
		spec                  Spec
		answer                func(http.ResponseWriter, *http.Request)
		want                  string
		asked                 []string
	}{
		{
			name: "Link header", tool: "byPage", arguments: `{"state":"open","all_pages":true}`,
			answer: page(func(w http.ResponseWriter, n int) {
				link(w, fmt.Sprintf("/repositories/7/things?state=open&page=%d", n+1))
			}),
			want:  "[{\"id\":1},{\"id\":2},{\"id\":3}]\nThese are all 3 pages.",
			asked: []string{"/things?state=open", "/things?page=2&state=open", "/things?page=3&state=open"},
		},
		{
			name: "unless they are asked for", tool: "byPage", arguments: `{"state":"open"}`,
			answer: page(func(w http.ResponseWriter, n int) { link(w, fmt.Sprintf("?state=open&page=%d", n+1)) }),
			want:   "[{\"id\":1}]\nThere is more: call again with page=2 and the same other arguments.",
			asked:  []string{"/things?state=open"},
		},
		{
			name: "cursor in the answer", tool: "byCursor", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				next := map[string]string{"": "a/b", "a/b": "c&d", "c&d": ""}[r.URL.Query().Get("cursor")]
				_, _ = fmt.Fprintf(w, `{"items":[%q],"warnings":[],"next_cursor":%q}`, next, next)
			},
			want:  `{"items":["a/b","c&d",""],"warnings":[],"next_cursor":""}` + "\nThese are all 3 pages.",
			asked: []string{"/cursor", "/cursor?cursor=a%2Fb", "/cursor?cursor=c%26d"},
		},
		{
			name: "page number behind a flag", tool: "byPage", arguments: `{"page":2,"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, `{"data":{"rows":[%d]},"has_more":%t}`, number(r, "page"), number(r, "page") < 4)
			},
			want:  `{"data":{"rows":[2,3,4]},"has_more":false}` + "\nThese are all 3 pages.",
			asked: []string{"/things?page=2", "/things?page=3", "/things?page=4"},
		},
		{
			name: "offset behind a flag", tool: "byOffset", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprintf(w, `{"rows":[1,2],"has_more":%t}`, number(r, "offset") < 4)
			},
			want:  `{"rows":[1,2,1,2,1,2],"has_more":false}` + "\nThese are all 3 pages.",
			asked: []string{"/offset", "/offset?offset=2", "/offset?offset=4"},
		},
		{
			name: "next URL that no argument leads to", tool: "opaque", arguments: `{"owner":"me","all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				next := "null"
				if !r.URL.Query().Has("k") {
					next = `"/opaque?owner=me&k=1"`
				}
				_, _ = fmt.Fprintf(w, `{"values":[1],"next":%s}`, next)
			},
			want:  `{"values":[1,1],"next":null}` + "\nThese are all 2 pages.",
			asked: []string{"/opaque?owner=me", "/opaque?owner=me&k=1"},
		},
		{
			name: "next URL on another origin", tool: "opaque", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"values":[1],"next":"http://evil.test/opaque?k=1"}`)
			},
			want: `{"values":[1],"next":"http://evil.test/opaque?k=1"}` + "\nThese are the first 1 pages; then reading stopped: no argument of the tool leads to the next one. " +
				"There is more, but no argument of the tool leads to it.",
			asked: []string{"/opaque"},
		},
		{
			name: "next URL of another operation", tool: "opaque", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"values":[1],"next":"/one?k=1"}`) },
			want: `{"values":[1],"next":"/one?k=1"}` + "\nThese are the first 1 pages; then reading stopped: no argument of the tool leads to the next one. " +
				"There is more, but no argument of the tool leads to it.",
			asked: []string{"/opaque"},
		},
		{
			name: "next URL with another fixed argument", tool: "opaque", arguments: `{"all_pages":true}`,
			spec: Spec{Spec: translate.Spec{Tools: map[string]translate.Tool{"opaque": {Args: map[string]translate.Arg{"owner": {Fixed: literal(t, `"me"`)}}}}}},
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprint(w, `{"values":[1],"next":"/opaque?owner=you&k=1"}`)
			},
			want: `{"values":[1],"next":"/opaque?owner=you&k=1"}` + "\nThese are the first 1 pages; then reading stopped: no argument of the tool leads to the next one. " +
				"There is more, but no argument of the tool leads to it.",
			asked: []string{"/opaque?owner=me"},
		},
		{
			name: "an argument of the caller stays", tool: "byPage", arguments: `{"state":"open","all_pages":true}`,
			answer: page(func(w http.ResponseWriter, n int) { link(w, fmt.Sprintf("?state=all&page=%d", n+1)) }),
			want: "[{\"id\":1}]\nThese are the first 1 pages; then reading stopped: the API has another `state` for the next one. " +
				"There is more: call again with page=2, state=\"all\" and the same other arguments.",
			asked: []string{"/things?state=open"},
		},
		{
			name: "bound on pages", tool: "byPage", arguments: `{"all_pages":true}`, spec: Spec{MaxPages: 2},
			answer: page(func(w http.ResponseWriter, n int) { link(w, fmt.Sprintf("?page=%d", n+1)) }),
			want: "[{\"id\":1},{\"id\":2}]\nThese are the first 2 pages; then reading stopped: one call reads 2 pages at most. " +
				"There is more: call again with page=3 and the same other arguments.",
			asked: []string{"/things", "/things?page=2"},
		},
		{
			name: "bound on the result: no page is lost", tool: "byPage", arguments: `{"all_pages":true}`, spec: Spec{Spec: translate.Spec{MaxText: 25}},
			answer: page(func(w http.ResponseWriter, n int) { link(w, fmt.Sprintf("?page=%d", n+1)) }),
			want: "[{\"id\":1},{\"id\":2}]\nThese are the first 2 pages; then reading stopped: the result would be larger than 25 bytes. " +
				"There is more: call again with page=3 and the same other arguments.",
			asked: []string{"/things", "/things?page=2", "/things?page=3"},
		},
		{
			name: "bound on bytes", tool: "byPage", arguments: `{"all_pages":true}`, spec: Spec{Spec: translate.Spec{MaxBody: 20}},
			answer: page(func(w http.ResponseWriter, n int) { link(w, fmt.Sprintf("?page=%d", n+1)) }),
			want: "[{\"id\":1},{\"id\":2}]\nThese are the first 2 pages; then reading stopped: the API sent 20 bytes. " +
				"There is more: call again with page=3 and the same other arguments.",
			asked: []string{"/things", "/things?page=2"},
		},
		{
			name: "bound on time", tool: "byPage", arguments: `{"all_pages":true}`, spec: Spec{Spec: translate.Spec{Timeout: 300 * time.Millisecond}},
			answer: func(w http.ResponseWriter, r *http.Request) {
				if number(r, "page") == 2 {
					<-r.Context().Done()
					return
				}
				link(w, "?page=2")
				_, _ = fmt.Fprint(w, `[1]`)
			},
			want: "[1]\nThese are the first 1 pages; then reading stopped: the time of 300ms is over. " +
				"There is more: call again with page=2 and the same other arguments.",
			asked: []string{"/things", "/things?page=2"},
		},
		{
			name: "an error on the way", tool: "byPage", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				if number(r, "page") == 2 {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				link(w, "?page=2")
				_, _ = fmt.Fprint(w, `[1]`)
			},
			want: "[1]\nThese are the first 1 pages; then reading stopped: the API answered 429 Too Many Requests for the next one. " +
				"There is more: call again with page=2 and the same other arguments.",
			asked: []string{"/things", "/things?page=2"},
		},
		{
			name: "something else on the way", tool: "byPage", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				if number(r, "page") == 2 {
					_, _ = fmt.Fprint(w, `{"error":"x"}`)
					return
				}
				link(w, "?page=2")
				_, _ = fmt.Fprint(w, `[1]`)
			},
			want: "[1]\nThese are the first 1 pages; then reading stopped: the answer for the next one is no such page. " +
				"There is more: call again with page=2 and the same other arguments.",
			asked: []string{"/things", "/things?page=2"},
		},
		{
			name: "a circle", tool: "byPage", arguments: `{"page":1,"all_pages":true}`,
			answer: func(w http.ResponseWriter, r *http.Request) {
				link(w, fmt.Sprintf("?page=%d", 3-number(r, "page")))
				_, _ = fmt.Fprint(w, `[1]`)
			},
			want: "[1,1]\nThese are the first 2 pages; then reading stopped: the API leads back to a page that was read. " +
				"There is more: call again with page=1 and the same other arguments.",
			asked: []string{"/things?page=1", "/things?page=2"},
		},
		{
			name: "no list that goes on", tool: "byPage", arguments: `{"all_pages":true}`,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				link(w, "?page=2")
				_, _ = fmt.Fprint(w, `{"left":[],"right":[]}`)
			},
			want: `{"left":[],"right":[]}` + "\nThe pages were not read together: it cannot be told which list goes on. " +
				"There is more: call again with page=2 and the same other arguments.",
			asked: []string{"/things"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.RequestURI())
				w.Header().Set("Content-Type", "application/json")
				tt.answer(w, r)
			}))
			t.Cleanup(server.Close)
			tt.spec.Server = server.URL
			got, err := call(t, newAPI(t, paged, tt.spec, translate.Options{}), tt.tool, tt.arguments)
			if err != nil {
				t.Fatal(err)
			}
			server.Close() // waits for what it still answers
			if diff := cmp.Diff(tt.want, textOf(got)); diff != "" || got.True("isError") {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAllPagesIsOffered holds which tools have the argument: those that only read, page by page, where configuration leaves it to them.
func TestAllPagesIsOffered(t *testing.T) {
	for pages, want := range map[int]string{0: "byCursor byOffset byPage opaque", 5: "byCursor byOffset byPage opaque", 1: ""} {
		var got []string
		for _, x := range translateText(t, corpusFile{name: "paged", text: []byte(paged)}, Spec{MaxPages: pages}).tools {
			if strings.Contains(string(x.Raw), `"all_pages"`) {
				got = append(got, x.Name)
			}
		}
		if strings.Join(slices.Sorted(slices.Values(got)), " ") != want {
			t.Errorf("%d pages: %s have it, want %s", pages, got, want)
		}
	}
}
