package mcpconn

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"weir/catalog"
	"weir/catalog/rawjson"
)

const (
	// maxBatch is how many bytes are joined for one write: what a pipe of the usual size holds.
	maxBatch = 64 << 10
	// maxWaiting bounds the bytes that wait for the writer, give or take a message; callers wait beyond it.
	maxWaiting = 1 << 20
	// maxPosted bounds the bytes that nobody may wait for: cancellations and answers to pings. Beyond it they are dropped.
	maxPosted = 2 << 20
)

// outgoing is a line on its way to the writer.
type outgoing struct {
	line *buffer
	id   int64 // of the request, 0 for anything else
}

// outbox is the queue of the writer. It belongs to stdio.mu.
type outbox struct {
	queue []outgoing
	bytes int
	idle  bool
	room  chan struct{} // closed when there is room; nil when nobody waits
}

func (o *outbox) put(line *buffer, id int64) {
	o.queue = append(o.queue, outgoing{line, id})
	o.bytes += len(line.b)
}

// withdraw takes back a request that the writer has not taken.
func (o *outbox) withdraw(id int64) bool {
	i := slices.IndexFunc(o.queue, func(x outgoing) bool { return x.id == id })
	if i < 0 {
		return false
	}
	o.bytes -= len(o.queue[i].line.b)
	o.queue[i].line.drop()
	o.queue = slices.Delete(o.queue, i, i+1)
	return true
}

// take moves lines to batch, as many as make one write.
func (o *outbox) take(batch []outgoing) []outgoing {
	n, size := 0, 0
	for n < len(o.queue) && (n == 0 || size+len(o.queue[n].line.b) <= maxBatch) {
		size += len(o.queue[n].line.b)
		n++
	}
	batch = append(batch, o.queue[:n]...)
	o.queue = slices.Delete(o.queue, 0, n)
	o.bytes -= size
	return batch
}

func (o *outbox) clear() {
	for _, x := range o.queue {
		x.line.drop()
	}
	o.queue, o.bytes = nil, 0
}

// send hands a line to the writer, in the order of the calls, and w to the table of requests with it. It waits for room as long as ctx allows.
// The line is its own from now on.
func (t *stdio) send(ctx context.Context, line *buffer, w *pending) error {
	id := int64(0)
	if w != nil {
		id = w.id
	}
	// Compact leaves no line break; should it ever, the second half would be a message of its own to the server.
	if bytes.IndexByte(line.b, '\n') != len(line.b)-1 || bytes.IndexByte(line.b, '\r') >= 0 {
		line.drop()
		return &catalog.Error{Code: catalog.Internal, Msg: t.o.name + ": a message would break its frame", Execution: catalog.NotExecuted}
	}
	for {
		t.mu.Lock()
		if t.fault != nil || ctx.Err() != nil {
			err := ended(ctx, t.o.name, catalog.NotExecuted)
			if t.fault != nil {
				err = t.refused()
			}
			t.mu.Unlock()
			line.drop()
			return err
		}
		if t.out.bytes < maxWaiting {
			break
		}
		if t.out.room == nil {
			t.out.room = make(chan struct{})
		}
		room := t.out.room
		t.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
	}
	if w != nil {
		t.open[id] = w
	}
	t.out.put(line, id)
	idle := t.out.idle
	t.mu.Unlock()
	if idle {
		t.wakeWriter()
	}
	return nil
}

// post hands a line to the writer without waiting. The lock is held.
func (t *stdio) post(line *buffer) {
	if t.fault != nil || t.out.bytes+len(line.b) > maxPosted {
		t.stats.Dropped++
		line.drop()
		return
	}
	t.out.put(line, 0)
	if t.out.idle {
		t.wakeWriter()
	}
}

func (t *stdio) wakeWriter() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// makeRoom lets those go on who wait for room. The lock is held.
func (t *stdio) makeRoom() {
	if t.out.room != nil {
		close(t.out.room)
		t.out.room = nil
	}
}

// write is the writer: the only one who writes to the child's stdin. It holds no lock while it does, because a child that writes while nobody
// reads its stdout stops reading its stdin, and the reader needs the lock.
func (t *stdio) write() {
	var batch []outgoing
	var joined []byte
	for {
		batch = t.next(batch[:0])
		if len(batch) == 0 {
			return
		}
		data := batch[0].line.b
		if len(batch) > 1 {
			joined = joined[:0]
			for _, x := range batch {
				joined = append(joined, x.line.b...)
			}
			data = joined
		}
		n, err := t.p.Stdin.Write(data)
		if err != nil {
			t.unwritten(batch, n)
		}
		for i := range batch {
			batch[i].line.drop()
			batch[i].line = nil
		}
		if err != nil {
			t.stop()
			return
		}
	}
}

// next waits for something to write; it is empty when the connection is lost.
func (t *stdio) next(batch []outgoing) []outgoing {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.out.queue) == 0 {
		if t.fault != nil {
			return nil
		}
		t.out.idle = true
		t.mu.Unlock()
		<-t.kick
		t.mu.Lock()
		t.out.idle = false
	}
	batch = t.out.take(batch)
	for _, x := range batch {
		if w := t.open[x.id]; w != nil {
			w.written = true
		}
	}
	t.makeRoom()
	return batch
}

// unwritten takes a batch of which only n bytes reached the pipe. The child closed its stdin or is gone: nothing more can be sent. Requests
// of which no byte was written did not reach it. All fail when its stdout ends, which says why.
func (t *stdio) unwritten(batch []outgoing, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range batch {
		if w := t.open[x.id]; w != nil && n <= 0 {
			w.written = false
		}
		n -= len(x.line.b)
	}
	t.out.clear()
	if t.fault == nil {
		t.fault = &catalog.Error{Code: catalog.Unavailable, Msg: t.o.name + ": closed its stdin"}
	}
	t.makeRoom()
}

// appendRequest appends r as one line. Compact is what makes it one, whatever white space and line breaks the caller's params hold.
func appendRequest(dst []byte, r *request) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendInt(dst, r.id, 10)
	return appendMethod(append(dst, ','), r.method, r.params)
}

func appendNotification(dst []byte, method string, params []byte) []byte {
	return appendMethod(append(dst, `{"jsonrpc":"2.0",`...), method, params)
}

func appendMethod(dst []byte, method string, params []byte) []byte {
	dst = append(dst, `"method":`...)
	dst = rawjson.AppendString(dst, method)
	if params != nil {
		dst = append(dst, `,"params":`...)
		dst = rawjson.Compact(dst, params)
	}
	return append(dst, '}', '\n')
}

func appendCancelled(dst []byte, id int64, reason string) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"reason":`...)
	dst = rawjson.AppendString(dst, reason)
	return append(dst, '}', '}', '\n')
}

// appendReply appends the answer to a request of the server; answer is a raw result or error member.
func appendReply(dst, id, answer []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	dst = append(dst, ',')
	dst = rawjson.Compact(dst, answer)
	return append(dst, '}', '\n')
}
