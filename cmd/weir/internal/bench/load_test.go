package bench

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReadReply(t *testing.T) {
	for _, c := range []struct {
		name, in, body string
		events         bool
		err            string
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", false, ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "hi", true, ""},
		{"short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "", false, "truncated"},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "", false, "truncated"},
		{"cut chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhi", "", false, "truncated"},
		{"closed", "", "", false, "in place of an answer"},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", "", false, "without length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := readReply(bufio.NewReader(strings.NewReader(c.in)), nil)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || string(p.body) != c.body || p.events != c.events {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}

// TestCheck shows that an answer which is not the right one, whole, is counted as an error.
func TestCheck(t *testing.T) {
	const good = `{"jsonrpc":"2.0","id":1000000001,"result":{"content":[{"type":"text","text":"1000000001ab"}]}}`
	progress := func(from, to int) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1000000001,\"progress\":%d}}\n\n", i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name   string
		events bool
		p      reply
		err    string // "" none
	}{
		{"good", false, reply{200, false, []byte(good)}, ""},
		{"cut behind the payload", false, reply{200, false, []byte(good[:len(good)-3])}, "truncated"},
		{"cut in the payload", false, reply{200, false, []byte(good[:len(good)-10])}, "truncated"},
		{"empty", false, reply{200, false, nil}, "truncated"},
		{"other id", false, reply{200, false, []byte(strings.Replace(good, "1000000001", "1000000002", 1))}, "sent 1000000001"},
		{"other payload", false, reply{200, false, []byte(strings.Replace(good, "01ab", "02ab", 1))}, "does not echo"},
		{"longer payload", false, reply{200, false, []byte(strings.Replace(good, "ab\"", "abc\"", 1))}, "does not echo"},
		{"error", false, reply{200, false, []byte(`{"id":1000000001,"error":{"code":1,"message":"1000000001ab"}}`)}, "not the result"},
		{"isError", false, reply{200, false, []byte(strings.Replace(good, `{"content"`, `{"isError":true,"content"`, 1))}, "not the result"},
		{"status", false, reply{502, false, []byte(good)}, "status 502"},
		{"events", true, reply{200, true, []byte(progress(1, 5) + "data: " + good + "\n\n")}, ""},
		{"events, one lost", true, reply{200, true, []byte(progress(1, 4) + "data: " + good + "\n\n")}, "4 notifications"},
		{"events, one behind", true, reply{200, true, []byte(progress(1, 4) + "data: " + good + "\n\n" + progress(5, 5))}, "4 notifications"},
		{"events, out of order", true, reply{200, true, []byte(progress(2, 6) + "data: " + good + "\n\n")}, "notification 1"},
		{"events without answer", true, reply{200, true, []byte(progress(1, 5))}, "truncated"},
		{"events as JSON", true, reply{200, false, []byte(good)}, "without its 5 notifications"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := expectation{id: []byte("1000000001"), payload: []byte("1000000001ab"), events: c.events}
			err := e.check(c.p)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if truncated := errors.Is(err, errTruncated); truncated != (c.err == "truncated") {
				t.Errorf("truncated: %v", truncated)
			}
		})
	}
}

func TestCheckList(t *testing.T) {
	const list = `{"id":1000000001,"result":{"tools":[{"name":"a"},{"name":"b"}]}}`
	first := new([]byte)
	for _, c := range []struct{ name, id, body, err string }{
		{"too few", "1000000001", `{"id":1000000001,"result":{"tools":[{"name":"a"}]}}`, "1 tools"},
		{"a second page", "1000000001", strings.Replace(list, "]}", `],"nextCursor":"x"}`, 1), "one page"},
		{"cut", "1000000001", list[:len(list)-2], "truncated"},
		{"whole", "1000000001", list, ""},
		{"the same again", "1000000002", strings.Replace(list, "01,", "02,", 1), ""},
		{"another", "1000000001", strings.Replace(list, `"b"`, `"c"`, 1), "differs"},
		{"a longer one", "1000000001", list + " ", "bytes after one of"},
	} {
		e := expectation{id: []byte(c.id), tools: 2, first: first}
		if err := e.check(reply{200, false, []byte(c.body)}); (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.err)
		}
	}
}

// TestLoad sends every kind of case to the lean server, alone and behind the proxy: all answers are right.
func TestLoad(t *testing.T) {
	for _, c := range Cases(false) {
		if c.Upstream != Lean || c.Size > 64<<10 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			up := httptest.NewServer(newLean(c.site().tools))
			defer up.Close()
			h, err := newProxy(up.URL, true)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httptest.NewServer(h)
			defer proxy.Close()
			for _, url := range []string{up.URL, proxy.URL} {
				session := ""
				if c.Era == Legacy {
					if session, err = openSession(t.Context(), url+"/mcp"); err != nil {
						t.Fatal(err)
					}
				}
				ld, err := newLoad(c, url+"/mcp", c.tool(Direct), session, "")
				if err != nil {
					t.Fatal(err)
				}
				if got := ld.run(0, 50); got.calls != 50 || got.errors != 0 || len(got.latency) != 50 {
					t.Errorf("%d calls, %d errors: %v", got.calls, got.errors, got.firstErr)
				}
				ld.close()
			}
		})
	}
}

// TestLoadCountsCutAnswers proves that the count of truncated answers can be other than 0.
func TestLoadCountsCutAnswers(t *testing.T) {
	up := newLean(0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		up.ServeHTTP(rec, r)
		w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // how net/http is told to close the connection
	}))
	defer s.Close()
	ld, err := newLoad(Case{Call, Lean, Modern, 64, 1}, s.URL+"/mcp", echoTool, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer ld.close()
	if got := ld.run(0, 10); got.calls != 0 || got.truncated != 10 || got.errors != 10 {
		t.Errorf("%+v", got)
	}
}

func TestRunMeasures(t *testing.T) {
	rep, err := Run(t.Context(), Options{Cases: []Case{{Call, Lean, Modern, 64, 2}}, Rounds: 2, Slice: 20 * time.Millisecond, Warm: 10 * time.Millisecond})
	if err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	if len(rep.Cells) != 2 || rep.Failed() != 0 {
		t.Fatalf("%+v", rep)
	}
	for _, c := range rep.Cells {
		if c.CPU <= 0 || c.P50 <= 0 || c.P99 < c.P50 || c.Throughput <= 0 || c.Calls == 0 || c.Ratio <= 0 || c.Target == Proxy && c.Ratio != 1 {
			t.Errorf("%+v", c)
		}
	}
	var b strings.Builder
	if err := rep.Write(&b); err != nil || !strings.Contains(b.String(), "call/lean/modern/64B/c2") {
		t.Errorf("%v: %s", err, b.String())
	}
}
