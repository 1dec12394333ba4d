package mcpconn

import (
	"bytes"
	"strings"
	"sync"

	"weir/catalog/rawjson"
)

// maxInbox bounds what the inbox holds, in bytes.
const maxInbox = 4 << 20

// inbox holds what belongs to no request until the dispatcher passes it on.
type inbox struct {
	mu     sync.Mutex
	queue  []rawjson.Message
	held   int64
	closed bool
	wake   chan struct{} // holds a token when there is something new
}

// put adds a copy of m; false means that there was no room. Of list changes one of a kind is enough as long as nobody has looked at the list.
func (in *inbox) put(m *rawjson.Message, method string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if strings.HasSuffix(method, "/list_changed") {
		for i := range in.queue {
			if in.queue[i].MethodName() == method {
				return true
			}
		}
	}
	if in.closed || in.held+weight(m) > maxInbox {
		return false
	}
	one := *m
	one.Data = bytes.Clone(m.Data)
	in.queue = append(in.queue, one)
	in.held += weight(m)
	in.ring()
	return true
}

// take returns what is there; more is false at the end.
func (in *inbox) take() (queue []rawjson.Message, more bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	queue = in.queue
	in.queue, in.held = nil, 0
	return queue, !in.closed
}

func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.ring()
}

func (in *inbox) ring() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// dispatch passes on what belongs to no request, one message at a time and away from the reader: whoever gets it may send requests.
func (t *stdio) dispatch() {
	for range t.inbox.wake {
		queue, more := t.inbox.take()
		for i := range queue {
			t.o.unsolicited(&queue[i])
		}
		if !more {
			return
		}
	}
}
