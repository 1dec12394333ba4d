package mcpconn

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"weir/catalog/room"
)

const (
	smallBuffer = 4 << 10
	// maxPooled is the largest buffer that is kept for reuse: one huge message must not pin its memory in a pool.
	maxPooled = 2 << 20
)

// buffers is a pool of byte slices. The zero value is ready for use.
type buffers struct {
	pool   sync.Pool
	memory *room.Memory // see Config.Memory; may be nil
}

// buffer is one byte slice of a pool. It goes back when its last user drops it; a buffer that is never dropped is left to the collector.
type buffer struct {
	b     []byte
	users atomic.Int32
	home  *buffers

	room     *room.Room      // what it takes of the memory, nil while it is small
	backstop runtime.Cleanup // gives that back for a buffer that is never dropped
}

// get returns an empty buffer with one user.
func (p *buffers) get() *buffer {
	b, ok := p.pool.Get().(*buffer)
	if !ok {
		b = &buffer{b: make([]byte, 0, smallBuffer), home: p}
	}
	b.users.Store(1)
	return b
}

// keep adds a user.
func (b *buffer) keep() { b.users.Add(1) }

// drop ends the use by one user. The bytes must not be touched by that user afterwards.
func (b *buffer) drop() {
	if b.users.Add(-1) != 0 {
		return
	}
	if b.room != nil {
		b.backstop.Stop()
		b.room.Release()
		b.room = nil
	}
	if cap(b.b) > maxPooled {
		return
	}
	b.b = b.b[:0]
	b.home.pool.Put(b)
}

// afford waits until there is memory for a buffer of n bytes, at most so long and until ctx ends: meanwhile what is to be read stays with who sends it.
func (b *buffer) afford(ctx context.Context, n int64, most time.Duration) error {
	if b.home.memory == nil || n < room.Large {
		return nil
	}
	if b.room == nil {
		b.room = &room.Room{Memory: b.home.memory}
		b.backstop = runtime.AddCleanup(b, (*room.Room).Release, b.room)
	}
	return b.room.Take(ctx, n, most)
}

// fill reads r to its end into b, at most limit bytes. size is the expected length, -1 when unknown.
// tooLarge says that there was more than limit; how much of it was read is not specified.
func (b *buffer) fill(ctx context.Context, r io.Reader, size, limit int64) (tooLarge bool, err error) {
	if size > limit {
		return true, nil
	}
	// One byte more than expected, so that the end is seen without growing.
	if size >= int64(cap(b.b)) {
		if err := b.afford(ctx, size+1, room.Wait); err != nil {
			return false, err
		}
		b.b = make([]byte, 0, size+1)
	}
	for {
		if len(b.b) == cap(b.b) {
			if err := b.afford(ctx, next(b.b, limit), room.Wait); err != nil {
				return false, err
			}
			b.b = grown(b.b, limit)
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if int64(len(b.b)) > limit {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}

// grown returns b with more room. append takes smaller steps, and leaves five times a large message behind for the collector.
func grown(b []byte, limit int64) []byte {
	return append(make([]byte, 0, next(b, limit)), b...)
}

// next is the capacity of b after grown.
func next(b []byte, limit int64) int64 {
	return max(doubled(int64(cap(b)), limit), int64(cap(b))+smallBuffer)
}

// doubled is the next size of a buffer: twice as much, or all that limit allows and the byte that is too much, when that is no more than twice as far.
func doubled(size, limit int64) int64 {
	if size = 2 * size; size > limit/2 {
		return limit + 1
	}
	return size
}
