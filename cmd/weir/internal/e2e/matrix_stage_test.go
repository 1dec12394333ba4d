package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/upstream/upstreamtest"
)

// stage is one way through weir, with a client that can be asked everything, while features are performed on it.
type stage struct {
	way
	peer fullPeer
	up   *upstreamtest.Server

	t     testing.TB // of the feature that is performed
	lines []string   // what the client was sent
	mark  int        // entries of the ledger before the feature
	heard int        // strays before the feature, and those that are in lines
}

func newStage(t *testing.T, w way) *stage {
	t.Helper()
	s := &stage{way: w, t: t}
	spec := object{"required": true} // what is there at the start does not change when it comes
	if cfg := matrixConfig(w.server); w.serverOver == "stdio" {
		s.up = upstreamtest.Stdio(t, cfg)
		spec["command"], spec["args"] = s.up.Command, s.up.Args
	} else {
		s.up = upstreamtest.New(t, cfg)
		spec["url"] = s.up.URL
	}
	config := object{"pageSize": matrixPageSize, "mcpServers": object{"up": spec}}
	who := person{can: everything(), answers: func(m message) object { return answerTo(m.Method, m.Params) }}
	if w.clientOver == "stdio" {
		s.peer = dialStdioAs(t, config, w.client, who)
	} else {
		s.peer = dialHTTPAs(t, serve(t, config).url, w.client, who, nil)
	}
	upstreamtest.Eventually(t, func() bool {
		names, err := toolNames(s.peer)
		return err == nil && len(names) > 0
	}, "the upstream is not listed")
	return s
}

// everything is the capabilities of a client that can be asked everything.
func everything() object {
	return object{"elicitation": object{"form": object{}, "url": object{}}, "sampling": object{}, "roots": object{}}
}

// perform plays a feature, and compares what the client was sent and what the upstream received with what it must be.
func (s *stage) perform(t *testing.T, f feature) {
	t.Helper()
	s.t, s.lines, s.mark, s.heard = t, nil, len(s.up.Ledger().Entries()), len(s.peer.strays())
	f.play(s)
	s.hear(0)
	if diff := cmp.Diff(f.client(s.way), s.lines); diff != "" {
		t.Errorf("the client is sent: want (-) and seen (+):\n%s", diff)
	}
	want := f.upstream(s.way)
	var got []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got = s.received(f.only); slices.Equal(got, want) {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the upstream receives: want (-) and seen (+):\n%s", diff)
	}
	for _, breach := range s.up.Ledger().Breaches() {
		t.Errorf("towards the upstream: %s", breach)
	}
}

// call makes a request and notes all that comes for it. A modern client is asked by the end of a round, and goes on with the next one.
func (s *stage) call(method string, params object) {
	s.t.Helper()
	for {
		events, err := s.peer.call(method, params)
		must(s.t, err)
		for _, m := range events {
			s.note(m)
		}
		var result object
		_ = json.Unmarshal(events[len(events)-1].Result, &result) // an error is in lines
		if result["resultType"] != "input_required" {
			return
		}
		responses := object{}
		requests, _ := result["inputRequests"].(object)
		for key, request := range requests {
			var m message
			must(s.t, json.Unmarshal(encode(request), &m))
			responses[key] = answerTo(m.Method, m.Params)
		}
		params = maps.Clone(params)
		params["inputResponses"] = responses
		if state, ok := result["requestState"]; ok {
			params["requestState"] = state
		}
	}
}

// use calls a tool of the upstream.
func (s *stage) use(tool string, meta object) {
	s.t.Helper()
	params := object{"name": "up__" + tool, "arguments": object{"x": 1}}
	if meta != nil {
		params["_meta"] = meta
	}
	s.call("tools/call", params)
}

// hear notes what comes outside of requests, and waits until n more of it are there.
func (s *stage) hear(n int) {
	s.t.Helper()
	all := s.peer.strays()
	upstreamtest.Eventually(s.t, func() bool {
		all = s.peer.strays()
		return len(all) >= s.heard+n
	}, "%d notifications after %q", n, s.lines)
	for _, m := range all[s.heard:] {
		s.note(m)
	}
	s.heard = len(all)
}

// note writes a message to the client down, without what names nothing but this one message.
func (s *stage) note(m message) {
	s.t.Helper()
	if m.Method != "" {
		s.lines = append(s.lines, strings.TrimSpace(m.Method+" "+s.tidy(m.Params)))
		return
	}
	if m.Error != nil {
		var fault struct{ Code int }
		must(s.t, json.Unmarshal(m.Error, &fault))
		s.lines = append(s.lines, fmt.Sprintf("error %d", fault.Code))
		return
	}
	s.lines = append(s.lines, "result "+s.tidy(m.Result))
}

