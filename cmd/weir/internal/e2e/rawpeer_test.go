package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// wire is a client whose messages are bytes: what is sent is sent as it stands, what arrives is returned as it stands.
type wire interface {
	// exchange sends a request with a raw id and raw params, and returns what came for it; the answer is last.
	exchange(t testing.TB, id, method, params string) []string
}

// envelope is a request with raw parts.
func envelope(id, method, params string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `","params":` + params + `}`
}

// httpWire speaks Streamable HTTP.
type httpWire struct {
	url, session string
	era          era
	client       *http.Client
}

// dialHTTPWire connects to url; a legacy wire has a session then.
func dialHTTPWire(t testing.TB, url string, e era) *httpWire {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w := &httpWire{url: url, era: e, client: &http.Client{Transport: transport, Timeout: callTimeout}}
	if e == legacy {
		w.exchange(t, "0", "initialize", legacyHello)
		must(t, w.send(t, "", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "").Body.Close())
		w.exchange(t, "1", "logging/setLevel", `{"level":"debug"}`)
	}
	return w
}

const legacyHello = `{"protocolVersion":"2025-11-25","clientInfo":{"name":"e2e","version":"1"},"capabilities":{}}`

func (w *httpWire) send(t testing.TB, method, body, target string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if method != "initialize" {
		r.Header.Set("Mcp-Protocol-Version", w.era.version())
	}
	if w.session != "" {
		r.Header.Set("Mcp-Session-Id", w.session)
	}
	if w.era == modern {
		r.Header.Set("Mcp-Method", method)
		if target != "" {
			r.Header.Set("Mcp-Name", headerText(target))
		}
	}
	resp, err := w.client.Do(r)
	must(t, err)
	if w.session == "" {
		w.session = resp.Header.Get("Mcp-Session-Id")
	}
	return resp
}

// headerText is the value of a header that mirrors s.
func headerText(s string) string {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return "=?base64?" + base64.StdEncoding.EncodeToString([]byte(s)) + "?="
		}
	}
	return s
}

func (w *httpWire) exchange(t testing.TB, id, method, params string) []string {
	t.Helper()
	var about struct{ Name, URI string }
	must(t, json.Unmarshal([]byte(params), &about))
	resp := w.send(t, method, envelope(id, method, params), about.Name+about.URI)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return []string{string(b)}
	}
	var all []string
	for event := range strings.SplitSeq(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n\n") {
		var data []string
		for line := range strings.SplitSeq(event, "\n") {
			if text, ok := strings.CutPrefix(line, "data:"); ok {
				data = append(data, strings.TrimPrefix(text, " "))
			}
		}
		if text := strings.Join(data, "\n"); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// lineWire speaks stdio, one request at a time.
type lineWire struct {
	in    io.WriteCloser
	lines chan string
}

// dialLineWire starts cmd and speaks with it.
func dialLineWire(t testing.TB, cmd *exec.Cmd, e era) *lineWire {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	pr, pw := io.Pipe()
	cmd.Stdout = pw
	c := start(t, cmd)
	w := &lineWire{in: in, lines: make(chan string, 1024)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		r := bufio.NewReader(pr)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			w.lines <- strings.TrimSuffix(line, "\n")
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		if !c.waitEnd(15 * time.Second) {
			t.Errorf("%s still runs 15 s after its input was closed", cmd.Path)
		}
		_ = pw.Close()
		<-read
	})
	if e == legacy {
		w.exchange(t, "0", "initialize", legacyHello)
		_, err := io.WriteString(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
		must(t, err)
		w.exchange(t, "1", "logging/setLevel", `{"level":"debug"}`)
	}
	return w
}

func (w *lineWire) exchange(t testing.TB, id, method, params string) []string {
	t.Helper()
	_, err := io.WriteString(w.in, envelope(id, method, tight(params))+"\n")
	must(t, err)
	var all []string
	for {
		select {
		case line := <-w.lines:
			var m message
			must(t, json.Unmarshal([]byte(line), &m))
			if m.Method != "" && m.Method != "notifications/progress" && m.Method != "notifications/message" {
				continue // a list that changed is no part of the exchange
			}
			all = append(all, line)
			if m.Method == "" {
				return all
			}
		case <-time.After(callTimeout):
			t.Fatalf("%s: no answer in %s", method, callTimeout)
		}
	}
}

// tight takes the insignificant white space out, as the framing of stdio demands.
func tight(raw string) string {
	var b bytes.Buffer
	if json.Compact(&b, []byte(raw)) != nil {
		return raw
	}
	return b.String()
}

// member is one member of an object: key and value as they were written.
type member struct{ Key, Value string }

// members takes an object apart. It reads with encoding/json, which weir does not.
func members(t testing.TB, raw string) []member {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("not an object: %s", tail(raw, 300))
	}
	var all []member
	for dec.More() {
		from := dec.InputOffset()
		_, err := dec.Token()
		must(t, err)
		key := strings.TrimLeft(raw[from:dec.InputOffset()], ", \t\r\n")
		var value json.RawMessage
		must(t, dec.Decode(&value))
		all = append(all, member{key, string(value)})
	}
	return all
}

// get returns the raw value of a member, "" when it is absent.
func get(all []member, key string) string {
	for _, m := range all {
		if m.Key == `"`+key+`"` {
			return m.Value
		}
	}
	return ""
}

// without drops members by name, in whatever way their keys are written.
func without(t testing.TB, all []member, keys ...string) []member {
	t.Helper()
	var kept []member
	for _, m := range all {
		var name string
		must(t, json.Unmarshal([]byte(m.Key), &name))
		drop := false
		for _, k := range keys {
			drop = drop || name == k
		}
		if !drop {
			kept = append(kept, m)
		}
	}
	return kept
}

// set returns all with the value of a member replaced where it stands.
func set(all []member, key, value string) []member {
	out := append([]member(nil), all...)
	for i := range out {
		if out[i].Key == `"`+key+`"` {
			out[i].Value = value
		}
	}
	return out
}

// join puts members together again.
func join(all []member) string {
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = m.Key + ":" + m.Value
	}
	return "{" + strings.Join(parts, ",") + "}"
}
