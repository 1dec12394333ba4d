package policy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadRecorded(t *testing.T) {
	t.Parallel()
	p, err := Compile(Spec{Grants: map[string][]string{"group:eng": {"github/*"}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 7, 28, 9, 30, 0, 0, time.UTC)
	for _, line := range []string{
		`{"seq":7,"prev":"00","time":"2026-07-28T09:30:00Z","event":{"kind":"intent","id":"x","who":"user:ana","with":["group:eng"],"method":"tools/call",` +
			`"ref":"github/get_issue","address":"192.0.2.1","arguments":{"n":1}}}`,
		`{"time":"2026-07-28T09:30:00Z","who":"user:ana","with":["group:eng"],"method":"tools/call","ref":"github/get_issue","address":"192.0.2.1","arguments":{"n":1}}`,
	} {
		r, ok, err := p.ReadRecorded([]byte(line), nil)
		if err != nil || !ok {
			t.Fatalf("%s: %t, %v", line, ok, err)
		}
		if r.Action != Call || r.Entry.Ref.String() != "github/get_issue" || r.Request.Principal.String() != "user:ana" {
			t.Errorf("%s %s by %s", r.Action, r.Entry.Ref, r.Request.Principal)
		}
		if diff := cmp.Diff(`{"n":1}`, string(r.Request.Arguments)); diff != "" || !r.Request.Time.Equal(at) || r.Request.Address != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%+v", r.Request)
		}
		if d := p.ProfileOf(r.Request.Principal, nil).DecideWith(r.Action, r.Entry, &r.Request); !d.Allowed {
			t.Errorf("denied by %s: the group was lost", d.Rule)
		}
	}
	for _, line := range []string{
		`{}`, `{"kind":"outcome","id":"x","outcome":"ok"}`, `{"who":"user:ana","method":"tools/list"}`, `{"who":"user:ana","method":"tools/call"}`,
	} {
		if _, ok, err := p.ReadRecorded([]byte(line), nil); ok || err != nil {
			t.Errorf("%s: %t, %v; want it left out", line, ok, err)
		}
	}
	for _, line := range []string{
		`{`, `[]`, `{"who":"ana","method":"tools/call","ref":"a/b"}`, `{"who":"user:ana","method":"tools/call","ref":"b"}`,
		`{"who":"user:ana","method":"tools/call","ref":"a/b","address":"x"}`, `{"time":"now","who":"user:ana"}`, `{"event":7}`,
	} {
		if _, ok, err := p.ReadRecorded([]byte(line), nil); ok || err == nil {
			t.Errorf("%s: %t, %v; want an error", line, ok, err)
		}
	}
}

// FuzzReadRecorded holds that no line of a log makes it panic, and that what is read can be decided.
func FuzzReadRecorded(f *testing.F) {
	f.Add([]byte(`{"time":"2026-07-28T09:30:00Z","event":{"who":"user:ana","with":["group:eng"],"tenant":"t","attributes":{"a":1},"method":"tools/call","ref":"a/b","arguments":{}}}`))
	f.Add([]byte(`{"who":"user:ana","method":"resources/read","ref":"a/file:///x"}`))
	p, err := Compile(Spec{Grants: map[string][]string{"*": {"a/*"}}}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, ok, err := p.ReadRecorded(line, nil)
		if ok && err != nil {
			t.Fatal(err)
		}
		if ok {
			Replay(p, p, nil, []Recorded{r})
		}
	})
}
