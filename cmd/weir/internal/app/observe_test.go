package app_test

import (
	"strings"
	"testing"

	"weir/cmd/weir/internal/app"
	"weir/server/record/audit"
	"weir/upstream/upstreamtest"
)

// TestAuditIntents: calls of tools that only the operator may call read-only have no intent, unless the file wants one for everything.
func TestAuditIntents(t *testing.T) {
	for _, tt := range []struct {
		name        string
		audit       object
		annotations object
		want        int
	}{
		{"nobody says that it reads", object{"dir": "audit"}, object{}, 1},
		{"the operator does", object{"dir": "audit"}, object{"readOnly": []string{"notes/*"}}, 0},
		{"and wants all", object{"dir": "audit", "intents": "all"}, object{"readOnly": []string{"notes/*"}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up := upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{tool("echo")}})
			p := newPlace(t, object{
				"mcpServers": object{"notes": object{"url": up.URL}}, "audit": tt.audit,
				"policy": object{"annotations": tt.annotations, "grants": object{"user:local": []string{"*/*"}}},
			})
			file, a := p.open(t)
			settled(t, a)
			if _, err := a.Call(t.Context(), "notes__echo", []byte(`{}`)); err != nil {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			dir, err := app.AuditDir(file)
			if err != nil {
				t.Fatal(err)
			}
			intents, outcomes := 0, 0
			if err := audit.Read(dir, func(r audit.Record) bool {
				intents += strings.Count(string(r.Event), `"kind":"intent"`)
				outcomes += strings.Count(string(r.Event), `"kind":"outcome"`)
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if intents != tt.want || outcomes != 1 {
				t.Errorf("%d intents, want %d; %d outcomes", intents, tt.want, outcomes)
			}
		})
	}
}
