package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"weir/catalog/rawjson"
)

type hash = [sha256.Size]byte

const headName = "HEAD"

// appendLine appends a line without its line end.
func appendLine(b []byte, seq uint64, prev hash, at time.Time, event []byte) []byte {
	b = strconv.AppendUint(append(b, `{"seq":`...), seq, 10)
	b = hex.AppendEncode(append(b, `,"prev":"`...), prev[:])
	b = at.UTC().AppendFormat(append(b, `","time":"`...), time.RFC3339Nano)
	b = append(b, `","event":`...)
	if bytes.IndexByte(event, '\n') >= 0 {
		return append(rawjson.Compact(b, event), '}')
	}
	return append(append(b, event...), '}')
}

// hashOf is the hash of a line without its line end.
func hashOf(line []byte) hash { return sha256.Sum256(line) }

// Record is one line, read.
type Record struct {
	Seq   uint64
	Prev  hash
	Time  time.Time
	Event []byte // raw object
}

// parseLine reads a line strictly: it must be written as appendLine writes it.
func parseLine(line []byte) (Record, error) {
	var r Record
	if err := rawjson.Valid(line); err != nil {
		return r, err
	}
	f, err := rawjson.Fields(line, "seq", "prev", "time", "event")
	if err != nil {
		return r, err
	}
	if r.Seq, err = strconv.ParseUint(string(f[0].Of(line)), 10, 64); err != nil {
		return r, fmt.Errorf("seq is not a number")
	}
	prev, _ := rawjson.String(f[1].Of(line))
	if n, err := hex.Decode(r.Prev[:], []byte(prev[:min(len(prev), 2*len(r.Prev))])); err != nil || n != len(r.Prev) || len(prev) != 2*n {
		return r, fmt.Errorf("prev is not a hash")
	}
	at, _ := rawjson.String(f[2].Of(line))
	if r.Time, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return r, fmt.Errorf("time is not one")
	}
	r.Event = f[3].Of(line)
	if len(r.Event) == 0 || r.Event[0] != '{' {
		return r, fmt.Errorf("event is not an object")
	}
	return r, nil
}

// kindAndID are the members of an event that the log itself looks at.
func kindAndID(event []byte) (kind, id string) {
	f, err := rawjson.Fields(event, "kind", "id")
	if err != nil {
		return "", ""
	}
	kind, _ = rawjson.String(f[0].Of(event))
	id, _ = rawjson.String(f[1].Of(event))
	return kind, id
}

// segmentFile is a segment in a folder.
type segmentFile struct {
	path   string
	number int
}

func segmentName(number int) string { return fmt.Sprintf("audit-%08d.jsonl", number) }

// segments are the segments in dir, oldest first.
func segments(dir string) []segmentFile {
	form := regexp.MustCompile(`^audit-(\d{8,})\.jsonl$`)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []segmentFile
	for _, n := range names {
		if m := form.FindStringSubmatch(n.Name()); m != nil {
			if number, err := strconv.Atoi(m[1]); err == nil {
				all = append(all, segmentFile{filepath.Join(dir, n.Name()), number})
			}
		}
	}
	slices.SortFunc(all, func(a, b segmentFile) int { return a.number - b.number })
	return all
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
