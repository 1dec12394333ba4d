package openapi

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
)

// TestPagesAreTold: every way in which APIs say that there is more becomes the arguments of the next call.
func TestPagesAreTold(t *testing.T) {
	text := func(arguments ...string) string {
		var all []string
		for _, name := range arguments {
			all = append(all, fmt.Sprintf(`{"name":%q,"in":"query","schema":{"type":"string"}}`, name))
		}
		return `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/x":{"get":{"operationId":"x","parameters":[` + strings.Join(all, ",") + `],"responses":{"200":{"description":"d","content":{"application/json":{}}}}}}}}`
	}
	for name, tt := range map[string]struct{ arguments, link, body, want string }{
		"Link":               {"page", `<https://h.test/x?page=3>; rel="next", <https://h.test/x?page=9>; rel="last"`, `[]`, `page="3"`},
		"Link by name":       {"page", `</x?page=3>; rel=next`, `[]`, `page="3"`},
		"next":               {"page", "", `{"next":"https://h.test/x?page=3"}`, `page="3"`},
		"links.next":         {"page", "", `{"links":{"next":"/x?page=3"}}`, `page="3"`},
		"HAL":                {"page", "", `{"_links":{"next":{"href":"/x?page=3"}}}`, `page="3"`},
		"OData":              {"$skiptoken", "", `{"@odata.nextLink":"https://h.test/x?$skiptoken=abc"}`, `skiptoken="abc"`},
		"next_cursor":        {"cursor", "", `{"next_cursor":"abc"}`, `cursor="abc"`},
		"Slack":              {"cursor", "", `{"response_metadata":{"next_cursor":"dXNlcg=="}}`, `cursor="dXNlcg=="`},
		"nextPageToken":      {"pageToken", "", `{"nextPageToken":"abc"}`, `pageToken="abc"`},
		"NextToken":          {"NextToken", "", `{"NextToken":"abc"}`, `NextToken="abc"`},
		"Kubernetes":         {"continue", "", `{"metadata":{"continue":"abc"}}`, `continue="abc"`},
		"Facebook":           {"after", "", `{"paging":{"cursors":{"after":"abc"}}}`, `after="abc"`},
		"pageInfo":           {"after", "", `{"pageInfo":{"hasNextPage":true,"endCursor":"abc"}}`, `after="abc"`},
		"pageInfo at an end": {"after", "", `{"pageInfo":{"hasNextPage":false,"endCursor":"abc"}}`, ""},
		"Stripe":             {"starting_after", "", `{"has_more":true,"data":[{"id":"a"},{"id":"b"}]}`, `starting_after="b"`},
		"no more":            {"starting_after", "", `{"has_more":false,"data":[{"id":"a"}]}`, ""},
		"an empty cursor":    {"cursor", "", `{"next_cursor":""}`, ""},
		"a cursor of null":   {"cursor", "", `{"next_cursor":null}`, ""},
		"prev alone":         {"page", `<https://h.test/x?page=1>; rel="prev"`, `[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := textOf(answered(t, text(tt.arguments), Spec{}, `{}`, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Link", tt.link)
				_, _ = io.WriteString(w, tt.body)
			}))
			_, note, _ := strings.Cut(got, "\n")
			want := ""
			if tt.want != "" {
				want = "There is more: call again with " + tt.want + " and the same other arguments."
			}
			if note != want {
				t.Errorf("got %q, want %q", note, want)
			}
		})
	}
}

// TestFieldsOfTheOperation: where the operation has fields of its own, they go to the API.
func TestFieldsOfTheOperation(t *testing.T) {
	var asked string
	text := `{"openapi":"3.0.0","paths":{"/x":{"get":{"operationId":"x","parameters":[{"name":"fields","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object","properties":{"a":{},"b":{}}}}}}}}}}}`
	got := answered(t, text, Spec{}, `{"fields":"a"}`, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"a":1,"b":2}`)
	})
	if asked != "fields=a" || got.Get("structuredContent").JSON() != `{"a":1,"b":2}` {
		t.Errorf("asked %q, got %s", asked, got.JSON())
	}
}

