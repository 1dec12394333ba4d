package record

import (
	"bytes"
	"strings"

	"weir/catalog/rawjson"
)

const (
	gone = `"[redacted]"` // stands where a value was
	// textsDeep is how deep JSON may stand in strings of JSON to be looked into.
	textsDeep = 4
)

// redacted is a raw JSON value without what must not be recorded of it, at any depth: what its mask hides, and the values of keys that name secrets. A
// string that holds an object or an array is looked into as well. White space between tokens goes. What is no JSON is left out whole.
func redacted(value []byte, m *mask) []byte {
	if rawjson.Valid(value) != nil {
		return []byte(gone)
	}
	r := redaction{src: value, texts: textsDeep}
	r.value(m)
	return r.dst
}

// redaction is one walk over a value that is JSON.
type redaction struct {
	src    []byte
	at     int // in src
	dst    []byte
	texts  int
	hidden bool // something was left out
}

// value copies the next value, or what may be seen of it.
func (r *redaction) value(m *mask) {
	r.space()
	if m.hides() {
		r.hide()
		return
	}
	switch r.src[r.at] {
	case '{':
		r.members(m)
	case '[':
		r.elements(m)
	case '"':
		r.text(m)
	default:
		r.dst = append(r.dst, r.next()...)
	}
}

func (r *redaction) members(m *mask) {
	r.open()
	for r.more('}') {
		raw := r.next()
		key, _ := rawjson.String(raw)
		r.space()
		r.at++ // the colon
		r.dst = append(append(r.dst, raw...), ':')
		if secret(key) {
			r.hide()
		} else {
			r.value(m.member(key))
		}
	}
}

func (r *redaction) elements(m *mask) {
	r.open()
	for r.more(']') {
		r.value(m.element())
	}
}

// open copies a bracket.
func (r *redaction) open() {
	r.dst = append(r.dst, r.src[r.at])
	r.at++
}

// more reports whether another member or element follows, and copies the comma before it, or else the bracket at the end.
func (r *redaction) more(end byte) bool {
	r.space()
	switch r.src[r.at] {
	case end:
		r.open()
		return false
	case ',':
		r.open()
		r.space()
	}
	return true
}

// text copies a string, and without its secrets one that is JSON itself.
func (r *redaction) text(m *mask) {
	raw := r.next()
	if r.texts > 0 && bytes.ContainsAny(raw, "{[") {
		text, _ := rawjson.String(raw)
		if inner := (redaction{src: []byte(text), texts: r.texts - 1}); rawjson.Valid(inner.src) == nil {
			if inner.value(m); inner.hidden {
				r.dst, r.hidden = rawjson.AppendString(r.dst, inner.dst), true
				return
			}
		}
	}
	r.dst = append(r.dst, raw...)
}

// hide passes over the next value.
func (r *redaction) hide() {
	r.space()
	for depth := 0; ; {
		switch r.src[r.at] {
		case '{', '[':
			depth++
			r.at++
		case '}', ']':
			depth--
			r.at++
		case ',', ':', ' ', '\t', '\n', '\r':
			r.at++
			continue
		default:
			r.next()
		}
		if depth == 0 {
			break
		}
	}
	r.dst, r.hidden = append(r.dst, gone...), true
}

// next passes over a string, a number or a word, and returns it.
func (r *redaction) next() []byte {
	from := r.at
	if r.src[from] != '"' {
		n := bytes.IndexAny(r.src[from:], " \t\n\r,]}")
		if n < 0 {
			n = len(r.src) - from
		}
		r.at += n
		return r.src[from:r.at]
	}
	r.at = rawjson.StringEnd(r.src, from)
	return r.src[from:r.at]
}

func (r *redaction) space() {
	for r.at < len(r.src) && (r.src[r.at] == ' ' || r.src[r.at] == '\t' || r.src[r.at] == '\n' || r.src[r.at] == '\r') {
		r.at++
	}
}

// secret reports whether a key names something that must not be recorded. Too much rather than too little.
func secret(key string) bool {
	plain := strings.Map(func(c rune) rune {
		if strings.ContainsRune("_-. ", c) {
			return -1
		}
		return c
	}, strings.ToLower(key))
	for _, word := range [...]string{
		"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "authorization", "cookie", "bearer", "pin", "otp", "cvv", "ssn",
	} {
		if plain == word || len(word) > 3 && strings.Contains(plain, word) {
			return true
		}
	}
	return false
}
