package rawjson

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks, in the high bit of each byte of x, the bytes that end a run of text in a JSON string: a quote, a
// backslash or a control character. Only the lowest mark is exact: above it a borrow may add false ones.
func special(x uint64) uint64 {
	quote := (x ^ ones*'"') - ones
	slash := (x ^ ones*'\\') - ones
	control := x - ones*' '
	return (quote | slash | control) &^ x & highs
}

// below keeps the bytes of x under the lowest mark of m.
func below(x, m uint64) uint64 { return x & (m&-m - 1) }

// run returns the offset of the first byte at or after i that special would mark, or len(d), and in the high bits of
// high whether a byte above ASCII stands before it.
func run(d []byte, i int) (end int, high uint64) {
	for ; i+8 <= len(d); i += 8 {
		x := binary.LittleEndian.Uint64(d[i:])
		if m := special(x); m != 0 {
			return i + bits.TrailingZeros64(m)>>3, (high | below(x, m)) & highs
		}
		high |= x
	}
	for i < len(d) && d[i] >= ' ' && d[i] != '"' && d[i] != '\\' {
		high |= uint64(d[i])
		i++
	}
	return i, high & highs
}

// str checks the string whose opening quote is at i. Most strings are keys and words that end in the first eight bytes.
func (s *scanner) str(i int) int {
	if i+9 <= len(s.data) {
		x := binary.LittleEndian.Uint64(s.data[i+1:])
		if m := special(x); m != 0 && below(x, m)&highs == 0 {
			if bit := bits.TrailingZeros64(m) &^ 7; byte(x>>bit) == '"' {
				return i + 2 + bit>>3
			}
		}
	}
	return s.longStr(i + 1)
}

// longStr checks the string whose text starts at i. UTF-8 is checked once, at the end, and only where it can be wrong.
func (s *scanner) longStr(i int) int {
	d := s.data
	var high uint64
	for start := i; ; {
		end, h := run(d, i)
		high |= h
		if end >= len(d) {
			return s.fail(len(d), CodeParse, "the input ends inside a string")
		}
		switch c := d[end]; c {
		case '"':
			if high != 0 {
				s.odd = true
				return s.utf8(start, end)
			}
			return end + 1
		case '\\':
			s.odd = true
			if i = s.escape(end); i < 0 {
				return -1
			}
		default:
			return s.fail(end, CodeParse, "a control character inside a string")
		}
	}
}

// utf8 checks that the text of the string between start and its closing quote at end is UTF-8.
func (s *scanner) utf8(start, end int) int {
	text := s.data[start:end]
	if utf8.Valid(text) {
		return end + 1
	}
	for {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return s.fail(end-len(text), CodeParse, "not UTF-8")
		}
		text = text[n:]
	}
}

// escape checks the escape whose backslash is at i.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.data) {
		return s.fail(len(s.data), CodeParse, "the input ends inside a string")
	}
	switch s.data[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r, n := unicodeEscape(s.data[i:])
		if n == 0 {
			return s.fail(i, CodeParse, "an incomplete \\u escape")
		}
		s.half = s.half || r == utf8.RuneError && n == 6 && isHalf(s.data[i:])
		return i + n
	}
	return s.fail(i, CodeParse, "an unknown escape in a string")
}

// isHalf reports whether the \u escape at the start of d is that of a surrogate.
func isHalf(d []byte) bool {
	r, ok := hex4(d)
	return ok && utf16.IsSurrogate(r)
}

// unicodeEscape reads the \u escape at the start of d, or the two that make one surrogate pair, and returns the
// character and the bytes it took: 6 or 12, or 0 when the escape is malformed. Half of a pair is U+FFFD.
func unicodeEscape(d []byte) (rune, int) {
	r, ok := hex4(d)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(d[6:])
	if !ok {
		return utf8.RuneError, 6
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return utf8.RuneError, 6
	}
	return r, 12
}

// hex4 reads \uXXXX at the start of d.
func hex4(d []byte) (rune, bool) {
	if len(d) < 6 || d[0] != '\\' || d[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range d[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// character decodes the first character of text, the inside of a checked JSON string, and returns how many bytes it took.
func character(text []byte) (rune, int) {
	if text[0] != '\\' {
		return utf8.DecodeRune(text)
	}
	switch c := text[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unicodeEscape(text)
	default:
		return rune(c), 2
	}
}

// appendText appends what text, the inside of a checked JSON string, stands for.
func appendText(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] == '\\' {
			r, n := character(text[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		end := i + 1
		for end < len(text) && text[end] != '\\' {
			end++
		}
		dst = append(dst, text[i:end]...)
		i = end
	}
	return dst
}

// StringEnd is the place after the string that begins at i, in data that was accepted by the scanner.
func StringEnd(data []byte, i int) int {
	for i++; ; i++ {
		text := data[i : i+bytes.IndexByte(data[i:], '"')]
		i += len(text)
		if slashes := len(text) - len(bytes.TrimRight(text, `\`)); slashes%2 == 0 {
			return i + 1
		}
	}
}

// String returns the text of raw, one JSON string with its quotes and nothing around it; false when raw is anything
// else, malformed or not UTF-8, or has half of a surrogate pair in it, which is the text of nothing.
func String(raw []byte) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	s := scanner{data: raw}
	if s.str(0) != len(raw) || s.half {
		return "", false
	}
	text := raw[1 : len(raw)-1]
	if !s.odd {
		return string(text), true
	}
	return string(appendText(make([]byte, 0, len(text)), text)), true
}

// AppendString appends s to dst as a JSON string. It escapes what RFC 8259 section 7 requires and nothing else; bytes
// that are not UTF-8 become U+FFFD.
func AppendString[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			from = i + 1
		}
		i++
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// appendEscape appends the escape of a quote, a backslash or a control character.
func appendEscape(dst []byte, c byte) []byte {
	const digit = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', digit[c>>4], digit[c&15])
}
