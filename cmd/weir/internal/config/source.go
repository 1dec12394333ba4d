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
	s := &source{name: name, data: bytes.TrimPrefix(data, []byte("\ufeff"))}
	at := 0
	for _, line := range linesOf(s.data) {
		s.lines = append(s.lines, at)
		at += len(line)
	}
	return s
}

// breaks are what ends a line.
const breaks = "\r\n\u0085\u2028\u2029"

// linesOf splits data where YAML does (1.1, section 4.2), so that the numbers of lines agree; the breaks stay. Behind the last one is an empty line.
func linesOf(data []byte) [][]byte {
	var lines [][]byte
	start := 0
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		i += size
		if strings.ContainsRune(breaks, c) && (c != '\r' || i == len(data) || data[i] != '\n') {
			lines = append(lines, data[start:i:i])
			start = i
		}
	}
	return append(lines, data[start:len(data):len(data)])
}

// line returns where a line starts and where its text ends.
func (s *source) line(n int) (start, end int) {
	start, end = s.lines[n-1], len(s.data)
	if n < len(s.lines) {
		end = s.lines[n]
	}
	return start, start + len(bytes.TrimRight(s.data[start:end], breaks))
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
	o, end := s.line(line)
	for ; column > 1 && o < end; column-- {
		_, n := utf8.DecodeRune(s.data[o:])
		o += n
	}
	return o
}

// text is a line without its end, values that may be secret masked.
func (s *source) text(line int) string {
	start, end := s.line(line)
	b := bytes.Clone(s.data[start:end])
	for _, m := range s.masks {
		from, to := max(m.start, start), min(m.end, end)
		for i := from; i < to; i++ {
			b[i-start] = '*'
		}
	}
	return strings.ToValidUTF8(string(b), "?")
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
