package upstreamtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"
)

// Entry is one thing that reached a server: an HTTP request, or a line on standard input.
type Entry struct {
	Seq     int         `json:"seq"`
	At      time.Time   `json:"at"`
	Verb    string      `json:"verb,omitempty"` // HTTP method; empty on stdio
	Path    string      `json:"path,omitempty"` // with the query
	Header  http.Header `json:"header,omitempty"`
	Conn    string      `json:"conn,omitempty"` // the peer's address: equal for requests of one connection; the pid on stdio
	Session string      `json:"session,omitempty"`
	Era     Era         `json:"era,omitempty"` // of the message

	Body   Raw    `json:"body,omitempty"`   // as received, before any parsing
	Method string `json:"method,omitempty"` // JSON-RPC method; empty for a response
	ID     Raw    `json:"id,omitempty"`     // as written; empty for a notification
	Name   string `json:"name,omitempty"`   // params.name, params.uri, or that of params.ref
	Params Raw    `json:"params,omitempty"`

	// Breach says how the message breaks the specification, empty when it does not.
	Breach string `json:"breach,omitempty"`
	// Outcome is empty while the request is open, then "answered", "canceled" (by notification, or by the client going away), "broken" (by a fault)
	// or "refused" (its session is unknown, so it was not executed).
	Outcome string `json:"outcome,omitempty"`
}

// Ledger is what reached a server, in order of arrival. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	entries []Entry
	file    string   // where a child writes it; entries then stay empty
	out     *os.File // the child's end
}

// add stamps e and returns its sequence number.
func (l *Ledger) add(e Entry) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Seq, e.At = len(l.entries), time.Now()
	l.entries = append(l.entries, e)
	l.write(e)
	return e.Seq
}

// set changes the entry seq.
func (l *Ledger) set(seq int, f func(*Entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.entries[seq])
	l.write(l.entries[seq])
}

// write appends e to the child's file. Later lines of one Seq replace earlier ones.
func (l *Ledger) write(e Entry) {
	if l.out == nil {
		return
	}
	if b, err := json.Marshal(e); err == nil {
		_, _ = l.out.Write(append(b, '\n'))
	}
}

// Entries returns everything so far, those of all runs of a child one after the other.
func (l *Ledger) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == "" {
		return append([]Entry(nil), l.entries...)
	}
	b, err := os.ReadFile(l.file)
	if err != nil {
		return nil
	}
	type key struct {
		conn string
		seq  int
	}
	var all []Entry
	at := map[key]int{}
	r := bufio.NewReader(bytes.NewReader(b))
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF { // an unfinished line is not yet there
			return all
		}
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		k := key{e.Conn, e.Seq}
		if i, ok := at[k]; ok {
			all[i] = e
			continue
		}
		at[k] = len(all)
		all = append(all, e)
	}
}

// Calls returns the requests and notifications of one method.
func (l *Ledger) Calls(method string) []Entry {
	var calls []Entry
	for _, e := range l.Entries() {
		if e.Method == method {
			calls = append(calls, e)
		}
	}
	return calls
}

// Count is the number of Calls.
func (l *Ledger) Count(method string) int { return len(l.Calls(method)) }

// Conns is the number of different connections (stdio: processes) that carried requests of method; "" counts all.
func (l *Ledger) Conns(method string) int {
	seen := map[string]bool{}
	for _, e := range l.Entries() {
		if method == "" || e.Method == method {
			seen[e.Conn] = true
		}
	}
	return len(seen)
}

// Breaches lists what broke the specification, as "method: what".
func (l *Ledger) Breaches() []string {
	var all []string
	for _, e := range l.Entries() {
		if e.Breach != "" {
			all = append(all, e.Method+": "+e.Breach)
		}
	}
	return all
}

// Wait returns the Calls of method as soon as there are n of them, and fails the test when ten seconds pass first.
func (l *Ledger) Wait(t testing.TB, method string, n int) []Entry {
	t.Helper()
	var calls []Entry
	Eventually(t, func() bool {
		calls = l.Calls(method)
		return len(calls) >= n
	}, "%d × %s at the upstream", n, method)
	return calls
}

// Eventually polls ok until it is true and fails the test when ten seconds pass first.
func Eventually(t testing.TB, ok func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 10 s: "+format, args...)
}
