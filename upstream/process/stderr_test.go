package process

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Error: JIRA_URL is required\r\n", "Error: JIRA_URL is required"},
		{"colour", "\x1b[1;31mred\x1b[0m text", "red text"},
		{"window title", "a\x1b]0;owned\x07b\x1b]2;x\x1b\\c", "abc"},
		{"unfinished escape", "a\x1b[12", "a"},
		{"lone escape", "a\x1b", "a"},
		{"control characters", "a\x00b\bc\x7fd\u009be", "abcde"},
		{"tab", "a\tb", "a b"},
		{"turned around", "a\u202egnp.exe", "agnp.exe"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"other scripts", "日本語 naïve", "日本語 naïve"},
		{"secret", "token=hunter22 and hunter2244", "token=*** and ***"},
		{"short secret stays", "abc", "abc"},
	}
	p := &Process{secrets: hide([]string{"hunter22", "hunter2244", "abc", ""})}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.Printable([]byte(tt.in)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if n := len(p.Printable([]byte(strings.Repeat("界", 1<<20)))); n > maxLine+utf8.UTFMax {
		t.Errorf("%d bytes are kept of one line", n)
	}
}

// Of a flood the last lines are kept, some are logged, and the rest is counted.
func TestR9_StderrFlood(t *testing.T) {
	const lines = 100_000
	var log bytes.Buffer
	p := &Process{name: "server", secrets: hide(nil), stderr: tail{limit: 3}}
	p.readStderr(strings.NewReader(strings.Repeat("a line that nobody asked for\n", lines)+"the last one\n"),
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if got := p.stderr.last(); len(got) != 3 || got[2] != "the last one" {
		t.Errorf("%q", got)
	}
	if n := strings.Count(log.String(), "\n"); n < loggedAtOnce || n > 10*loggedAtOnce {
		t.Errorf("%d of %d lines were logged", n, lines)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"", "\x1b[31m", "\x1b]0;t\x07", "\x1b\xe7\x95\x8c", "日\x1bP\x1b\\", "\xff\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if len(got) > maxLine+utf8.UTFMax || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
			t.Fatalf("%q at %d", got, i)
		}
	})
}

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 10*maxLine)
	var got []int
	readLines(strings.NewReader("a\n\n"+long+"\n"+long[:4*maxLine]+"\nend"), func(l []byte) { got = append(got, len(l)) })
	if d := cmp.Diff([]int{2, 1, 4 * maxLine, 4 * maxLine, 3}, got); d != "" {
		t.Error(d)
	}
}

func TestTail(t *testing.T) {
	tl := tail{limit: 3}
	for i := range 3 {
		if got := tl.last(); len(got) != i {
			t.Errorf("%d lines after %d", len(got), i)
		}
		tl.add(fmt.Sprint(i))
	}
	tl.add("3")
	if got := tl.last(); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("kept %q", got)
	}
}

func TestExit(t *testing.T) {
	tests := []struct {
		exit Exit
		want string
	}{
		{Exit{Code: 1, Ran: 840 * time.Millisecond}, "exited with code 1 after 0.8s"},
		{Exit{Code: 0, Ran: 59 * time.Second}, "exited with code 0 after 59s"},
		{Exit{Code: -1, Signal: "SIGSEGV", Ran: 190 * time.Second}, "was ended by SIGSEGV after 3m10s"},
		{Exit{Code: 3, Ran: 5*time.Hour + 2*time.Minute}, "exited with code 3 after 5h2m"},
	}
	for _, tt := range tests {
		if got := tt.exit.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	e := Exit{Stderr: []string{"one", "two", "three"}}
	if d := cmp.Diff(Facts{{"stderr", "two"}, {"", "three"}}, e.Facts(2)); d != "" {
		t.Error(d)
	}
	if got := e.Facts(2).Error(); got != "stderr: two | three" {
		t.Errorf("%q", got)
	}
}
