package room_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/catalog/room"
)

// memory is memory of which so much may be held.
type memory struct{ held, most int64 }

func (m *memory) hold(n int64) (func(), bool) {
	if m.held+n > m.most {
		return nil, false
	}
	m.held += n
	return func() { m.held -= n }, true
}

// locked is hold for many.
func (m *memory) locked() room.Hold {
	var mu sync.Mutex
	return func(n int64) (func(), bool) {
		mu.Lock()
		defer mu.Unlock()
		release, ok := m.hold(n)
		return func() {
			mu.Lock()
			defer mu.Unlock()
			release()
		}, ok
	}
}

// A room grows by what is missing, waits until there is as much, gives up in time, and gives back exactly what it took.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{most: 10 * room.Large}
		all := room.NewMemory(m.locked())
		a, b := room.Room{Memory: all}, room.Room{Memory: all}
		for _, n := range []int64{1, room.Large - 1} {
			if !a.Ask(n) || m.held != 0 {
				t.Errorf("%d bytes: %d are held", n, m.held)
			}
		}
		for _, n := range []int64{4 * room.Large, 2 * room.Large, 8 * room.Large} {
			if err := a.Take(t.Context(), n, 0); err != nil || m.held != max(4*room.Large, n) {
				t.Errorf("%d bytes: %v, %d are held", n, err, m.held)
			}
		}
		if b.Ask(4*room.Large) || b.Held() != 0 {
			t.Errorf("more than there is: %d are held", b.Held())
		}
		began := time.Now()
		taken := make(chan error)
		go func() { taken <- b.Take(t.Context(), 4*room.Large, room.Wait) }()
		time.Sleep(3 * time.Second)
		a.Release()
		if err := <-taken; err != nil || time.Since(began) > 3*time.Second+100*time.Millisecond || m.held != 4*room.Large {
			t.Errorf("%v after %s, %d are held", err, time.Since(began), m.held)
		}
		began = time.Now()
		if err := a.Take(t.Context(), 8*room.Large, time.Second); !errors.Is(err, room.ErrNone) || time.Since(began) < time.Second || time.Since(began) > 2*time.Second {
			t.Errorf("none for long: %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Take(ctx, 8*room.Large, time.Hour); !errors.Is(err, room.ErrNone) || time.Since(began) > 4*time.Second {
			t.Errorf("that nobody wants any more: %v after %s", err, time.Since(began))
		}
		b.Release()
		b.Release()
		if m.held != 0 {
			t.Errorf("%d bytes were not given back", m.held)
		}
		free := room.Room{Memory: room.NewMemory(nil)}
		if !free.Ask(1<<40) || free.Held() != 0 {
			t.Error("nobody counts, and it is refused")
		}
	})
}

// What is small costs nothing.
func TestSmallIsFree(t *testing.T) {
	m := &memory{}
	r := room.Room{Memory: room.NewMemory(m.hold)}
	if n := testing.AllocsPerRun(100, func() {
		if r.Take(t.Context(), room.Large-1, room.Wait) != nil {
			t.Error("refused")
		}
		r.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Many answers of unknown size, each of which comes to more than its part of the memory, are all taken, one after the other where need be; and one that can never be had
// gives up soon when it holds something that others wait for.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{most: 10 * room.Large}
		all := room.NewMemory(m.locked())
		var crowd sync.WaitGroup
		for i := range 20 {
			crowd.Go(func() {
				r := room.Room{Memory: all}
				defer r.Release()
				if err := r.Enter(t.Context(), 6*room.Large); err != nil {
					t.Errorf("%d: %v", i, err)
				}
				for n := int64(room.Large); n <= 4*room.Large; n *= 2 {
					if err := r.Take(t.Context(), n, room.Wait); err != nil {
						t.Errorf("%d, %d bytes: %v", i, n, err)
					}
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		crowd.Wait()
		if m.held != 0 {
			t.Errorf("%d bytes were not given back", m.held)
		}
		r := room.Room{Memory: all}
		defer r.Release()
		began := time.Now()
		if !r.Ask(2*room.Large) || r.Take(t.Context(), 11*room.Large, room.Wait) == nil || time.Since(began) > 5*time.Second {
			t.Errorf("it gave up after %s", time.Since(began))
		}
		r.Release()
		if err := r.Enter(t.Context(), 11*room.Large); err != nil || r.Held() != 0 {
			t.Errorf("more than there can be: %v, %d are held", err, r.Held())
		}
		other := room.Room{Memory: all}
		began = time.Now()
		if err := other.Enter(t.Context(), 11*room.Large); !errors.Is(err, room.ErrNone) || time.Since(began) != room.Wait {
			t.Errorf("out of turn: %v after %s", err, time.Since(began))
		}
	})
}

// Only what weir itself lacks is a shortage, however deep it lies.
func TestShortage(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, "open files"},
		{fmt.Errorf("a: %w", &os.PathError{Op: "open", Err: syscall.ENFILE}), "open files"},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOBUFS)}, "system memory"},
		{&os.PathError{Op: "fork/exec", Err: syscall.ENOMEM}, "system memory"},
		{fmt.Errorf("a: %w", &os.PathError{Op: "fork/exec", Err: syscall.EAGAIN}), "processes"},
		{&os.PathError{Op: "fork/exec", Err: syscall.EACCES}, ""},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.EAGAIN)}, ""},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ""},
	} {
		if got := room.Shortage(c.err); got != c.want {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}
