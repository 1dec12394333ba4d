package record_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/server/record"
	"weir/server/record/audit"
)

// contents are the members of a stage's audit records that say what calls brought along and what came back.
func contents(t *testing.T, s *stage) (all []string) {
	t.Helper()
	if err := s.audit.Close(); err != nil {
		t.Fatal(err)
	}
	if err := audit.Read(s.dir, func(r audit.Record) bool {
		for _, member := range []string{`,"arguments":`, `,"result":`} {
			if _, rest, found := strings.Cut(string(r.Event), member); found {
				all = append(all, strings.Trim(member, `,":`)+" "+strings.TrimSuffix(rest, "}"))
			}
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Arguments and results are where the operator wants them and nowhere else, and what a tool's schemas or a key say is secret is in neither.
func TestContents(t *testing.T) {
	const (
		form   = "ghp_" + "8Kd02mZq7Vn5cA8f3k29dkW01mzQ7vn5cXy1" // of a token; nobody's
		answer = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"code\":\"CANARY\",\"left\":7}"},{"type":"text","text":"done ` + form + `"}],` +
			`"structuredContent":{"code":"CANARY","left":7},"_meta":{"session-token":"CANARY"}}}`
		call  = `{"name":"bank__sign","arguments":{"by":"ana","code":"CANARY"}}`
		given = `{"by":"ana","code":"[redacted]"}`
		came  = `{"content":[{"type":"text","text":"{\"code\":\"[redacted]\",\"left\":7}"},{"type":"text","text":"done [redacted: github-token]"}],` +
			`"structuredContent":{"code":"[redacted]","left":7},"_meta":{"session-token":"[redacted]"}}`
	)
	for _, tt := range []struct {
		name              string
		audited, recorded record.Contents
		reads             bool
		want              []string
		arguments, result string
	}{
		{name: "nothing"},
		{
			name: "all", audited: record.Contents{Arguments: true, Results: true}, recorded: record.Contents{Arguments: true, Results: true},
			want: []string{"arguments " + given, "result " + came}, arguments: given, result: came,
		},
		{name: "audited results", audited: record.Contents{Results: true}, want: []string{"result " + came}, result: came},
		{name: "audited results of reads", audited: record.Contents{Results: true}, reads: true, want: []string{"result " + came}, result: came},
		{name: "recorded results", recorded: record.Contents{Results: true}, result: came},
		{name: "recorded arguments", recorded: record.Contents{Arguments: true}, arguments: given},
	} {
		s := newStageOf(t, answer, func(o *record.Options) {
			o.AuditContents, o.RecordContents = tt.audited, tt.recorded
			o.ReadOnly = func(*catalog.Entry) bool { return tt.reads }
		})
		if reply := s.ask(t, "tools/call", call); strings.Count(reply, "CANARY") != 3 {
			t.Errorf("%s: the caller got %s", tt.name, reply)
		}
		if diff := cmp.Diff(tt.want, contents(t, s)); diff != "" {
			t.Errorf("%s (-want +got): %s", tt.name, diff)
		}
		if got := s.records[0]; string(got.Arguments) != tt.arguments || string(got.Result) != tt.result || got.Row().Result != tt.result {
			t.Errorf("%s: arguments %s, result %s", tt.name, got.Arguments, got.Result)
		}
	}
}

// A result that is too large is a number of bytes; a failure and what is no call of an entry have none.
func TestResultsThatAreNotRecorded(t *testing.T) {
	large := `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` + strings.Repeat("x", 64<<10) + `"}]}}`
	wants := func(o *record.Options) { o.AuditContents = record.Contents{Results: true} }
	s := newStageOf(t, large, wants)
	s.ask(t, "tools/call", `{"name":"bank__pay"}`)
	s.ask(t, "tools/list", `{}`)
	s.ask(t, "tools/call", `{"name":"bank__nothing"}`)
	if diff := cmp.Diff([]string{`result "[65575 bytes]"`}, contents(t, s)); diff != "" {
		t.Error("(-want +got):", diff)
	}
	for _, answer := range []string{"", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}`} {
		s := newStageOf(t, answer, wants)
		s.ask(t, "tools/call", `{"name":"bank__pay"}`)
		if got := contents(t, s); got != nil {
			t.Errorf("%s: %q", answer, got)
		}
	}
}
