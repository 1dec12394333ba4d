package mcpconn

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// take decides whom a message is for. m is the reader's: whoever keeps it copies it.
func (t *stdio) take(m *rawjson.Message) {
	if m.Kind == rawjson.Result || m.Kind == rawjson.Error {
		t.response(m)
		return
	}
	method := m.MethodName()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hello = true
	if m.Kind == rawjson.Request && method == "ping" {
		t.postReply(m, []byte(`"result":{}`))
		return
	}
	to, known := t.addressees(m, method)
	for _, w := range to {
		t.deliver(w, m)
	}
	switch {
	case len(to) > 0:
	case known:
		t.stats.Unmatched++
	case !t.inbox.put(m, method):
		t.stats.Dropped++
		if m.Kind == rawjson.Request {
			t.postReply(m, errorMember(mcp.INTERNAL_ERROR, "too many requests at a time"))
		}
	}
}

// postReply answers a request of the server without waiting. The lock is held.
func (t *stdio) postReply(m *rawjson.Message, answer []byte) {
	line := t.o.pool.get()
	line.b = appendReply(line.b, m.ID.Of(m.Data), answer)
	t.post(line)
}

// response takes an answer to the request it names.
func (t *stdio) response(m *rawjson.Message) {
	buf := t.o.pool.get()
	if err := buf.afford(context.Background(), int64(len(m.Data)), 0); err != nil { // the reader waits for nobody
		buf.drop()
		if id, ok := parseID(m.ID.Of(m.Data)); ok {
			t.fail(id, noMemory(t.o.name))
		}
		return
	}
	buf.b = append(buf.b, m.Data...)
	resp := &response{message: *m, release: buf.drop}
	resp.message.Data = buf.b
	id, ok := parseID(m.ID.Of(m.Data))
	t.mu.Lock()
	t.hello = true
	w := t.open[id]
	if w != nil && ok {
		delete(t.open, id)
		w.resp = resp
	} else {
		t.stats.Unmatched++
	}
	t.mu.Unlock()
	if w == nil || !ok {
		buf.drop()
		return
	}
	w.nudge()
}

// addressees returns the requests that a notification or request of the server is for; known says that it names one that is not open any
// more. Neither means that nobody in particular is meant. The lock is held.
func (t *stdio) addressees(m *rawjson.Message, method string) (to []*pending, known bool) {
	switch {
	case m.Kind == rawjson.Request:
		if w, ok := asked(t.listening()); ok {
			return []*pending{w}, false
		}
		return nil, false
	case method == "notifications/progress":
		if w := t.byToken(m.ProgressToken.Of(m.Data)); w != nil && w.onMessage != nil {
			return []*pending{w}, true
		}
		return nil, true
	case method == "notifications/resources/updated" || strings.HasSuffix(method, "/list_changed"):
		return nil, false
	case method == "notifications/cancelled":
		// It takes back a request that went to one of them; the others do not know its id.
		return t.listening(), true
	case !m.Meta.SubscriptionID.Absent():
		id, ok := parseID(m.Meta.SubscriptionID.Of(m.Data))
		if w := t.open[id]; ok && w != nil && w.onMessage != nil {
			return []*pending{w}, true
		}
		return nil, false
	default:
		return t.onePerSession(), false
	}
}

// byToken returns the open request of a progress token, nil when there is none. The lock is held.
func (t *stdio) byToken(token []byte) *pending {
	id, ok := parseID(token)
	if !ok {
		return nil
	}
	if w := t.open[id]; w != nil {
		return w
	}
	for _, w := range t.open {
		if w.token != 0 && w.token == id {
			return w
		}
	}
	return nil
}

// listening returns the open requests that take messages, oldest first. The lock is held.
func (t *stdio) listening() []*pending {
	var all []*pending
	for _, w := range t.open {
		if w.onMessage != nil {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *pending) int { return int(a.id - b.id) })
	return all
}

// onePerSession returns the oldest open request of each session that takes messages. The lock is held.
func (t *stdio) onePerSession() []*pending {
	oldest := map[string]*pending{}
	for _, w := range t.open {
		if first := oldest[w.session]; w.onMessage != nil && (first == nil || w.id < first.id) {
			oldest[w.session] = w
		}
	}
	return slices.SortedFunc(maps.Values(oldest), func(a, b *pending) int { return int(a.id - b.id) })
}

// deliver puts a copy of m into the queue of w. A caller that does not keep up loses its request, not the memory of everybody. The lock is held.
func (t *stdio) deliver(w *pending, m *rawjson.Message) {
	size := weight(m)
	if w.held+size > t.o.maxHeld || t.held+size > maxAllHeld {
		w.err = &catalog.Error{
			Code: catalog.TooLarge, Msg: fmt.Sprintf("%s: notifications of more than %d bytes were not taken in time", t.o.name, w.held),
		}
		delete(t.open, w.id)
		t.cancelled(w, "too many notifications")
		w.nudge()
		return
	}
	one := *m
	one.Data = bytes.Clone(m.Data)
	w.queue = append(w.queue, one)
	w.held += size
	t.held += size
	w.nudge()
}
