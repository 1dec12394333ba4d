package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing wrong in a file, with its place there.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`

	text  string // the source line
	width int    // of the caret, in characters; 0 when the line is not at hand
}

// String returns the place and the message on one line.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Excerpt returns String, the source line, and carets below what is meant, each line ended.
func (p Problem) Excerpt() string {
	if p.width == 0 {
		return p.String() + "\n"
	}
	number := strconv.Itoa(p.Line)
	var pad strings.Builder
	for i, c := range []rune(p.text) {
		if i >= p.Column-1 {
			break
		}
		if c != '\t' {
			c = ' '
		}
		pad.WriteRune(c)
	}
	return fmt.Sprintf("%s\n%5s | %s\n%5s | %s%s\n", p, number, p.text, "", pad.String(), strings.Repeat("^", p.width))
}

// Problems is a file that cannot be used: everything that is wrong with it, in the order of the file.
type Problems []Problem //nolint:errname // lists of warnings are Problems too

// Error returns all problems with their excerpts, without a line break at the end.
func (ps Problems) Error() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.Excerpt())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Count says how many there are: "1 problem", "3 problems".
func (ps Problems) Count() string {
	if len(ps) == 1 {
		return "1 problem"
	}
	return strconv.Itoa(len(ps)) + " problems"
}
