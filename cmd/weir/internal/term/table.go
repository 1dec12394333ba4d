package term

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is a colour of text.
type Style string

// The styles, as parameters of the SGR escape sequence (ECMA-48, 8.3.117).
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Cell is one field of a table.
type Cell struct {
	Text  string
	Style Style
	Right bool // aligned to the right, for numbers
}

// Table is aligned text with two spaces between columns and none at the ends of lines.
type Table struct{ rows [][]Cell }

// Row adds a row.
func (t *Table) Row(cells ...Cell) { t.rows = append(t.rows, cells) }

// Head adds a row of column names.
func (t *Table) Head(names ...string) {
	row := make([]Cell, len(names))
	for i, n := range names {
		row[i] = Cell{Text: n, Style: Dim}
	}
	t.Row(row...)
}

// String renders the table, coloured or not.
func (t *Table) String(color bool) string {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(Line(c.Text)))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		gap := 0 // spaces owed before the next text
		for i, c := range row {
			c.Text = Line(c.Text)
			free := widths[i] - utf8.RuneCountInString(c.Text)
			if c.Right {
				gap, free = gap+free, 0
			}
			if c.Text != "" {
				b.WriteString(strings.Repeat(" ", gap))
				b.WriteString(Paint(c.Text, c.Style, color))
				gap = 0
			} else {
				free = widths[i]
				if c.Right {
					free = 0
				}
			}
			gap += free + 2
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Paint colours text.
func Paint(text string, s Style, color bool) string {
	if !color || s == Plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// Line makes text from outside fit for one line of a terminal: control characters and what reorders text become spaces or question marks.
func Line(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t' || c == '\r':
			return ' '
		case unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == utf8.RuneError:
			return '?'
		}
		return c
	}, text)
}

// Text is Line for several lines: line breaks and tabs stay.
func Text(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, l := range lines {
		parts := strings.Split(l, "\t")
		for j, p := range parts {
			parts[j] = Line(p)
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}
