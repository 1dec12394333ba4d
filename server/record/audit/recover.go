package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"weir/catalog/rawjson"
)

// maxLine bounds one line in bytes; records are small, and a file that is none must not fill the memory.
const maxLine = 16 << 20

// openIntents bounds how many intents without an outcome a recovered record names.
const openIntents = 1000

// open finds where the log ended, cuts off what a crash left of the last commit, and says so in the log.
func (w *writer) open() error {
	all := segments(w.o.Dir)
	durable, _, err := readHead(w.o.Dir)
	if err != nil {
		durable = math.MaxUint64 // nobody knows
	}
	pending := make(map[string]struct{})
	torn := int64(0)
	for i := max(len(all)-2, 0); i < len(all); i++ { // an intent and its outcome may stand on both sides of a seal
		size, err := w.replay(all[i].path, durable, pending)
		if err != nil {
			return err
		}
		w.number = all[i].number
		if i < len(all)-1 {
			continue
		}
		if torn, err = cut(all[i].path, size); err != nil {
			return err
		}
	}
	if len(all) == 0 || torn == 0 && len(pending) == 0 {
		return nil // the next record begins a segment of its own
	}
	event := []byte(`{"kind":"recovered","bytes":` + strconv.FormatInt(torn, 10) + `,"open":[`)
	ids := slices.Sorted(maps.Keys(pending))
	for i, id := range ids[:min(len(ids), openIntents)] {
		if i > 0 {
			event = append(event, ',')
		}
		event = rawjson.AppendString(event, id)
	}
	event = append(event, `],"unanswered":`+strconv.Itoa(len(ids))+`}`...)
	w.o.Log.Warn("the audit log was not closed", "cut", torn, "open_intents", len(ids))
	return w.write([]entry{{event: event, time: time.Now()}}, 0)
}

// replay reads a segment's whole lines, and returns where they end. It stops before what the disk had only a part of: a line behind the newest one that was
// durable, which does not follow the one before it. It does not check the chain otherwise: that is what Verify is for.
func (w *writer) replay(path string, durable uint64, pending map[string]struct{}) (end int64, err error) {
	at := int64(0)
	err = lines(path, func(_ int, line []byte) bool {
		if at += int64(len(line)) + 1; len(line) == 0 {
			return true
		}
		r, err := parseLine(line)
		if w.seq > 0 && w.seq >= durable && (err != nil || r.Seq != w.seq+1 || r.Prev != w.prev) {
			return false
		}
		end = at
		if err != nil {
			w.seq, w.prev = w.seq+1, hashOf(line) // what was written to it stays as it is, for Verify to tell of
			return true
		}
		w.seq, w.prev = r.Seq, hashOf(line)
		switch kind, id := kindAndID(r.Event); kind {
		case "intent":
			pending[id] = struct{}{}
		case "outcome":
			delete(pending, id)
		case "recovered":
			clear(pending) // it names them already
		}
		return true
	})
	return end, err
}

// cut shortens a file that is longer than size, and returns how much of it was more than room for lines that never came.
func cut(path string, size int64) (int64, error) {
	i, err := os.Stat(path)
	if err != nil || i.Size() == size {
		return 0, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	rest, err := io.ReadAll(io.NewSectionReader(f, size, i.Size()-size))
	return int64(len(bytes.TrimRight(rest, "\n\x00"))), errors.Join(err, f.Truncate(size), f.Sync(), f.Close())
}

// lines calls f with each whole line of a file, counted from 1, until it returns false. A last line without a line end is left out; lines in
// which nothing stands are room for others.
func lines(path string, f func(n int, line []byte) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r := bufio.NewReaderSize(file, 64<<10)
	var long []byte
	for n := 1; ; {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil:
			line := part
			if long != nil {
				line = append(long, part...)
			}
			if !f(n, bytes.TrimSuffix(line, []byte{'\n'})) {
				return nil
			}
			long, n = nil, n+1
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, part...); len(long) > maxLine {
				return fmt.Errorf("audit: %s:%d: longer than %d bytes", path, n, maxLine)
			}
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}
