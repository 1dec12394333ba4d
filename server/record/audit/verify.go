package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Report is what Verify found in one lane.
type Report struct {
	Lane     string
	Segments int
	Records  uint64
	First    uint64 // seq of the oldest record; more than 1 when old segments were removed
	Last     uint64
	Head     string // hash of the newest record, to keep elsewhere
	Open     int    // intents without an outcome
	Problems []Problem
}

// Problem is one place where the log is not what was written.
type Problem struct {
	File   string
	Line   int // from 1; 0 for the file as a whole
	Reason string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Reason
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ": " + p.Reason
}

// most bounds the problems of a report: a file of something else has one in every line.
const most = 100

// Verify reads a whole log and checks that nothing in it was changed, dropped, added or moved, and that what was kept elsewhere of it is still so. Each lane has a
// report.
func Verify(dir string, kept ...Head) ([]*Report, error) {
	all := laneDirs(dir)
	if len(all) == 0 {
		return nil, fmt.Errorf("audit: there is no log in %s", dir)
	}
	for _, h := range kept {
		if !slices.ContainsFunc(all, func(lane string) bool { return filepath.Base(lane) == h.Lane }) {
			return nil, fmt.Errorf("audit: there is no %s in %s, of which a hash was kept elsewhere", h.Lane, dir)
		}
	}
	var reports []*Report
	for _, lane := range all {
		r, err := verifyLane(lane, kept)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func verifyLane(dir string, kept []Head) (*Report, error) {
	r := &Report{Lane: filepath.Base(dir)}
	v := verifier{report: r, open: make(map[string]struct{}), hashes: make(map[uint64]string)}
	for _, h := range kept {
		v.hashes[h.Seq] = ""
	}
	all := segments(dir)
	for i, s := range all {
		r.Segments++
		v.file, v.blank = filepath.Join(r.Lane, filepath.Base(s.path)), false
		if i > 0 && s.number != all[i-1].number+1 {
			v.problem(0, "segments between it and %s are missing", filepath.Base(all[i-1].path))
		}
		if err := lines(s.path, func(n int, line []byte) bool { return v.line(n, line) }); err != nil {
			return nil, err
		}
		if torn, err := tornTail(s.path); err != nil {
			return nil, err
		} else if torn {
			v.problem(0, "the last line is not whole")
		}
	}
	v.file = filepath.Join(r.Lane, headName)
	v.checkHead(dir)
	v.expect(kept)
	r.Open, r.Head = len(v.open), hex.EncodeToString(v.prev[:])
	return r, nil
}

// verifier walks the chain.
type verifier struct {
	report *Report
	file   string
	known  bool // whether there was a line before
	blank  bool // whether the file has room for lines already
	seq    uint64
	prev   hash
	open   map[string]struct{}
	hashes map[uint64]string // of the records that heads are about, in hex; "" for those that were not found
}

func (v *verifier) problem(line int, format string, args ...any) {
	if len(v.report.Problems) < most {
		v.report.Problems = append(v.report.Problems, Problem{v.file, line, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) line(n int, line []byte) bool {
	if len(line) == 0 {
		v.blank = true
		return true
	}
	if v.blank {
		v.problem(n, "stands behind an empty line")
		v.blank = false
	}
	v.report.Records++
	r, err := parseLine(line)
	if err != nil {
		v.problem(n, "not a record: %v", err)
		v.seq, v.prev, v.known = v.seq+1, hashOf(line), true
		return true
	}
	switch {
	case !v.known:
		v.report.First = r.Seq
		if r.Seq == 1 && r.Prev != (hash{}) {
			v.problem(n, "the first record follows another")
		}
	case r.Prev != v.prev && r.Seq == v.seq+1:
		v.problem(n, "record %d, or the one before it, was changed", r.Seq)
	case r.Prev != v.prev:
		v.problem(n, "record %d stands behind record %d: records were dropped, added or moved", r.Seq, v.seq)
	case r.Seq != v.seq+1:
		v.problem(n, "record %d stands behind record %d", r.Seq, v.seq)
	}
	v.known, v.seq, v.prev, v.report.Last = true, r.Seq, hashOf(line), r.Seq
	if _, wanted := v.hashes[r.Seq]; wanted {
		v.hashes[r.Seq] = hex.EncodeToString(v.prev[:])
	}
	switch kind, id := kindAndID(r.Event); kind {
	case "intent":
		v.open[id] = struct{}{}
	case "outcome":
		delete(v.open, id)
	}
	return true
}

// checkHead compares the end of the log with what HEAD says was on disk.
func (v *verifier) checkHead(dir string) {
	seq, digest, err := readHead(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.problem(0, "missing: whether the newest records are there cannot be told")
	case err != nil:
		v.problem(0, "cannot be read")
	case seq > v.seq:
		v.problem(0, "the log ended at record %d and ends at %d now: its tail was cut off", seq, v.seq)
	case seq == v.seq && digest != hex.EncodeToString(v.prev[:]):
		v.problem(0, "the newest record is not the one that was written")
	}
}

// readHead returns the newest record that was on disk, and its hash in hex.
func readHead(dir string) (seq uint64, digest string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, headName))
	if err != nil {
		return 0, "", err
	}
	number, digest, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seq, err = strconv.ParseUint(number, 10, 64)
	return seq, digest, err
}

// tornTail reports whether a file does not end with a line end.
func tornTail(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	i, err := f.Stat()
	if err != nil || i.Size() == 0 {
		return false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], i.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// Read calls f with each record of the log, lane by lane, oldest first, until it returns false. The event is valid during the call.
func Read(dir string, f func(Record) bool) error {
	for _, lane := range laneDirs(dir) {
		for _, s := range segments(lane) {
			going := true
			err := lines(s.path, func(_ int, line []byte) bool {
				r, err := parseLine(line)
				if err != nil {
					return true // Verify tells of it
				}
				going = f(r)
				return going
			})
			if err != nil || !going {
				return err
			}
		}
	}
	return nil
}
