package term

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// Streams are where a command reads and writes, and how.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// JSON asks for machine-readable listings and errors.
	JSON bool
	// ColorOut and ColorErr say where colour may be used.
	ColorOut, ColorErr bool
}

// Color decides about colour for w: when is auto, always or never. lookup gives environment variables.
func Color(w io.Writer, when string, lookup func(string) (string, bool)) bool {
	switch when {
	case "always":
		return true
	case "never":
		return false
	}
	if v, ok := lookup("NO_COLOR"); ok && v != "" {
		return false
	}
	if v, _ := lookup("TERM"); v == "dumb" {
		return false
	}
	return IsTerminal(w)
}

// IsTerminal reports whether w (or an io.Reader) is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Printf writes to standard output what was asked for. A reader that went away is not a failure.
func (s *Streams) Printf(format string, args ...any) { _, _ = fmt.Fprintf(s.Out, format, args...) }

// Note writes to standard error what was not asked for but helps.
func (s *Streams) Note(format string, args ...any) { _, _ = fmt.Fprintf(s.Err, format+"\n", args...) }

// PrintJSON writes v as an indented document.
func (s *Streams) PrintJSON(v any) error {
	e := json.NewEncoder(s.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Logger writes the gateway's log to standard error. format is auto, text or json; text on a terminal has colours.
func (s *Streams) Logger(level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	switch {
	case format == "json":
		return slog.New(slog.NewJSONHandler(s.Err, &slog.HandlerOptions{Level: l}))
	case format == "auto" && s.ColorErr:
		return slog.New(tint.NewTextHandler(s.Err, &tint.Options{Level: l, TimeFormat: time.TimeOnly}))
	default:
		return slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: l}))
	}
}
