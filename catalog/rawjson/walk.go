package rawjson

import (
	"bytes"
	"slices"
	"strings"
)

// Valid checks that data is one JSON value, as [Scan] understands JSON: strict syntax, UTF-8, at most MaxDepth levels,
// white space around it allowed. Keys are not compared. It does not allocate on success. The error is a *SyntaxError.
func Valid(data []byte) error {
	s := scanner{data: data}
	if s.whole() < 0 {
		return s.err
	}
	return nil
}

// Fields returns the spans, in obj, of the values that the named members of the object obj have, in the order of names;
// absent members have the zero Span. names are ASCII. obj need not have been accepted before: it is checked as by [Valid].
// It is an error when obj is not an object, when two of its keys are equal, when a key differs from one of names only in
// case (by the folding of encoding/json), and when it has more than MaxKeys keys. Objects inside its members are not
// looked at. The error is a *SyntaxError.
func Fields(obj []byte, names ...string) ([]Span, error) {
	s := scanner{data: obj}
	if !s.fits() {
		return nil, s.err
	}
	found := make([]Span, len(names))
	scope := s.keys.scope()
	end := s.members(func(k keyRef, value Span) bool {
		if !s.add(&scope, k, false) {
			return false
		}
		for n, name := range names {
			same, folds := k.compare(obj, name)
			if same {
				found[n] = value
			} else if folds {
				s.fail(int(k.start), CodeInvalidRequest, "a key that differs only in case from one that is looked for")
				return false
			}
		}
		return true
	})
	if end < 0 || s.err != nil {
		return nil, s.err
	}
	return found, nil
}

// compare reports whether k stands for name, and whether it does when case is folded.
func (k keyRef) compare(data []byte, name string) (same, folds bool) {
	text := k.text(data)
	if !k.odd {
		if len(text) != len(name) {
			return false, false
		}
		for i := range text {
			if foldRune(rune(text[i])) != foldRune(rune(name[i])) {
				return false, false
			}
		}
		return string(text) == name, true
	}
	plain := string(appendText(nil, text))
	return plain == name, strings.EqualFold(plain, name)
}

// Members calls f for each member of the object obj in order, until f returns false. key is unescaped and valid only
// during the call; member spans key and value, value the value alone, both in obj. obj is checked as by [Valid] as far
// as the walk goes. Keys are not compared, so a caller that decides by key uses [Fields] or [UniqueKeys]. The error is a
// *SyntaxError; members before the fault have been handed to f by then.
func Members(obj []byte, f func(key []byte, member, value Span) bool) error {
	s := scanner{data: obj}
	if !s.fits() {
		return s.err
	}
	var buf []byte
	s.members(func(k keyRef, value Span) bool {
		key := k.text(obj)
		if k.odd && bytes.IndexByte(key, '\\') >= 0 {
			buf = appendText(buf[:0], key)
			key = buf
		}
		return f(slices.Clip(key), Span{int(k.start), value.End}, value)
	})
	if s.err != nil {
		return s.err
	}
	return nil
}

// Elements calls f for each element of the array arr in order, until f returns false. The spans are in arr, which is
// checked as by [Valid] as far as the walk goes. The error is a *SyntaxError; elements before the fault have been handed
// to f by then.
func Elements(arr []byte, f func(value Span) bool) error {
	s := scanner{data: arr}
	s.elements(f)
	if s.err != nil {
		return s.err
	}
	return nil
}

// members hands each member of the object that is all of s.data to f and returns the offset of its end, -1 after a fault
// or when f stopped the walk.
func (s *scanner) members(f func(k keyRef, value Span) bool) int {
	return s.walk('{', func(i int) int {
		start := i
		s.odd = false
		if i = s.key(i, 0); i < 0 {
			return -1
		}
		k := keyRef{uint32(start), s.keyEnd, s.odd} // before the value: its own keys move both
		end := s.value(i, 1)
		if end < 0 || !f(k, Span{i, end}) {
			return -1
		}
		return end
	})
}

// elements is members for an array.
func (s *scanner) elements(f func(value Span) bool) int {
	return s.walk('[', func(i int) int {
		end := s.value(i, 1)
		if end < 0 || !f(Span{i, end}) {
			return -1
		}
		return end
	})
}

// walk reads the container that is all of s.data and starts with bracket. item reads what is between two commas.
func (s *scanner) walk(bracket byte, item func(i int) int) int {
	object := bracket == '{'
	i := s.space(0)
	if i >= len(s.data) || s.data[i] != bracket {
		return s.unexpected(i, "an "+containerName(object))
	}
	if i = s.space(i + 1); i < len(s.data) && s.data[i] == closing(object) {
		return s.end(i + 1)
	}
	for {
		if i = item(i); i < 0 {
			return -1
		}
		i = s.space(i)
		if i >= len(s.data) || s.data[i] != ',' {
			break
		}
		i = s.space(i + 1)
	}
	if i >= len(s.data) || s.data[i] != closing(object) {
		return s.unexpected(i, "a comma or the end of the "+containerName(object))
	}
	return s.end(i + 1)
}
