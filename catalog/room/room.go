package room

import (
	"context"
	"errors"
	"time"
)

const (
	// Large is the size from which on there must be memory for an answer, in bytes.
	Large = 256 << 10
	// Wait is how long an answer waits for it.
	Wait = 30 * time.Second
	poll = 10 * time.Millisecond
)

// ErrNone says that no memory was left for an answer.
var ErrNone = errors.New("no memory is left for the answer")

// Hold reports whether n bytes may be taken; release gives them back. It must not block. Nil always says yes.
type Hold func(n int64) (release func(), ok bool)

// Room is the memory of one answer. The zero value with a Hold is ready. It is not safe for concurrent use.
type Room struct {
	Hold    Hold
	held    int64
	release func()
}

// Held is how many bytes Release gives back.
func (r *Room) Held() int64 { return r.held }

// Ask takes memory until n bytes are held in all, when that is possible at once. What is small needs none.
func (r *Room) Ask(n int64) bool {
	if r.Hold == nil || n < Large || n <= r.held {
		return true
	}
	release, ok := r.Hold(n - r.held)
	if !ok {
		return false
	}
	if last := r.release; last != nil {
		more := release
		release = func() { last(); more() }
	}
	r.held, r.release = n, release
	return true
}

// Take is Ask that waits for the memory, at most so long and until ctx ends. Its error is ErrNone.
func (r *Room) Take(ctx context.Context, n int64, most time.Duration) error {
	if r.Ask(n) {
		return nil
	}
	for until := time.Now().Add(most); ctx.Err() == nil && time.Now().Before(until); {
		time.Sleep(poll)
		if r.Ask(n) {
			return nil
		}
	}
	return ErrNone
}

// Release gives everything back. It may be called more than once.
func (r *Room) Release() {
	if r.release != nil {
		r.release()
	}
	r.held, r.release = 0, nil
}
