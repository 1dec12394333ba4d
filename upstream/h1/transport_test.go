package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(ctx context.Context, t testing.TB, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil
	return r
}

func send(t *testing.T, tr *Transport, url, body string) string {
	t.Helper()
	resp, err := tr.RoundTrip(request(t.Context(), t, url, body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAgainstNetHTTP: bodies of every framing and size come back whole over kept connections, from a real server.
func TestAgainstNetHTTP(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Path", r.URL.RequestURI())
		switch r.URL.Path {
		case "/chunked":
			for part := range bytes.SplitSeq(b, []byte("|")) {
				_, _ = w.Write(part)
				_ = http.NewResponseController(w).Flush()
			}
		case "/close":
			w.Header().Set("Connection", "close")
			_, _ = w.Write(b)
		case "/none":
			w.WriteHeader(204)
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = w.Write(b)
		default:
			_, _ = w.Write(b)
		}
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	tr := &Transport{}
	defer tr.CloseIdleConnections()
	for _, size := range []int{0, 1, 100, 8 << 10, joined, joined + 1, 3 << 20} {
		body := strings.Repeat(strings.Repeat("a", 4<<10)+"|", size/(4<<10)) + strings.Repeat("b", size%(4<<10))
		for path, want := range map[string]string{"/?q=%20": body, "/chunked": strings.ReplaceAll(body, "|", ""), "/none": "", "/early": body} {
			if got := send(t, tr, s.URL+path, body); got != want {
				t.Errorf("%s, %d bytes: got %d bytes back", path, size, len(got))
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	send(t, tr, s.URL+"/close", "x")
	send(t, tr, s.URL+"/", "x")
	if n := conns.Load(); n != 2 {
		t.Errorf("%d connections after one that closed, want 2", n)
	}
}

// raw is a server that answers each request on a connection with the next of its texts, byte for byte, and counts the requests.
type raw struct {
	net.Listener
	requests atomic.Int32
	wg       sync.WaitGroup
}

func serve(t *testing.T, f func(conn net.Conn, n int) bool) *raw {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &raw{Listener: ln}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer func() { _ = c.Close() }()
				br := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					if !f(c, int(s.requests.Add(1))) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		s.wg.Wait()
	})
	return s
}

func (s *raw) url() string { return "http://" + s.Addr().String() + "/" }

func write(c net.Conn, text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// TestDeadConnectionIsNotUsed: a connection that the server closed while it rested costs nothing, and no request is sent twice.
func TestDeadConnectionIsNotUsed(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) bool {
		write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return false // closes without having said so
	})
	tr := &Transport{}
	defer tr.CloseIdleConnections()
	for i := range 20 {
		if got := send(t, tr, s.url(), "x"); got != "ok" {
			t.Errorf("request %d: %q", i, got)
		}
		deadline := time.Now().Add(5 * time.Second)
		for tr.resting() > 0 && tr.idle[s.Addr().String()][0].alive() && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
	if n := s.requests.Load(); n != 20 {
		t.Errorf("the server saw %d requests, want 20", n)
	}
}

func (t *Transport) resting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.idle {
		n += len(l)
	}
	return n
}

// TestMalformedAnswers: what is not clearly one answer is an error, and its connection is not used again.
func TestMalformedAnswers(t *testing.T) {
	tests := map[string]string{
		"nothing":                 "",
		"not HTTP":                "hello\r\n\r\n",
		"HTTP/2":                  "HTTP/2.0 200 OK\r\n\r\n",
		"short status":            "HTTP/1.1 20\r\n\r\n",
		"long status":             "HTTP/1.1 2000\r\n\r\n",
		"switching protocols":     "HTTP/1.1 101 Switching\r\n\r\n",
		"half a header":           "HTTP/1.1 200 OK\r\nContent-Le",
		"line without colon":      "HTTP/1.1 200 OK\r\nfoo\r\n\r\n",
		"folded line":             "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"space before the colon":  "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
		"control character":       "HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
		"two lengths":             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
		"negative length":         "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
		"signed length":           "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
		"length and chunks":       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"unknown coding":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"body cut short":          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
		"chunk cut short":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
		"no last chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
		"trailer without its end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n",
		"endless header":          "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 10<<10) + "\r\n\r\n",
		"too many headers":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(c net.Conn, _ int) bool {
				write(c, text)
				return false
			})
			tr := &Transport{MaxHeader: 4 << 10}
			defer tr.CloseIdleConnections()
			resp, err := tr.RoundTrip(request(t.Context(), t, s.url(), "x"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("taken for a whole answer: %v", err)
			}
			if tr.resting() != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// TestCancel: a context that ends frees the caller, before the answer and within it, and the connection is gone.
func TestCancel(t *testing.T) {
	for name, text := range map[string]string{"before the answer": "", "within the answer": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			defer close(hold)
			ctx, cancel := context.WithCancel(t.Context())
			s := serve(t, func(c net.Conn, _ int) bool {
				write(c, text)
				cancel()
				_, _ = c.Read(make([]byte, 1)) // until the client hangs up
				return false
			})
			tr := &Transport{}
			defer tr.CloseIdleConnections()
			resp, err := tr.RoundTrip(request(ctx, t, s.url(), "x"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if err == nil || text == "" && !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v", err)
			}
			if tr.resting() != 0 {
				t.Error("the connection is kept")
			}
		})
	}
}

// TestIdleConnectionsEnd without anybody asking for them.
func TestIdleConnectionsEnd(t *testing.T) {
	s := serve(t, func(c net.Conn, _ int) bool { return write(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") })
	tr := &Transport{IdleTimeout: 20 * time.Millisecond}
	send(t, tr, s.url(), "x")
	deadline := time.Now().Add(10 * time.Second)
	for tr.resting() > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the connection still rests")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestConcurrent: answers do not mix, and no more connections are opened than requests run at once.
func TestConcurrent(t *testing.T) {
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	tr := &Transport{}
	defer tr.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for j := range 100 {
				want := strings.Repeat(fmt.Sprintf("%d/%d ", i, j), 1+j*20)
				if got := send(t, tr, s.URL, want); got != want {
					t.Errorf("got another's answer")
				}
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n > 32 {
		t.Errorf("%d connections for 32 callers", n)
	}
}

func TestHeaderInjection(t *testing.T) {
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header["A"] = []string{"b\r\nC: d"} },
		func(r *http.Request) { r.Header["A\r\nB"] = []string{"c"} },
		func(r *http.Request) { r.Header[""] = []string{"c"} },
		func(r *http.Request) { r.Host = "a\r\nB: c" },
		func(r *http.Request) { r.URL.Opaque = "/a HTTP/1.1\r\nB:" },
	} {
		r := request(t.Context(), t, "http://127.0.0.1:1/", "")
		change(r)
		if b, err := appendHead(nil, r); err == nil {
			t.Errorf("written: %q", b)
		}
	}
}

// FuzzAnswer compares with net/http: what is accepted here means the same there.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 404 \r\nA:b\r\n\r\nrest"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		c := newConn(&Transport{}, "a", near)
		c.in.Reset(bytes.NewReader(data))
		c.begin(t.Context())
		r := &http.Request{Method: "POST"}
		resp, err := c.receive(r)
		if err != nil {
			return
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		br := bufio.NewReader(bytes.NewReader(data))
		want, err := http.ReadResponse(br, r)
		for err == nil && want.StatusCode < 200 {
			want, err = http.ReadResponse(br, r)
		}
		if err != nil {
			t.Fatalf("net/http refuses what is accepted here: %v", err)
		}
		whole, err := io.ReadAll(want.Body)
		if err != nil || want.StatusCode != resp.StatusCode || !bytes.Equal(whole, got) {
			t.Fatalf("status %d %d, body %q %q, %v", want.StatusCode, resp.StatusCode, whole, got, err)
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer s.Close()
	own := &Transport{}
	defer own.CloseIdleConnections()
	std := &http.Transport{}
	defer std.CloseIdleConnections()
	for name, tr := range map[string]http.RoundTripper{"h1": own, "net": std} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			body := strings.Repeat("a", 64)
			for b.Loop() {
				resp, err := tr.RoundTrip(request(b.Context(), b, s.URL, body))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
