package audit

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
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
	// held bounds the records that wait in memory for the disk.
	held = 8192
	// batch bounds the records of one commit.
	batch = 1024
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

// Log is an open audit log: one lane of its folder. It is safe for concurrent use.
type Log struct {
	o     Options
	queue chan entry
	done  chan struct{}
	once  sync.Once
	end   chan struct{}
	lock  *os.File

	w writer // of the goroutine that runs commits, alone
}

// entry is a record on its way to the disk; durable gets what became of it, nil where nobody waits.
type entry struct {
	event   []byte
	time    time.Time
	durable chan error
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
		o.create = func(path string) (file, error) { return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) }
	}
	dir, lock, err := takeLane(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	l := &Log{o: o, queue: make(chan entry, batch), done: make(chan struct{}), end: make(chan struct{}), lock: lock}
	l.w = writer{o: &l.o}
	if err := l.w.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	go l.run()
	return l, nil
}

// Append writes an event, a raw JSON object, and returns when it is on disk. With Degrade it returns nil also when the disk takes nothing.
func (l *Log) Append(ctx context.Context, event []byte) error {
	e := entry{event: event, time: time.Now(), durable: make(chan error, 1)}
	select {
	case l.queue <- e:
	case <-l.end:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-e.durable:
		return err
	case <-l.done:
		select {
		case err := <-e.durable:
			return err
		default:
			return ErrClosed
		}
	}
}

// Post writes an event soon, behind everything before it. It waits while too many are on their way.
func (l *Log) Post(event []byte) {
	select {
	case l.queue <- entry{event: event, time: time.Now()}:
	case <-l.end:
	}
}

// Close writes what waits, seals the segment and closes the log.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.end) })
	<-l.done
	return l.w.closed
}

// run commits what is queued until the log is closed.
func (l *Log) run() {
	defer close(l.done)
	defer func() { _ = l.lock.Close() }()
	again := time.NewTicker(retry)
	defer again.Stop()
	for {
		select {
		case e := <-l.queue:
			l.w.commit(l.gather(e))
		case <-again.C:
			if l.w.failing {
				l.w.commit(nil)
			}
		case <-l.end:
			for len(l.queue) > 0 {
				l.w.commit(l.gather(<-l.queue))
			}
			l.w.close()
			return
		}
	}
}

// gather returns e and what else waits.
func (l *Log) gather(e entry) []entry {
	all := append(make([]entry, 0, len(l.queue)+1), e)
	for len(all) < batch {
		select {
		case e := <-l.queue:
			all = append(all, e)
		default:
			return all
		}
	}
	return all
}
