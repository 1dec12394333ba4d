package room

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// Large is the size from which on there must be memory for an answer, in bytes.
	Large = 256 << 10
	// Wait is how long an answer waits for it.
	Wait = 30 * time.Second
	// growWait is about how long one waits that holds some already.
	growWait = 2 * time.Second
	poll     = 10 * time.Millisecond
)

// ErrNone says that no memory was left for an answer.
var ErrNone = errors.New("no memory is left for the answer")

// Hold reports whether n bytes may be taken; release gives them back. It must not block.
type Hold func(n int64) (release func(), ok bool)

// Memory is what rooms are taken from. Nil is as much as anybody wants. Safe for concurrent use.
type Memory struct {
	hold Hold
	turn chan struct{} // of answers of unknown size
}

// NewMemory returns a Memory that is counted by hold, nil for nobody.
func NewMemory(hold Hold) *Memory {
	if hold == nil {
		return nil
	}
	return &Memory{hold: hold, turn: make(chan struct{}, 1)}
}

// Room is the memory of one answer. The zero value with a Memory is ready. It is not safe for concurrent use.
type Room struct {
	Memory  *Memory
	held    int64
	release func()
	inTurn  bool
}

// Held is how many bytes Release gives back.
func (r *Room) Held() int64 { return r.held }

// Ask takes memory until n bytes are held in all, when that is possible at once. What is small needs none.
func (r *Room) Ask(n int64) bool {
	if r.Memory == nil || n < Large || n <= r.held {
		return true
	}
	release, ok := r.Memory.hold(n - r.held)
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
	if r.held > 0 { // not all at the same time give up
		most = min(most, growWait/2+rand.N(growWait)) //nolint:gosec // no secret depends on it
	}
	for until := time.Now().Add(most); ctx.Err() == nil && time.Now().Before(until); {
		time.Sleep(poll)
		if r.Ask(n) {
			return nil
		}
	}
	return ErrNone
}

// Enter is for an answer that may come to n bytes, or to much less. It takes them, or waits for its turn to take with Ask and Take what it does come to.
func (r *Room) Enter(ctx context.Context, n int64) error {
	if r.inTurn || r.Ask(n) {
		return nil
	}
	timer := time.NewTimer(Wait)
	defer timer.Stop()
	select {
	case r.Memory.turn <- struct{}{}:
		r.inTurn = true
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	return ErrNone
}

// Release gives everything back. It may be called more than once.
func (r *Room) Release() {
	if r.release != nil {
		r.release()
	}
	if r.inTurn {
		<-r.Memory.turn
	}
	r.held, r.release, r.inTurn = 0, nil, false
}