// tidy writes params or a result for the client with sorted keys and placeholders.
func (s *stage) tidy(raw json.RawMessage) string {
	s.t.Helper()
	o := decode(s.t, raw)
	if o == nil {
		return ""
	}
	meta, _ := o["_meta"].(object)
	if info, ok := meta["io.modelcontextprotocol/serverInfo"].(object); ok && info["name"] == "weir" && s.client == modern {
		delete(meta, "io.modelcontextprotocol/serverInfo")
	}
	if _, ok := meta["io.modelcontextprotocol/subscriptionId"].(json.Number); ok && s.client == modern {
		meta["io.modelcontextprotocol/subscriptionId"] = "«listen»"
	}
	if len(meta) == 0 {
		delete(o, "_meta")
	}
	if state, ok := o["requestState"].(string); ok && state != "" {
		o["requestState"] = "«state»"
	}
	if requests, ok := o["inputRequests"].(object); ok && len(requests) == 1 { // an upstream's own key, or weir's
		for key, request := range requests {
			o["inputRequests"] = object{"«key»": request}
			_ = key
		}
	}
	if id, ok := o["elicitationId"].(string); ok && id != "" && s.server == modern { // weir made it
		o["elicitationId"] = "«id»"
	}
	return string(encode(o))
}

// received lists what reached the upstream since the feature began, but for handshakes; only, if it is not empty, says which methods, from the
// very beginning.
func (s *stage) received(only string) []string {
	s.t.Helper()
	entries := s.up.Ledger().Entries()
	calls := map[string]int{} // raw id → how many calls were before
	lines := []string{}
	for i, e := range entries {
		if only == "" && i < s.mark || only != "" && e.Method != only {
			continue
		}
		switch e.Method {
		case "initialize", "notifications/initialized", "server/discover", "GET", "DELETE":
			continue
		}
		if e.Method == "tools/call" || e.Method == "subscriptions/listen" {
			calls[string(e.ID)] = len(calls) + 1
		}
		line := strings.TrimSpace(e.Method + " " + s.tidyUp(e, calls))
		if e.Outcome == "canceled" {
			line += " → canceled"
		}
		lines = append(lines, line)
	}
	return lines
}

// tidyUp writes what an upstream received with sorted keys and placeholders, and takes out what every request of the hop must have.
func (s *stage) tidyUp(e upstreamtest.Entry, calls map[string]int) string {
	s.t.Helper()
	if e.Method == "" {
		var m message
		must(s.t, json.Unmarshal([]byte(e.Body), &m))
		return "answer " + string(encode(decode(s.t, m.Result))) + string(m.Error)
	}
	o := decode(s.t, json.RawMessage(e.Params))
	if o == nil {
		return ""
	}
	meta, _ := o["_meta"].(object)
	if s.server == modern && e.ID != "" {
		want := object{"io.modelcontextprotocol/protocolVersion": modern.version(), "io.modelcontextprotocol/clientCapabilities": everything()}
		if e.Method != "tools/call" { // nothing can be asked there
			delete(want, "io.modelcontextprotocol/clientCapabilities")
		}
		for key, value := range want {
			if !bytes.Equal(encode(meta[key]), encode(value)) {
				s.t.Errorf("%s: _meta has %s: %s", e.Method, key, encode(meta[key]))
			}
		}
		for _, key := range []string{"protocolVersion", "clientCapabilities", "clientInfo"} {
			delete(meta, "io.modelcontextprotocol/"+key)
		}
	}
	if _, ok := meta["progressToken"].(json.Number); ok {
		meta["progressToken"] = "«token»"
	}
	if len(meta) == 0 {
		delete(o, "_meta")
	}
	if id, ok := o["requestId"].(json.Number); ok {
		o["requestId"] = fmt.Sprintf("«%d»", calls[id.String()])
		delete(o, "reason")
	}
	if len(o) == 0 {
		return ""
	}
	return string(encode(o))
}

// decode reads an object and keeps its numbers as they are written.
func decode(t testing.TB, raw json.RawMessage) object {
	t.Helper()
	if raw == nil || string(raw) == "" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var o object
	must(t, dec.Decode(&o))
	return o
}

// encode writes a value as JSON with sorted keys.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // what was decoded encodes
	return bytes.TrimSpace(b.Bytes())
}
