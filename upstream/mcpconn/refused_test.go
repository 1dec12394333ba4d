package mcpconn

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"weir/catalog"
)

// Who configured a credential is told that it was refused, not to configure one.
func TestRefusedCredential(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer s.Close()
	const refused, wants = "up: the server refused the credential that is configured (HTTP 401", "up: the server wants credentials (HTTP 401"
	for _, tt := range []struct{ header, message, hint string }{
		{"authorization", refused, "correct the header Authorization of up"},
		{"X-Api-Key", refused, "correct the header X-Api-Key of up"},
		{"X-Tenant", wants, "set headers: {Authorization: …} for up"},
	} {
		cfg := config(s.URL)
		cfg.Headers = [][2]string{{tt.header, "hidden"}}
		_, err := Dial(t.Context(), cfg)
		wantError(t, err, catalog.NeedsLogin, catalog.NotExecuted, tt.message)
		if own, ok := errors.AsType[*catalog.Error](err); ok && own.Hint != tt.hint {
			t.Errorf("%s: %q", tt.header, own.Hint)
		}
	}
}
