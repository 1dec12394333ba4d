package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
		p, err := authenticate(server.Spec{InsecureNoAuth: tc.insecure})(r)
		if local := err == nil && p == policy.LocalUser(); local != tc.local || (err != nil && p != policy.Principal{}) {
			t.Errorf("%q, insecure %t: %v, %v", tc.from, tc.insecure, p, err)
		}
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	h := only("/mcp", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for path, want := range map[string]int{"/mcp": http.StatusTeapot, "/": http.StatusNotFound, "/mcp/": http.StatusNotFound, "/mcp/x": http.StatusNotFound} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != want || want == http.StatusNotFound && !strings.Contains(w.Body.String(), "/mcp") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
