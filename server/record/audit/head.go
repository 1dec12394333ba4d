package audit

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Head names the newest record of a lane that is on disk. Who keeps it elsewhere can tell later whether the log up to there is the one that was written, also
// when all of it was written anew or its end was cut off.
type Head struct {
	Lane string
	Seq  uint64
	Hash string // in hex
}

// String is the head in the form that ParseHead reads: lane-00:8123:HASH.
func (h Head) String() string { return h.Lane + ":" + strconv.FormatUint(h.Seq, 10) + ":" + h.Hash }

// ParseHead reads a head.
func ParseHead(text string) (Head, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Head{}, fmt.Errorf("audit: want a head such as lane-00:8123:HASH, got %.100q", text)
	}
	seq, err := strconv.ParseUint(parts[1], 10, 64)
	if digest, hexErr := hex.DecodeString(parts[2]); err != nil || hexErr != nil || len(digest) != len(hash{}) || seq == 0 {
		return Head{}, fmt.Errorf("audit: want a head such as lane-00:8123:HASH, got %.100q", text)
	}
	return Head{parts[0], seq, strings.ToLower(parts[2])}, nil
}

// Head returns the newest record that is on disk; its Seq is 0 before there is one.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Head{filepath.Base(l.o.Dir), l.seq, hex.EncodeToString(l.head[:])}
}

// expect checks the heads of a lane that somebody kept elsewhere, once the whole lane was read.
func (v *verifier) expect(heads []Head) {
	for _, h := range heads {
		got := v.hashes[h.Seq]
		switch {
		case h.Lane != v.report.Lane || got == h.Hash:
		case got != "":
			v.problem(0, "record %d is not the one whose hash was kept elsewhere: the log was written anew", h.Seq)
		case h.Seq < v.report.First:
			v.problem(0, "record %d, whose hash was kept elsewhere, is older than the oldest one", h.Seq)
		default:
			v.problem(0, "record %d, whose hash was kept elsewhere, is not there: the log ends at record %d", h.Seq, v.report.Last)
		}
	}
}
