package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"weir/cmd/weir/internal/app"
	"weir/server/record/audit"
	"weir/upstream/upstreamtest"
)

// TestExport: each request is told to the systems of the file, with the id that the request log has, and without arguments.
func TestExport(t *testing.T) {
	got := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("X-Key") + " " + string(b)
	}))
	defer web.Close()
	up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
	p := newPlace(t, object{
		"mcpServers": object{"notes": object{"url": up.URL}}, "requestLog": object{"database": "requests.db", "arguments": true},
		"export": []object{{"http": web.URL, "headers": object{"X-Key": "${KEY:-k}"}, "shape": "ocsf", "spool": "spool"}},
	})
	_, a := p.open(t)
	settled(t, a)
	if _, err := a.Call(t.Context(), "notes__echo", []byte(`{"x":"CANARY"}`)); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil { // sends what waits
		t.Error(err)
	}
	close(got)
	var all strings.Builder
	for text := range got {
		all.WriteString(text)
	}
	if text := all.String(); !strings.HasPrefix(text, "k {") || !strings.Contains(text, `"class_uid":6003`) || !strings.Contains(text, "notes/echo") || strings.Contains(text, "CANARY") {
		t.Errorf("told: %s", text)
	}
}

// TestAuditHeads: other systems hear how far the audit log goes, in the form that weir audit verify takes.
func TestAuditHeads(t *testing.T) {
	got := make(chan string, 10)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	defer web.Close()
	p := newPlace(t, object{"audit": object{"dir": "audit"}, "export": []object{{"http": web.URL}}})
	file, a := p.open(t)
	_, _ = a.Call(t.Context(), "nothing", []byte(`{}`)) // is recorded, too
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	close(got)
	var all strings.Builder
	for text := range got {
		all.WriteString(text)
	}
	found := regexp.MustCompile(`"method":"audit/head","name":"lane-00".*"reason":"([^"]*)"`).FindStringSubmatch(all.String())
	if found == nil {
		t.Fatalf("told: %s", all.String())
	}
	head, err := audit.ParseHead(found[1])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := app.AuditDir(file)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := audit.Verify(dir, head)
	if err != nil || len(reports) != 1 || len(reports[0].Problems) > 0 || reports[0].Last != head.Seq {
		t.Errorf("%s: %+v %v", head, reports, err)
	}
}
