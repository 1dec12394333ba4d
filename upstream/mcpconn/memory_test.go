package mcpconn

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog/room"
)

// budget is memory of which so much may be held.
type budget struct{ held, most atomic.Int64 }

func (b *budget) hold(n int64) (func(), bool) {
	if b.held.Load()+n > b.most.Load() {
		return nil, false
	}
	b.held.Add(n)
	return func() { b.held.Add(-n) }, true
}

// A large answer waits until there is memory for it; it is given up when there is none for long, or when nobody wants it any more. Each byte is given back, also for
// answers that are never dropped.
func TestR33_AnswersWaitForMemory(t *testing.T) {
	const size = maxPooled + 1<<20
	text := strings.Repeat("x", size)
	synctest.Test(t, func(t *testing.T) {
		m := &budget{}
		m.most.Store(size + 1)
		pool := &buffers{memory: room.NewMemory(m.hold)}
		first := pool.get()
		if _, err := first.fill(t.Context(), strings.NewReader(text), size, 2*size); err != nil || m.held.Load() != size+1 {
			t.Fatalf("%v, %d bytes are held", err, m.held.Load())
		}
		began := time.Now()
		time.AfterFunc(3*time.Second, first.drop)
		second := pool.get()
		if _, err := second.fill(t.Context(), strings.NewReader(text), size, 2*size); err != nil || time.Since(began) < 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		third := pool.get()
		if _, err := third.fill(t.Context(), strings.NewReader(text), size, 2*size); !errors.Is(err, room.ErrNone) {
			t.Errorf("with no memory for long: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if _, err := third.fill(ctx, strings.NewReader(text), size, 2*size); err == nil || time.Since(began) > 2*time.Second {
			t.Errorf("that nobody wants any more: %v after %v", err, time.Since(began))
		}
		if _, err := third.fill(t.Context(), strings.NewReader("small"), -1, 2*size); err != nil {
			t.Errorf("a small one: %v", err)
		}
		second.drop()
		third.drop()
		if m.held.Load() != 0 {
			t.Errorf("%d bytes were not given back", m.held.Load())
		}
		m.most.Store(8 * size)
		growing := pool.get()
		if _, err := growing.fill(t.Context(), strings.NewReader(text), -1, 4*size); err != nil || m.held.Load() < size {
			t.Errorf("one of no size said: %v, %d bytes are held", err, m.held.Load())
		}
		growing.drop()
		if m.held.Load() != 0 {
			t.Errorf("%d bytes were not given back", m.held.Load())
		}
	})
	m := &budget{}
	m.most.Store(8 * size)
	pool := &buffers{memory: room.NewMemory(m.hold)}
	if _, err := pool.get().fill(t.Context(), strings.NewReader(text), size, 2*size); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); m.held.Load() != 0; time.Sleep(time.Millisecond) {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatal("what is not dropped is held for ever")
		}
	}
}
