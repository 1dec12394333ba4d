package config

import (
	"bytes"
	"sort"
	"strings"
	"unicode/utf8"
)

// span is a stretch of the file in bytes, end exclusive.
type span struct{ start, end int }

// source is the text of one file and knows where its lines begin.
type source struct {
	name  string
	data  []byte
	lines []int // offset of each line's first byte
	masks []span
}

// newSource takes the text without its byte order mark.
func newSource(name string, data []byte) *source {
	s := &source{name: name, data: bytes.TrimPrefix(data, []byte("\ufeff")), lines: []int{0}}
	for i, b := range s.data {
		if b == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// place returns the line and column of an offset, both from 1. Columns count characters, as editors do.
func (s *source) place(offset int) (line, column int) {
	offset = min(max(offset, 0), len(s.data))
	line = sort.SearchInts(s.lines, offset+1)
	return line, 1 + utf8.RuneCount(s.data[s.lines[line-1]:offset])
}

// offset is the inverse of place; positions outside of the file move to its nearest end.
func (s *source) offset(line, column int) int {
	if line < 1 {
		return 0
	}
	if line > len(s.lines) {
		return len(s.data)
	}
	o := s.lines[line-1]
	for ; column > 1 && o < len(s.data) && s.data[o] != '\n'; column-- {
		_, n := utf8.DecodeRune(s.data[o:])
		o += n
	}
	return o
}

// text is a line without its end, values that may be secret masked.
func (s *source) text(line int) string {
	start, end := s.lines[line-1], len(s.data)
	if line < len(s.lines) {
		end = s.lines[line] - 1
	}
	b := bytes.Clone(s.data[start:end])
	for _, m := range s.masks {
		from, to := max(m.start, start), min(m.end, end)
		for i := from; i < to; i++ {
			b[i-start] = '*'
		}
	}
	return strings.TrimRight(strings.ToValidUTF8(string(b), "?"), "\r")
}

// problem makes a Problem of a span.
func (s *source) problem(at span, message string) Problem {
	line, column := s.place(at.start)
	text := s.text(line)
	width := utf8.RuneCount(s.data[min(at.start, len(s.data)):min(max(at.end, at.start), len(s.data))])
	rest := utf8.RuneCountInString(text) - (column - 1)
	return Problem{
		File: s.name, Line: line, Column: column, Message: message,
		text: text, width: max(1, min(width, rest)),
	}
}
