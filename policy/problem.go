package policy

import (
	"strconv"
	"strings"
)

// Place is where a rule stands.
type Place struct {
	File string
	Line int // from 1; 0 when unknown
}

// String returns "weir.yaml:12", "weir.yaml" without a line, "" for the zero Place.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Problem is one thing that is wrong with a policy, or doubtful.
type Problem struct {
	// Path is the key below policy, such as deny[0].match; "" when the problem is in a file of its own.
	Path  string
	Place Place
	Msg   string
}

// String returns "weir.yaml:12: policy.deny[0].match: …".
func (p Problem) String() string {
	var b strings.Builder
	if at := p.Place.String(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString("policy")
	if p.Path != "" {
		b.WriteString("." + p.Path)
	}
	return b.String() + ": " + p.Msg
}

// Problems is the error of a policy that was not taken: everything that is wrong with it.
type Problems []Problem //nolint:errname // what stands in it are problems

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
