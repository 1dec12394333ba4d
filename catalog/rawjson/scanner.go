package rawjson

import "math"

// scanner checks one buffer from front to back. Its methods take the offset to read at and return the offset after what
// they read, or -1 after a fault, which is then in err.
//
// It must stay on the stack of the exported function that makes it: no method may store a pointer into it.
type scanner struct {
	data []byte
	err  *SyntaxError

	// odd is set by str when a string has an escape or a byte above ASCII, that is, when equal text may have other bytes.
	odd bool
	// keyEnd is where the last key that key read ends.
	keyEnd uint32
	// lenient leaves a member of the wrong type out instead of refusing the message; set inside results.
	lenient bool
	// half says that a string read since it was reset has half of a surrogate pair in it.
	half bool

	unique *uniqueKeys // when set, container checks the keys of every object
	keys   keySet
	spans  [fieldCount]Span
}

// fail is not inlined, so that the text of faults stays out of the fast paths; so is unexpected.
//
//go:noinline
func (s *scanner) fail(at, code int, reason string) int {
	if s.err == nil {
		s.err = &SyntaxError{Offset: at, Code: code, Reason: reason}
	}
	return -1
}

// unexpected is the syntax fault at i: the end of the input or a byte that cannot stand there.
//
//go:noinline
func (s *scanner) unexpected(i int, want string) int {
	if i >= len(s.data) {
		return s.fail(len(s.data), CodeParse, "the input ends where "+want+" should be")
	}
	return s.fail(i, CodeParse, "not "+want)
}

// fits refuses inputs that the 32-bit offsets of the key sets cannot index.
func (s *scanner) fits() bool {
	if len(s.data) > math.MaxInt32 {
		s.fail(0, CodeInvalidRequest, "larger than 2 GiB")
		return false
	}
	return true
}

// whole checks that data is one value with nothing but white space around it.
func (s *scanner) whole() int {
	return s.end(s.value(s.space(0), 0))
}

// end checks that only white space follows i.
func (s *scanner) end(i int) int {
	if i < 0 {
		return -1
	}
	if i = s.space(i); i != len(s.data) {
		return s.fail(i, CodeParse, "data after the value")
	}
	return i
}

func (s *scanner) space(i int) int {
	for i < len(s.data) && s.data[i] <= ' ' && isSpace(s.data[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// value checks the value at i, which depth containers enclose.
func (s *scanner) value(i, depth int) int {
	if i < len(s.data) {
		switch s.data[i] {
		case '"':
			return s.str(i)
		case '{', '[':
			return s.container(i, depth)
		}
	}
	return s.scalar(i)
}

// container checks the object or array at i. Open containers are bits, not stack frames.
func (s *scanner) container(i, depth int) int {
	var objects [MaxDepth/64 + 1]uint64 // bit n: the nth open container is an object
	d := s.data
	level := 0
	object := false
	for {
		if object {
			if i = s.key(i, level); i < 0 {
				return -1
			}
		}
		switch {
		case i < len(d) && d[i] == '"':
			i = s.str(i)
		case i < len(d) && d[i]|0x20 == '{': // '[' | 0x20 is '{'
			level++
			if depth+level > MaxDepth {
				return s.fail(i, CodeInvalidRequest, tooDeep)
			}
			object = d[i] == '{'
			if object {
				objects[level>>6] |= 1 << (level & 63)
			} else {
				objects[level>>6] &^= 1 << (level & 63)
			}
			if s.unique != nil {
				s.unique.open(&s.keys, level)
			}
			if i = s.space(i + 1); i >= len(d) || d[i] != closing(object) {
				continue
			}
		default:
			i = s.scalar(i)
		}
		if i < 0 {
			return -1
		}
		for {
			i = s.space(i)
			if i < len(d) && d[i] == ',' {
				i = s.space(i + 1)
				break
			}
			if i >= len(d) || d[i] != closing(object) {
				return s.unexpected(i, "a comma or the end of the "+containerName(object))
			}
			i++
			if s.unique != nil {
				s.unique.close(&s.keys, level)
			}
			if level--; level == 0 {
				return i
			}
			object = objects[level>>6]&(1<<(level&63)) != 0
		}
	}
}

const tooDeep = "nested deeper than 512 levels"

func closing(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

func containerName(object bool) string {
	if object {
		return "object"
	}
	return "array"
}

// key checks the key at i and the colon after it, and returns the offset of the value.
func (s *scanner) key(i, level int) int {
	if i >= len(s.data) || s.data[i] != '"' {
		return s.unexpected(i, "a key")
	}
	end := s.keyText(i)
	if end < 0 {
		return -1
	}
	s.keyEnd = uint32(end)
	if s.unique != nil && !s.unique.add(s, level, keyRef{uint32(i), uint32(end), s.odd}) {
		return -1
	}
	return s.colon(end)
}

// keyText checks the key at i and returns where it ends. Halves of surrogate pairs in keys are refused: readers differ in what they make of them, and so
// in which key it is. In values they are not weir's business.
func (s *scanner) keyText(i int) int {
	before := s.half
	s.odd, s.half = false, false
	end := s.str(i)
	if s.half {
		return s.fail(i, CodeParse, "half of a surrogate pair in a key")
	}
	s.half = before
	return end
}

// colon checks the colon that follows a key ending at i and returns the offset of the value.
func (s *scanner) colon(i int) int {
	if i >= len(s.data) || s.data[i] != ':' {
		if i = s.space(i); i >= len(s.data) || s.data[i] != ':' {
			return s.unexpected(i, "a colon")
		}
	}
	return s.space(i + 1)
}

// scalar checks the number, true, false or null at i.
func (s *scanner) scalar(i int) int {
	if i >= len(s.data) {
		return s.unexpected(i, "a value")
	}
	switch c := s.data[i]; {
	case c == '-' || isDigit(c):
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return s.unexpected(i, "a value")
}

func (s *scanner) literal(i int, word string) int {
	if len(s.data)-i < len(word) || string(s.data[i:i+len(word)]) != word {
		return s.fail(i, CodeParse, "not a value")
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	d := s.data
	if d[i] == '-' {
		i++
	}
	switch {
	case i < len(d) && d[i] == '0':
		i++
	case i < len(d) && isDigit(d[i]):
		i = digits(d, i)
	default:
		return s.unexpected(i, "a digit")
	}
	if i < len(d) && d[i] == '.' {
		if i++; i >= len(d) || !isDigit(d[i]) {
			return s.unexpected(i, "a digit")
		}
		i = digits(d, i)
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		if i++; i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		if i >= len(d) || !isDigit(d[i]) {
			return s.unexpected(i, "a digit")
		}
		i = digits(d, i)
	}
	return i
}

func digits(d []byte, i int) int {
	for i < len(d) && isDigit(d[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' < 10 }
