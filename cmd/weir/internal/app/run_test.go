package app

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/server"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from     string
		insecure bool
		local    bool
	}{
		{"127.0.0.1:5", false, true},
		{"[::1]:5", false, true},
		{"[::ffff:127.0.0.1]:5", false, true},
		{"127.9.9.9:5", false, true},
		{"192.0.2.1:5", false, false},
		{"[2001:db8::1]:5", false, false},
		{"[::ffff:192.0.2.1]:5", false, false},
		{"", false, false},
		{"@", false, false},
		{"192.0.2.1:5", true, true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		r.RemoteAddr = tc.from
		r.Header.Set("X-Forwarded-For", "127.0.0.1") // what a client says of itself counts for nothing
		p, err := onlyLocal(server.Spec{InsecureNoAuth: tc.insecure}, policy.LocalUser())(r)
		if local := err == nil && p.Principal == policy.LocalUser(); local != tc.local || err != nil && !p.Principal.IsNobody() {
			t.Errorf("%q, insecure %t: %v, %v", tc.from, tc.insecure, p, err)
		}
	}
}

func TestRouter(t *testing.T) {
	t.Parallel()
	env := config.Env{Lookup: func(string) (string, bool) { return "", false }, Dir: t.TempDir(), Home: t.TempDir()}
	file, err := config.Parse("weir.yaml", []byte("mcpServers: {}\nservers: { finance: {}, post: { path: /post } }\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(file, Env{Config: env, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	in, err := a.newSignIn(file.Server, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7777})
	if err != nil {
		t.Fatal(err)
	}
	r := a.newRouter(file.Server, in)
	t.Cleanup(func() {
		r.close()
		_ = a.Close()
	})
	for path, want := range map[string]int{
		"/mcp": http.StatusUnsupportedMediaType, "/mcp/finance": http.StatusUnsupportedMediaType, "/post": http.StatusUnsupportedMediaType,
		"/": http.StatusNotFound, "/mcp/": http.StatusNotFound, "/mcp/post": http.StatusNotFound, "/mcp/finance/": http.StatusNotFound,
	} {
		q := httptest.NewRequest(http.MethodPost, "http://localhost"+path, nil)
		q.RemoteAddr = "127.0.0.1:5"
		w := httptest.NewRecorder()
		r.ServeHTTP(w, q)
		if w.Code != want || want == http.StatusNotFound && w.Body.String() != "weir speaks MCP at /mcp, /mcp/finance, /post\n" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
