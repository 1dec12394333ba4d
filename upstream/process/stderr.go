package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"
)

const (
	// loggedPerSecond and loggedAtOnce bound the lines of one child's stderr that are logged.
	loggedPerSecond = 20
	loggedAtOnce    = 200
)

// maxLine is how much of one line of a child's text is kept, in bytes.
const maxLine = 1024

// tail keeps the last lines of a child's stderr.
type tail struct {
	mu    sync.Mutex
	lines []string // a ring once it is full
	next  int
	limit int
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < t.limit {
		t.lines = append(t.lines, line)
		return
	}
	t.lines[t.next] = line
	t.next = (t.next + 1) % t.limit
}

// last returns the kept lines, oldest first.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(append(make([]string, 0, len(t.lines)), t.lines[t.next:]...), t.lines[:t.next]...)
}

// readLines passes each line of r to f until r ends. Of a line longer than the buffer only the beginning is passed.
func readLines(r io.Reader, f func(line []byte)) {
	br := bufio.NewReaderSize(r, 4*maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			f(line)
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}

// readStderr keeps and logs what the child writes to stderr, and returns when nobody holds the pipe any more. Of a flood only some lines are logged: a
// server must not fill the operator's disk.
func (p *Process) readStderr(r io.Reader, log *slog.Logger) {
	pace, skipped := rate.NewLimiter(loggedPerSecond, loggedAtOnce), 0
	readLines(r, func(raw []byte) {
		line := p.Printable(raw)
		if line == "" {
			return
		}
		p.stderr.add(line)
		switch {
		case !log.Enabled(context.Background(), slog.LevelDebug):
			return
		case !pace.Allow():
			skipped++
			return
		case skipped > 0:
			log.LogAttrs(context.Background(), slog.LevelDebug, "stderr: too many lines to log", slog.String("upstream", p.name), slog.Int("skipped", skipped))
			skipped = 0
		}
		log.LogAttrs(context.Background(), slog.LevelDebug, "stderr", slog.String("upstream", p.name), slog.String("line", line))
	})
}

// Printable makes text of a child fit to be shown: configured secrets are replaced, escape sequences and control characters removed,
// what is not UTF-8 replaced, and the length bounded.
func (p *Process) Printable(raw []byte) string {
	return printable(p.secrets.Replace(string(raw[:min(len(raw), 4*maxLine)])))
}

func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < maxLine; {
		if s[i] == 0x1b {
			i += escape(s[i:])
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r): // not U+202E and its kin either, which turn the order of what is shown around
			b.WriteRune(r)
		}
		i += n
	}
	return strings.TrimRight(b.String(), " ")
}

// escape returns the length of the terminal escape sequence s begins with (ECMA-48): CSI up to its final byte, strings such as
// window titles up to their terminator, else two bytes.
func escape(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '\\' {
				return i + 2
			}
		}
		return len(s)
	default:
		return 2
	}
}

// hide replaces each secret. Short values are left: they would tear ordinary words apart and are no secrets.
func hide(secrets []string) *strings.Replacer {
	secrets = slices.Clone(secrets)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // of two that begin alike, the longer one
	var pairs []string
	for _, s := range secrets {
		if len(s) >= 6 {
			pairs = append(pairs, s, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}
