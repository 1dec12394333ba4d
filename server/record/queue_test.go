package record_test

import (
	"strings"
	"testing"
	"time"

	"weir/server/record/audit"
)

// How long a call waited for its turn is told apart from its time with the upstream, and who must come back later hears when.
func TestQueueIsRecorded(t *testing.T) {
	s := newStage(t, "")
	s.queued, s.retry = 70*time.Millisecond, 1500*time.Millisecond
	if reply := s.ask(t, "tools/call", `{"name":"bank__pay","arguments":{}}`); !strings.Contains(reply, `"execution":"not executed","retryAfterMs":1500,"id":"`+s.records[0].ID+`"}`) {
		t.Error(reply)
	}
	if len(s.records) != 1 || s.records[0].Queue != s.queued {
		t.Errorf("%+v", s.records)
	}
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	found := false
	err := audit.Read(s.dir, func(r audit.Record) bool {
		found = found || strings.Contains(string(r.Event), `,"queueMs":70`)
		return true
	})
	if err != nil || !found {
		t.Errorf("no queueMs in the audit log: %v", err)
	}
}
