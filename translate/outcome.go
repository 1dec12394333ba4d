package translate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"weir/catalog/room"
)

// defaultMaxBody bounds one answer of an API where configuration does not.
const defaultMaxBody = 16 << 20

// BodyLimit is how long one answer of the API may be, in bytes.
func (s *Spec) BodyLimit() int64 {
	if s.MaxBody > 0 {
		return s.MaxBody
	}
	return defaultMaxBody
}

// NoMemory says why an answer was not taken, or not read.
const NoMemory = "weir has no memory left for it"

// ReadBody reads an answer. cut says that it ended too early, was longer than is taken, or found no memory; data is what came until then. The memory for it and for
// reading it is taken into memory, beside what is held there already, and waited for.
func (s *Spec) ReadBody(ctx context.Context, r *http.Response, memory *room.Room) (data []byte, cut string) {
	limit, held := s.BodyLimit(), memory.Held()
	size := int64(512)
	if r.ContentLength > 0 && r.ContentLength <= limit {
		size = r.ContentLength + 1 // the end is seen without another growth
	}
	if memory.Take(ctx, held+copies*size, room.Wait) != nil {
		return nil, NoMemory
	}
	data = make([]byte, 0, size)
	for {
		n, err := r.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return data[:limit], "it is longer than " + Bytes(int(limit))
		case errors.Is(err, io.EOF):
			if len(data) >= room.Large && memory.Take(ctx, held+int64(cap(data))+Weight(data), room.Wait) != nil {
				return nil, NoMemory
			}
			return data, ""
		case err != nil:
			return data, "it ended after " + Bytes(len(data)) + ", before it was complete"
		case len(data) == cap(data):
			more := max(len(data), 3*min(len(data), 64<<10)) // few steps to where most answers end
			if need := copies * int64(len(data)+more); need >= room.Large {
				if memory.Enter(ctx, held+copies*limit) != nil || memory.Take(ctx, held+need, room.Wait) != nil {
					return nil, NoMemory
				}
			}
			data = slices.Grow(data, more)
		}
	}
}

// copies is how often an answer is in memory: as it came, as what is read of it, and in what the collector has not seen yet.
const copies = 3

// valueWeight is how many bytes one value of a document takes while a result is made of it: twice in a tree, since cutting makes another one.
const valueWeight = 160

// Weight is about how many bytes reading data takes beside data: its text once more, and a tree of its values. Commas and brackets in texts count as well; it is
// rather too much.
func Weight(data []byte) int64 {
	values := 1
	for _, mark := range [...]string{",", "[", "{"} {
		values += bytes.Count(data, []byte(mark))
	}
	return int64(len(data) + valueWeight*values)
}

const readsOnly = "It only reads, so it may be tried again."

// Unreachable says that a call never went out.
const Unreachable = "The API could not be reached; nothing was sent. " + TryLater

// Short says that a call never went out because weir itself has nothing left to send it with.
func Short(err error) string {
	return "weir has no " + room.Shortage(err) + " left to reach the API; nothing was sent. " + TryLater
}

// Unknown says what a call came to that got no answer.
func (t *Entry) Unknown() string {
	if t.Annotations.ReadOnly {
		return readsOnly
	}
	return "It is not known whether the API carried it out."
}

// CarriedOut says what a call came to whose answer cannot be used.
func (t *Entry) CarriedOut() string {
	if t.Annotations.ReadOnly {
		return readsOnly
	}
	return "The call was carried out; check before you repeat it."
}

// TooLarge says what a call came to whose answer is longer than is taken; less says how to ask for less, may be empty.
func (t *Entry) TooLarge(less string) string {
	if t.Annotations.ReadOnly {
		return "Ask for less" + less + "."
	}
	return "The call was carried out, or part of it; check before you repeat it."
}

// Silent says that no answer came in time.
func (t *Entry) Silent(timeout time.Duration) string {
	return fmt.Sprintf("The API did not answer within %s. %s", timeout, t.Unknown())
}

// Broken says that the connection was lost before an answer came.
func (t *Entry) Broken() string {
	return "The connection to the API failed before an answer came. " + t.Unknown()
}

// Unreached is what is said of an HTTP request that ended with an error. unusual means that the error is worth a line in the log.
func (t *Entry) Unreached(ctx context.Context, err error, timeout time.Duration) (text string, unusual bool) {
	op, network := errors.AsType[*net.OpError](err)
	switch {
	case network && op.Op == "dial" && room.Shortage(err) != "":
		return Short(err), false
	case network && op.Op == "dial":
		return Unreachable, false
	case errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return t.Silent(timeout), false
	}
	return t.Broken(), true
}