// TestCompressedAnswers: an answer is unpacked, and one that would be without end is not.
func TestCompressedAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("nothing compressed is asked for")
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, `{"name":"n`)
		if r.URL.Path == "/things/2" {
			block := strings.Repeat("x", 1<<20)
			for range 200 {
				if _, err := io.WriteString(z, block); err != nil {
					return
				}
			}
		}
		_, _ = io.WriteString(z, `"}`)
		_ = z.Close()
	}))
	defer server.Close()
	a := newAPI(t, small, Spec{Server: server.URL, Spec: translate.Spec{MaxBody: 1 << 20}}, translate.Options{})
	if got, err := call(t, a, "getThing", `{"id":1}`); err != nil || got.Get("structuredContent").JSON() != `{"name":"n"}` {
		t.Errorf("got %v, %v", got, err)
	}
	before := heapInUse()
	got, err := call(t, a, "getThing", `{"id":2}`)
	if err != nil || !strings.Contains(textOf(got), "longer than 1.0 MiB") || heapInUse()-before > 16<<20 {
		t.Errorf("got %v, %v", got, err)
	}
}

// streaming calls x for a caller that gives a token, and returns what it is told on the way.
func streaming(ctx context.Context, t *testing.T, spec Spec, token string, answer http.HandlerFunc) (text string, progress int32, err error) {
	t.Helper()
	server := httptest.NewServer(answer)
	defer server.Close()
	spec.Server = server.URL
	a := newAPI(t, `{"openapi":"3.2.0","paths":{"/x":{"get":{"operationId":"x","responses":{"200":{"description":"d","content":{"application/x-ndjson":{}}}}}}}}`, spec, translate.Options{})
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}`+token+`}}`)); err != nil {
		t.Fatal(err)
	}
	var told atomic.Int32
	got, err := a.Call(ctx, &catalog.Call{Method: "tools/call", Target: "x", Message: m, Client: &catalog.Client{}, Notify: func(catalog.Notification) { told.Add(1) }})
	if err != nil {
		return "", told.Load(), err
	}
	defer got.Release()
	return string(got.Message.Result.Of(got.Message.Data)), told.Load(), nil
}

func flush(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	if err := http.NewResponseController(w).Flush(); err != nil {
		t.Error(err)
	}
}

// TestStreams are collected until they end or a limit is met; each item is progress for a caller that gave a token.
func TestStreams(t *testing.T) {
	items := func(n int, size int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-ndjson")
			for range n {
				_, _ = fmt.Fprintf(w, "{\"a\":%q}\n", strings.Repeat("x", size))
			}
		}
	}
	const token = `,"_meta":{"progressToken":7}`
	for name, tt := range map[string]struct {
		spec     Spec
		token    string
		answer   http.HandlerFunc
		want     string
		progress int32
	}{
		"whole":           {Spec{}, token, items(3, 1), `"complete":true`, 3},
		"without a token": {Spec{}, "", items(3, 1), `"complete":true`, 0},
		"too many":        {Spec{}, token, items(5000, 1), `"complete":false,"stopped":"the limit of 1000 items is reached"`, 1000},
		"too large":       {Spec{Spec: translate.Spec{MaxText: 1000}}, "", items(50, 100), `"complete":false,"stopped":"the limit of 1000 bytes is reached"`, 0},
		"one too large":   {Spec{}, "", items(1, 2<<20), `"complete":false,"stopped":"one of them is larger than 1 MiB"`, 0},
		"too long": {Spec{Spec: translate.Spec{Timeout: 200 * time.Millisecond}}, "", func(w http.ResponseWriter, r *http.Request) {
			items(2, 1)(w, r)
			flush(t, w)
			<-r.Context().Done()
		}, `"complete":false,"stopped":"the time of 200ms is over"`, 0},
		"broken off": {Spec{}, "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			items(2, 1)(w, r)
		}, `"complete":false,"stopped":"the connection ended early"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, progress, err := streaming(t.Context(), t, tt.spec, tt.token, tt.answer)
			if err != nil || !strings.Contains(got, tt.want) || progress != tt.progress || strings.Contains(got, `"isError"`) {
				t.Errorf("%d notices, %.300s … %s, %v", progress, got, got[max(0, len(got)-200):], err)
			}
		})
	}
	// A caller that goes away ends the request.
	gone := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	_, _, err := streaming(ctx, t, Spec{}, "", func(w http.ResponseWriter, r *http.Request) {
		items(1, 1)(w, r)
		flush(t, w)
		cancel()
		<-r.Context().Done()
		close(gone)
	})
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the request went on")
	}
	if err == nil {
		t.Error("a call that was canceled has an answer")
	}
}
