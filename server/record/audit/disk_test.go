package audit

import (
	"errors"
	"log/slog"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sick is a disk with a fault.
type sick struct {
	*os.File
	room  *atomic.Int64 // bytes that files may still grow by; a write beyond it is short
	size  int64
	fsync *atomic.Int64 // how many fsyncs fail
}

func (s *sick) WriteAt(b []byte, off int64) (int, error) {
	end := off + int64(len(b))
	if over := end - s.size - s.room.Load(); over > 0 {
		b, end = b[:max(0, int64(len(b))-over)], s.size+s.room.Load()
		n, _ := s.File.WriteAt(b, off)
		s.room.Store(0)
		s.size = end
		return n, syscall.ENOSPC
	}
	s.room.Add(-max(0, end-s.size))
	s.size = max(s.size, end)
	return s.File.WriteAt(b, off)
}

func (s *sick) Truncate(size int64) error {
	s.room.Add(s.size - size)
	s.size = size
	return s.File.Truncate(size)
}

func (s *sick) Sync() error {
	if s.fsync.Add(-1) >= 0 {
		return syscall.EIO
	}
	return s.File.Sync()
}

func sickDisk(o Options, room int64) (Options, *atomic.Int64) {
	var left, bad atomic.Int64
	left.Store(room)
	o.create = func(path string) (file, error) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		return &sick{f, &left, 0, &bad}, err
	}
	return o, &left
}

// TestR18_DiskFull: no record is half on disk, Block refuses what it cannot write, Degrade keeps it, and both go on without a restart.
func TestR18_DiskFull(t *testing.T) {
	for _, mode := range []OnFailure{Block, Degrade} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			o, room := sickDisk(Options{Dir: dir, OnFailure: mode, Log: slog.New(slog.DiscardHandler)}, 500)
			l := open(t, o)
			refused := map[int]bool{}
			for i := range 20 {
				if err := l.Append(t.Context(), event("intent", i)); err != nil {
					if !errors.Is(err, syscall.ENOSPC) {
						t.Fatal(err)
					}
					refused[i] = true
				}
			}
			if mode == Block != (len(refused) > 15) || mode == Degrade && len(refused) > 0 {
				t.Errorf("%d of 20 refused", len(refused))
			}
			if r := verify(t, dir); len(r.Problems) > 0 {
				t.Errorf("while it is full: %v", r.Problems)
			}
			if err := l.Ready(); (err != nil) != (mode == Block) {
				t.Errorf("while it is full it is ready: %v", err)
			}
			l.Post(event("outcome", 0))
			room.Store(1 << 20)
			if err := l.Append(t.Context(), event("intent", 99)); err != nil {
				t.Fatalf("there is room again: %v", err)
			}
			if err := l.Ready(); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range 20 {
				if !refused[i] {
					want = append(want, "intent "+strconv.Itoa(i))
				}
			}
			want = append(want, "outcome 0", "intent 99", "seal")
			if diff := cmp.Diff(want, kinds(t, dir)); diff != "" {
				t.Error("(-want +got):", diff)
			}
			if r := verify(t, dir); len(r.Problems) > 0 {
				t.Error(r.Problems)
			}
		})
	}
}

// TestFailedFsync: a segment whose fsync failed is not written to again.
func TestFailedFsync(t *testing.T) {
	dir := t.TempDir()
	o, _ := sickDisk(Options{Dir: dir}, 1<<20)
	l := open(t, o)
	if err := l.Append(t.Context(), event("intent", 1)); err != nil {
		t.Fatal(err)
	}
	s, _ := l.w.segment.(*sick)
	s.fsync.Store(1)
	if err := l.Append(t.Context(), event("intent", 2)); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), event("intent", 3)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := verify(t, dir)
	if diff := cmp.Diff([]string{"intent 1", "intent 3", "seal"}, kinds(t, dir)); diff != "" || r.Segments != 2 || len(r.Problems) > 0 {
		t.Errorf("%v %d segments\n%s", r.Problems, r.Segments, diff)
	}
}
