package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/server/record/requestlog"
)

// batch are rows that are sent together. Its id is that of its first row, so it stays the same however often it is sent.
type batch struct {
	rows []requestlog.Row
}

func (b *batch) id() string { return b.rows[0].ID }

// spool are the batches that wait, the oldest first: in a folder, or in memory without one. One goroutine uses it.
type spool struct {
	dir    string
	most   int64 // bytes in the folder, rows in memory
	size   int64
	memory []batch
	files  []spooled
}

type spooled struct {
	name string
	size int64
}

// inMemory is how many rows wait without a folder.
const inMemory = 16 << 10

// openSpool takes up what an earlier run left.
func openSpool(dir string, most int64) (*spool, error) {
	if dir == "" {
		return &spool{most: inMemory}, nil
	}
	if most <= 0 {
		most = 64 << 20
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &spool{dir: dir, most: most}
	entries, err := os.ReadDir(dir) // in the order of names, which is that of time
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), ".jsonl") {
			continue
		}
		s.files = append(s.files, spooled{filepath.Join(dir, e.Name()), info.Size()})
		s.size += info.Size()
	}
	return s, nil
}

func (s *spool) empty() bool { return len(s.memory) == 0 && len(s.files) == 0 }

// push puts a batch at the end. Where that is too much, the oldest go; lost counts their rows, and those of a batch that could not be written.
func (s *spool) push(b batch) (lost int, err error) {
	if s.dir == "" {
		s.memory = append(s.memory, b)
		for s.size += int64(len(b.rows)); s.size > s.most; {
			lost += len(s.memory[0].rows)
			s.size -= int64(len(s.memory[0].rows))
			s.memory = slices.Delete(s.memory, 0, 1)
		}
		return lost, nil
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for i := range b.rows {
		if err := enc.Encode(&b.rows[i]); err != nil {
			return len(b.rows), err
		}
	}
	name := filepath.Join(s.dir, fmt.Sprintf("%020d.jsonl", time.Now().UnixNano()))
	if err := write(name, text.Bytes()); err != nil {
		return len(b.rows), err
	}
	s.files = append(s.files, spooled{name, int64(text.Len())})
	for s.size += int64(text.Len()); s.size > s.most && len(s.files) > 1; {
		if old, err := s.read(s.files[0].name); err == nil {
			lost += len(old)
		}
		s.drop()
	}
	return lost, nil
}

// write makes a file whole or not at all.
func write(name string, data []byte) error {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		_ = os.Remove(name + ".new")
	}
	return err
}

// first is the oldest batch; a file that cannot be read is left out for ever.
func (s *spool) first() (batch, bool) {
	if len(s.memory) > 0 {
		return s.memory[0], true
	}
	for len(s.files) > 0 {
		name := s.files[0].name
		if rows, err := s.read(name); err == nil && len(rows) > 0 {
			return batch{rows}, true
		}
		s.drop()
	}
	return batch{}, false
}

func (s *spool) read(name string) (rows []requestlog.Row, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data) {
		var r requestlog.Row
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// drop takes the oldest batch away.
func (s *spool) drop() {
	if len(s.memory) > 0 {
		s.size -= int64(len(s.memory[0].rows))
		s.memory = slices.Delete(s.memory, 0, 1)
		return
	}
	_ = os.Remove(s.files[0].name) // else it is sent again after a restart, under the same ids
	s.size -= s.files[0].size
	s.files = s.files[1:]
}
