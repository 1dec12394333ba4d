package process

import (
	"fmt"
	"strings"
	"time"
)

// Fact is one line of an error report below its first line: "looked in", "/usr/bin:/bin".
type Fact struct {
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

// Facts are the cause (catalog.Error.Err) of errors made here. They are for the operator: paths and stderr lines are not for callers.
type Facts []Fact //nolint:errname // a list of facts first, an error by its use

// Error joins the facts on one line.
func (f Facts) Error() string {
	var b strings.Builder
	for i, x := range f {
		switch {
		case i == 0:
		case x.Name == "":
			b.WriteString(" | ")
		default:
			b.WriteString("; ")
		}
		if x.Name != "" {
			b.WriteString(x.Name + ": ")
		}
		b.WriteString(x.Text)
	}
	return b.String()
}

// Exit says how a child ended.
type Exit struct {
	Code    int           // exit code, -1 when a signal ended it
	Signal  string        // "SIGSEGV", or "" when it exited by itself
	Ran     time.Duration // from start to end
	Stopped bool          // weir had asked it to end
	Stderr  []string      // its last lines, cleaned
}

// String is the predicate of a sentence about the child: "exited with code 1 after 0.8s".
func (e Exit) String() string {
	if e.Signal != "" {
		return fmt.Sprintf("was ended by %s after %s", e.Signal, short(e.Ran))
	}
	return fmt.Sprintf("exited with code %d after %s", e.Code, short(e.Ran))
}

// Facts are the last n lines of stderr.
func (e Exit) Facts(n int) Facts {
	lines := e.Stderr
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	var f Facts
	for i, l := range lines {
		x := Fact{Text: l}
		if i == 0 {
			x.Name = "stderr"
		}
		f = append(f, x)
	}
	return f
}

// short writes a duration for people: 0.8s, 42s, 3m10s, 5h2m.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
}
