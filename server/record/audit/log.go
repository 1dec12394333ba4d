package audit

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"
)

// OnFailure is what happens to calls when the log cannot be written.
type OnFailure string

// Block refuses them; Degrade lets them pass and keeps their records in memory until the disk takes them.
const (
	Block   OnFailure = "block"
	Degrade OnFailure = "degrade"
)

// Options are what a Log is opened with.
type Options struct {
	Dir          string        // of the lanes
	SegmentBytes int64         // a segment is sealed when it is larger; 0 means 64 MiB
	Keep         time.Duration // sealed segments that were last written longer ago are removed; 0 keeps all
	OnFailure    OnFailure     // Block when empty
	Log          *slog.Logger

	create func(path string) (file, error) // of a segment or HEAD; tests make files that fail
}

const (
	defaultSegment = 64 << 20
	// held and heldBytes bound the records that wait in memory for a disk that does not take them.
	held, heldBytes = 8192, 64 << 20
	// together and togetherBytes bound the records of one commit.
	together, togetherBytes = 1024, 16 << 20
	// few is how many callers do not wait for each other: there is time for a commit of each.
	few = 8
	// gather is how often it is looked whether more callers came to wait, looks how often at most. linger is how long a record may wait that nobody waits for.
	gather, looks, linger = time.Millisecond, 5, 50 * time.Millisecond
	// retry is how often a disk that failed is tried again.
	retry = time.Second
)

// file is what a segment is written to.
type file interface {
	WriteAt([]byte, int64) (int, error)
	Truncate(int64) error
	Sync() error
	Close() error
}

// ErrClosed is the error of a log that was closed.
var ErrClosed = errors.New("audit: the log is closed")

// errFailing is the error of a log that the disk does not take.
var errFailing = errors.New("audit: the log cannot be written")

// Log is an open audit log: one lane of its folder. It is safe for concurrent use.
type Log struct {
	o     Options
	lock  *os.File
	wake  chan struct{} // has room for one: there is something to commit
	timer *time.Timer   // looks
	once  sync.Once
	end   chan struct{}
	done  chan struct{}

	mu     sync.Mutex
	next   *batch // what is gathered
	seen   int    // how many callers waited for next at the last look
	looked int    // how often it was looked
	spare  *batch // memory for the one after it
	crowd  int    // how many callers must wait for next to be committed at once
	closed bool
	seq    uint64 // of the newest record on disk
	head   hash   // its hash

	w writer // of the goroutine that runs commits, alone
}

// Open opens the first lane of the folder that no other program writes, makes it when needed, and repairs what a crash left.
func Open(o Options) (*Log, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegment
	}
	if o.OnFailure == "" {
		o.OnFailure = Block
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.create == nil {
		o.create = createFile
	}
	dir, lock, err := takeLane(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	l := &Log{o: o, lock: lock, wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{}), next: newBatch(), crowd: 1}
	l.timer = time.AfterFunc(time.Hour, l.look)
	l.w = writer{o: &l.o}
	if err := l.w.open(); err != nil {
		l.timer.Stop()
		return nil, errors.Join(err, lock.Close())
	}
	l.seq, l.head = l.w.seq, l.w.prev
	go l.run()
	return l, nil
}

// Append writes an event, a raw JSON object, and returns when it is on disk. With Degrade it returns nil also when the disk takes nothing.
func (l *Log) Append(ctx context.Context, event []byte) error {
	c, err := l.add(ctx, event, true)
	if err != nil {
		return err
	}
	<-c.done
	return c.err
}

// Post writes an event soon, behind everything before it. It waits while too many are on their way.
func (l *Log) Post(event []byte) {
	_, _ = l.add(context.Background(), event, false) // a closed log takes nothing
}

// add puts a copy of an event into the next commit.
func (l *Log) add(ctx context.Context, event []byte, waited bool) (*commit, error) {
	l.mu.Lock()
	for l.next.full() && !l.closed {
		full := l.next.commit
		l.mu.Unlock()
		select {
		case <-full.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		l.mu.Lock()
	}
	if l.closed {
		l.mu.Unlock()
		return nil, ErrClosed
	}
	b, c := l.next, l.next.commit
	b.add(event, time.Now(), waited)
	now := waited && b.waited == l.crowd || b.full()
	switch {
	case now:
	case waited && b.waited == 1:
		l.await()
	case len(b.entries) == 1:
		l.timer.Reset(linger)
	}
	l.mu.Unlock()
	if now {
		l.rouse()
	}
	return c, nil
}

// await gives the callers who wait a moment for others to come. l.mu is held.
func (l *Log) await() {
	l.seen, l.looked = l.next.waited, 0
	l.timer.Reset(gather)
}

// look has what was gathered committed, unless callers still come.
func (l *Log) look() {
	l.mu.Lock()
	l.looked++
	come := l.next.waited > l.seen && l.looked < looks
	if come {
		l.seen = l.next.waited
		l.timer.Reset(gather)
	}
	l.mu.Unlock()
	if !come {
		l.rouse()
	}
}

// rouse has what was gathered committed.
func (l *Log) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Failing reports whether the disk did not take what was written last.
func (l *Log) Failing() bool { return l.w.failing.Load() != nil }

// Cause is what the system said when the disk did not take what was written last, such as "no space left on device", without a path; "" when it took it or the
// system said nothing.
func (l *Log) Cause() string {
	if err := l.w.failing.Load(); err != nil {
		if said, ok := errors.AsType[syscall.Errno](*err); ok {
			return said.Error()
		}
	}
	return ""
}

// Ready returns why calls are refused at the moment, nil when they are not.
func (l *Log) Ready() error {
	select {
	case <-l.end:
		return ErrClosed
	default:
	}
	if l.Blocks() && l.Failing() {
		return errFailing
	}
	return nil
}

// Blocks reports whether calls are refused while the disk does not take them.
func (l *Log) Blocks() bool { return l.o.OnFailure == Block }

// Close writes what waits, seals the segment and closes the log.
func (l *Log) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		close(l.end)
	})
	<-l.done
	return l.w.closed
}

// run commits what was gathered until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	defer func() { _ = l.lock.Close() }()
	defer l.timer.Stop()
	for {
		select {
		case <-l.wake:
			l.write()
		case <-l.end:
			l.write()
			l.w.close()
			l.mu.Lock()
			l.seq, l.head = l.w.seq, l.w.prev
			l.mu.Unlock()
			return
		}
	}
}

// write commits the next batch. Those who waited for it will be back, and with those who came meanwhile they make the next one worth a commit. A few
// wait for nobody.
func (l *Log) write() {
	l.mu.Lock()
	b := l.next
	if len(b.entries) == 0 && !l.Failing() { // it went with an earlier commit
		l.mu.Unlock()
		return
	}
	l.timer.Stop() // it was for b
	if l.next, l.spare = l.spare, nil; l.next == nil {
		l.next = newBatch()
	}
	l.mu.Unlock()
	err := l.w.commit(b.entries)
	if l.o.OnFailure == Block {
		b.commit.err = err
	}
	l.mu.Lock()
	l.seq, l.head = l.w.seq, l.w.prev // before those who waited ask for them
	l.mu.Unlock()
	close(b.commit.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crowd = b.waited + l.next.waited; l.crowd < few {
		l.crowd = 1
	}
	if l.next.waited >= l.crowd {
		l.rouse()
	} else if l.next.waited > 0 {
		l.await()
	}
	if err != nil {
		l.timer.Reset(retry)
		return
	}
	b.reset()
	l.spare = b
}
