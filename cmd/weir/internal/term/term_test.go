package term

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/upstream/process"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var tab Table
	tab.Head("NAME", "N", "WHY")
	tab.Row(Cell{Text: "a", Style: Bold}, Cell{Text: "7", Right: true}, Cell{Text: ""})
	tab.Row(Cell{Text: "längst"}, Cell{Text: "1234", Right: true}, Cell{Text: "two\nlines\x1b[31m"})
	tab.Row(Cell{Text: ""}, Cell{Text: "", Right: true}, Cell{Text: "end"})
	want := "" +
		"NAME    N     WHY\n" +
		"a          7\n" +
		"längst  1234  two lines?[31m\n" +
		"              end\n"
	if diff := cmp.Diff(want, tab.String(false)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Colour only adds: without its sequences the text is the same.
	colored := tab.String(true)
	if !strings.Contains(colored, "\x1b[1ma\x1b[0m") {
		t.Errorf("no colour in %q", colored)
	}
	for _, s := range []Style{Bold, Dim} {
		colored = strings.ReplaceAll(colored, "\x1b["+string(s)+"m", "")
	}
	if diff := cmp.Diff(want, strings.ReplaceAll(colored, "\x1b[0m", "")); diff != "" {
		t.Errorf("colour moves text (-want +got)\n%s", diff)
	}
}

func TestTextFromOutsideIsHarmless(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":           "plain",
		"a\x1b]0;title\a": "a?]0;title?",
		"right\u202eleft": "right?left",
		"bad\xffutf8":     "bad?utf8",
		"two\r\nlines":    "two\nlines",
		"tab\tstays":      "tab\tstays",
		"back\bspace\x7f": "back?space?",
		"zero\u200bwidth": "zero?width",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
		if got := Line(in); strings.ContainsAny(got, "\n\r\t") {
			t.Errorf("Line(%q) = %q", in, got)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	own := func(c catalog.Code) error { return fmt.Errorf("wrapped: %w", &catalog.Error{Code: c, Msg: "x"}) }
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{&UsageError{Msg: "x"}, 2},
		{config.Problems{{}}, 3},
		{config.ErrNone, 3},
		{ErrTool, 7},
		{ErrTests, 8},
		{context.Canceled, 130},
		{context.DeadlineExceeded, 5},
		{own(catalog.Invalid), 2},
		{own(catalog.NotFound), 1},
		{own(catalog.Unauthenticated), 4},
		{own(catalog.Denied), 6},
		{own(catalog.NeedsLogin), 4},
		{own(catalog.Unavailable), 5},
		{own(catalog.Timeout), 5},
		{own(catalog.Limited), 5},
		{own(catalog.TooLarge), 1},
		{own(catalog.Config), 3},
		{own(catalog.Internal), 1},
		{own(catalog.Canceled), 130},
	} {
		if got := ExitCode(tc.err); got != tc.want {
			t.Errorf("ExitCode(%v) = %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	broken := &catalog.Error{
		Code: catalog.Unavailable, Msg: `files: cannot start: "npx" not found`, Hint: "write its full path",
		Err: process.Facts{{Name: "looked in", Text: "/usr/bin:/bin"}, {Name: "exists at", Text: "~/bin/npx"}},
	}
	_, invalid := config.Parse("/x/weir.yaml", []byte("nameing: bare\n"), config.Env{Lookup: func(string) (string, bool) { return "", false }, Dir: "/x"})
	for _, tc := range []struct {
		name        string
		err         error
		human, json string
	}{
		{"nothing", nil, "", ""},
		{"tool", ErrTool, "", ""},
		{
			"facts", broken,
			"files: cannot start: \"npx\" not found\n  looked in   /usr/bin:/bin\n  exists at   ~/bin/npx\n  fix         write its full path\n",
			`{"error":{"code":"unavailable","message":"files: cannot start: \"npx\" not found","hint":"write its full path","upstream":"files"}}` + "\n",
		},
		{
			"usage", &UsageError{Msg: "weir: unknown command \"x\"", Hint: "weir help"},
			"weir: unknown command \"x\"\n  fix         weir help\n",
			`{"error":{"code":"invalid","message":"weir: unknown command \"x\"","hint":"weir help"}}` + "\n",
		},
		{
			"configuration", invalid,
			"weir.yaml:1:1: unknown field \"nameing\"; did you mean \"naming\"?\n    1 | nameing: bare\n      | ^^^^^^^\n1 problem; nothing was started\n",
			`{"error":{"code":"config","message":"weir.yaml:1:1: unknown field \"nameing\"; did you mean \"naming\"?",` +
				`"problems":[{"file":"weir.yaml","line":1,"column":1,"message":"unknown field \"nameing\"; did you mean \"naming\"?"}]}}` + "\n",
		},
	} {
		var b bytes.Buffer
		s := Streams{Err: &b}
		s.Report(tc.err, "; nothing was started")
		if diff := cmp.Diff(tc.human, b.String()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tc.name, diff)
		}
		b.Reset()
		s.JSON = true
		s.Report(tc.err, "; nothing was started")
		if diff := cmp.Diff(tc.json, b.String()); diff != "" {
			t.Errorf("%s as JSON (-want +got)\n%s", tc.name, diff)
		}
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	with := func(vars map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	}
	var file bytes.Buffer
	if Color(&file, "auto", with(nil)) {
		t.Error("colour in what is no terminal")
	}
	if !Color(&file, "always", with(map[string]string{"NO_COLOR": "1", "TERM": "dumb"})) {
		t.Error("--color=always: no colour")
	}
	if Color(&file, "never", with(nil)) {
		t.Error("--color=never: colour")
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello", "auto": "msg=hello"} {
		var b bytes.Buffer
		l := (&Streams{Err: &b}).Logger("warn", format)
		l.Info("quiet")
		l.Warn("hello")
		if !strings.Contains(b.String(), want) || strings.Contains(b.String(), "quiet") {
			t.Errorf("%s: %q", format, b.String())
		}
	}
	var b bytes.Buffer
	(&Streams{Err: &b, ColorErr: true}).Logger("info", "auto").Info("hello")
	if !strings.Contains(b.String(), "\x1b[") {
		t.Errorf("no colour on a terminal: %q", b.String())
	}
}
