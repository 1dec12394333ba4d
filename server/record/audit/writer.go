package audit

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// writer is where the log stands: the newest line on disk, and the segment that comes after it.
type writer struct {
	o       *Options
	seq     uint64 // of the newest line
	prev    hash   // of that line
	segment file   // nil until something is written to it
	number  int    // of the segment
	size    int64  // of the segment, whole lines
	room    int64  // of its file: line ends stand where there are no lines yet
	blank   []byte // line ends
	head    file

	failing atomic.Pointer[error] // why the disk did not take the last commit, nil when it did
	waiting []entry               // what it did not take and nobody waits for
	lost    int                   // what waiting could not hold
	buffer  []byte
	closed  error // how closing went
}

// commit writes records behind those that wait for the disk already. When it fails, Block forgets the records that callers wait for: those calls do not
// happen. All others wait.
func (w *writer) commit(entries []entry) error {
	all := append(w.waiting, entries...)
	w.waiting = nil
	err := w.write(all, w.lost)
	if err == nil {
		if w.failing.Swap(nil) != nil {
			w.o.Log.Info("the audit log is written again", "records", len(all), "lost", w.lost)
		}
		w.lost = 0
		w.rotate()
		return nil
	}
	cause := err // its own, so that commits that succeed allocate nothing
	if w.failing.Swap(&cause) == nil {
		w.o.Log.Error("the audit log cannot be written", "error", err, "on_failure", string(w.o.OnFailure))
	}
	size := 0
	for _, e := range all {
		if e.waited && w.o.OnFailure == Block {
			continue
		}
		if e.waited = false; len(w.waiting) == held || size+len(e.event) > heldBytes {
			w.lost++
			continue
		}
		size += len(e.event)
		w.waiting = append(w.waiting, e)
	}
	return fmt.Errorf("audit: %w", err)
}

// write makes lines of records and puts them on disk, all or none. lost says how many are missing before them.
func (w *writer) write(all []entry, lost int) error {
	if len(all) == 0 && lost == 0 {
		return nil
	}
	if w.segment == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	b, seq, prev := w.buffer[:0], w.seq, w.prev
	add := func(event []byte, at time.Time) {
		start := len(b)
		seq++
		b = appendLine(b, seq, prev, at, event)
		prev = hashOf(b[start:])
		b = append(b, '\n')
	}
	if lost > 0 {
		add([]byte(`{"kind":"gap","records":`+strconv.Itoa(lost)+`}`), time.Now())
	}
	for _, e := range all {
		add(e.event, e.time)
	}
	w.buffer = b
	w.advance(int64(len(b)))
	if _, err := w.segment.WriteAt(b, w.size); err != nil {
		if w.room = w.size; w.segment.Truncate(w.size) != nil {
			w.abandon()
		}
		return err
	}
	if err := w.segment.Sync(); err != nil {
		_ = w.segment.Truncate(w.size)
		w.abandon() // after a failed fsync nobody knows what the disk has
		return err
	}
	w.size, w.seq, w.prev = w.size+int64(len(b)), seq, prev
	w.tell()
	return nil
}

// ahead is how much of a segment is written in advance, in bytes.
const ahead = 256 << 10

// advance makes sure that n bytes change only what stands in the file, and not its size: that is one write of the disk less for each commit. Where there is no room
// for more than the records, they go without.
func (w *writer) advance(n int64) {
	end := w.size + n
	if end <= w.room {
		return
	}
	if w.blank == nil {
		w.blank = bytes.Repeat([]byte{'\n'}, int(min(ahead, w.o.SegmentBytes)))
	}
	if _, err := w.segment.WriteAt(w.blank, end); err != nil {
		_ = w.segment.Truncate(max(w.size, w.room)) // writing the records will say what is wrong
		return
	}
	w.room = end + int64(len(w.blank))
}

// abandon gives the segment up; the next record goes to a new one.
func (w *writer) abandon() {
	_ = w.segment.Close()
	w.segment = nil
}

// create begins the next segment.
func (w *writer) create() error {
	path := filepath.Join(w.o.Dir, segmentName(w.number+1))
	f, err := w.o.create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(0), syncDir(w.o.Dir)); err != nil {
		_ = f.Close()
		return err
	}
	w.segment, w.number, w.size, w.room = f, w.number+1, 0, 0
	return nil
}

// rotate seals the segment when it is large enough.
func (w *writer) rotate() {
	if w.size >= w.o.SegmentBytes {
		w.seal()
		w.expire(time.Now())
	}
}

// seal ends the segment with a line that says so. A segment that cannot be sealed goes on.
func (w *writer) seal() {
	if w.segment == nil || w.size == 0 {
		return
	}
	if err := w.write([]entry{{event: []byte(`{"kind":"seal"}`), time: time.Now()}}, 0); err != nil {
		w.o.Log.Error("a segment of the audit log cannot be sealed", "error", err)
		return
	}
	if err := w.segment.Truncate(w.size); err != nil {
		w.o.Log.Warn("line ends stay behind a segment of the audit log", "error", err)
	}
	_ = os.Chmod(filepath.Join(w.o.Dir, segmentName(w.number)), 0o400) // a reminder, not a lock
	w.abandon()
}

// expire removes sealed segments that are too old.
func (w *writer) expire(now time.Time) {
	if w.o.Keep <= 0 {
		return
	}
	for _, s := range segments(w.o.Dir) {
		i, err := os.Stat(s.path)
		if err != nil || s.number >= w.number || now.Sub(i.ModTime()) < w.o.Keep {
			return // they are in order: what follows is younger
		}
		if err := os.Remove(s.path); err != nil {
			w.o.Log.Error("an old segment of the audit log cannot be removed", "error", err)
			return
		}
	}
}

// tell writes HEAD: the newest line that is on disk. It may be older than the log after a crash, never newer.
func (w *writer) tell() {
	if w.head == nil {
		var err error
		if w.head, err = w.o.create(filepath.Join(w.o.Dir, headName)); err != nil {
			return
		}
	}
	_, _ = w.head.WriteAt(fmt.Appendf(nil, "%020d %s\n", w.seq, hex.EncodeToString(w.prev[:])), 0)
}

// close writes what waits and seals the last segment.
func (w *writer) close() {
	if err := w.write(w.waiting, w.lost); err != nil {
		w.closed = fmt.Errorf("audit: %d records were not written: %w", len(w.waiting)+w.lost, err)
	}
	w.seal()
	if w.segment != nil {
		w.closed = errors.Join(w.closed, w.segment.Close())
	}
	if w.head != nil {
		w.closed = errors.Join(w.closed, w.head.Sync(), w.head.Close())
	}
}
