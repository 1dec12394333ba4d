package app_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestContentsOfAnAPI: what an API's description marks as secret is neither in the audit log nor in the request log, by whatever name it goes; what is
// said around it is.
func TestContentsOfAnAPI(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"code":"CANARY-back","left":7}`))
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	path := filepath.Join(dir, "api.json")
	const code = `{"type":"string","format":"password"}`
	if err := os.WriteFile(path, []byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/sign":{"post":{"operationId":"sign","requestBody":{"content":{"application/json":{"schema":
		{"type":"object","properties":{"by":{"type":"string"},"code":`+code+`,"once":{"type":"string","writeOnly":true}}}}}},
		"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"object","properties":{"code":`+code+`,"left":{"type":"integer"}}}}}}}}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, object{
		"mcpServers": object{"bank": object{"openapi": path, "server": server.URL, "tools": object{"sign": object{}}}},
		"audit":      object{"dir": filepath.Join(dir, "log"), "arguments": true, "results": true},
		"requestLog": object{"database": filepath.Join(dir, "requests.db"), "arguments": true, "results": true},
	})
	a := p.start(t)
	settled(t, a)
	for _, arguments := range []string{`{"by":"ana","code":"CANARY-code","once":"CANARY-once"}`, `{"by":"bob"}`} {
		if got := calls(t, a, "bank__sign", arguments); !strings.Contains(got, "CANARY-back") {
			t.Error(got)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	whole := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if kind := filepath.Base(path); strings.HasPrefix(kind, "audit") || strings.HasPrefix(kind, "requests") {
			kind, _, _ = strings.Cut(kind, "-")
			kind, _, _ = strings.Cut(kind, ".")
			whole[kind] += strings.ReplaceAll(string(b), `\`, "")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for kind, text := range whole {
		if strings.Contains(text, "CANARY") {
			t.Errorf("%s: a secret is there", kind)
		}
		for _, want := range []string{`{"by":"ana","code":"[redacted]","once":"[redacted]"}`, `{"by":"bob"}`, `{"code":"[redacted]","left":7}`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: there is no %s", kind, want)
			}
		}
	}
	if len(whole) != 2 {
		t.Errorf("%d logs", len(whole))
	}
}
