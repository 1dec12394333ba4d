package guard

import (
	"bytes"
	"encoding/json"
	"strconv"

	"weir/catalog/rawjson"
)

const (
	// mostWork bounds what the expressions of a file look at in one value, in bytes, each time anew. It takes some seconds at worst.
	mostWork = 64 << 20
	// mostTold is how many secrets of one value are named.
	mostTold = 20
)

// Secret is one that was found.
type Secret struct {
	Rule string
	Path string // of the string that has it, such as content[0].text
}

// Found is what was found in a value.
type Found struct {
	Secrets []Secret // the first of them
	More    int      // that are not among them
	// Value is the value with a note in place of each; every other byte is as it was.
	Value []byte
}

// find looks for secrets in a raw JSON value, which must have passed the scanner; nil when there are none. In a result, what is opaque to everybody but its
// maker, who gets it back, is left alone.
func (rs *rules) find(value []byte, opaque bool) *Found {
	s := search{rules: rs, src: value, work: mostWork, opaque: opaque}
	s.walk()
	if len(s.edits) == 0 {
		return nil
	}
	s.found.Value = rawjson.Splice(make([]byte, 0, len(value)), value, rawjson.Span{End: len(value)}, s.edits...)
	return &s.found
}

// search is one walk over a value.
type search struct {
	rules  *rules
	src    []byte
	opaque bool
	work   int
	open   []bracket
	edits  []rawjson.Edit
	found  Found
}

// bracket is an object or an array that the walk is in.
type bracket struct {
	object  bool
	index   int          // of the element
	key     rawjson.Span // of the member, as written
	telling bool         // the key has words in it that rules look for
}

// walk looks at every string.
func (s *search) walk() {
	for i := 0; i < len(s.src); i++ {
		switch s.src[i] {
		case '{', '[':
			s.open = append(s.open, bracket{object: s.src[i] == '{'})
		case '}', ']':
			s.open = s.open[:len(s.open)-1]
		case ',':
			s.open[len(s.open)-1].index++
		case '"':
			end := rawjson.StringEnd(s.src, i)
			s.look(rawjson.Span{Start: i, End: end})
			i = end - 1
		}
	}
}

// look looks at one string: a key, or a value together with its key.
func (s *search) look(raw rawjson.Span) {
	var in *bracket
	if len(s.open) > 0 {
		in = &s.open[len(s.open)-1]
	}
	isKey := in != nil && in.object && s.keyed(raw.End)
	text, ok := s.read(raw, !isKey && in != nil && in.telling)
	if isKey {
		in.key, in.telling = raw, ok
	} else if in != nil && in.object {
		if s.opaque && len(s.open) == 1 && string(in.key.Of(s.src)) == `"requestState"` {
			return
		}
	}
	if !ok {
		return
	}
	skip := 0
	if !isKey && in != nil && in.telling {
		key := textOf(in.key.Of(s.src))
		text = append(append(append(make([]byte, 0, len(key)+2+len(text)), key...), ": "...), text...)
		skip = len(key) + 2
	}
	s.note(raw, text, skip)
}

// keyed reports whether the string that ends at a place is a key.
func (s *search) keyed(end int) bool {
	for end < len(s.src) {
		switch s.src[end] {
		case ' ', '\t', '\n', '\r':
			end++
		default:
			return s.src[end] == ':'
		}
	}
	return false
}

// read is the text of a string, if any rule may have to do with it. Words stand in it as written, unless letters of theirs are escaped.
func (s *search) read(raw rawjson.Span, must bool) ([]byte, bool) {
	inside := s.src[raw.Start+1 : raw.End-1]
	if !must && !s.rules.concerns(inside) && !bytes.Contains(inside, []byte(`\u00`)) {
		return nil, false
	}
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside, true
	}
	return textOf(raw.Of(s.src)), true
}

// textOf is the text of a raw string.
func textOf(raw []byte) []byte {
	if text, ok := rawjson.String(raw); ok {
		return []byte(text)
	}
	var text string // has half of a surrogate pair
	_ = json.Unmarshal(raw, &text)
	return []byte(text)
}

// note puts notes in place of the secrets in a text. The first skip bytes are not of the string.
func (s *search) note(raw rawjson.Span, text []byte, skip int) {
	var clean []byte
	at := skip
	for _, p := range s.rules.places(text, &s.work) {
		if p.to <= skip {
			continue
		}
		clean = append(append(clean, text[at:max(p.from, skip)]...), "[redacted: "+p.rule+"]"...)
		at = p.to
		if len(s.found.Secrets) < mostTold {
			s.found.Secrets = append(s.found.Secrets, Secret{p.rule, s.path()})
		} else {
			s.found.More++
		}
	}
	if clean != nil {
		s.edits = append(s.edits, rawjson.Edit{Span: raw, With: rawjson.AppendString(nil, append(clean, text[at:]...))})
	}
}

// path is where the walk is. Keys of others are cut: they come into the record.
func (s *search) path() string {
	const most = 40
	var b []byte
	for _, in := range s.open {
		if !in.object {
			b = append(strconv.AppendInt(append(b, '['), int64(in.index), 10), ']')
			continue
		}
		if len(b) > 0 {
			b = append(b, '.')
		}
		key := textOf(in.key.Of(s.src))
		if s.rules.concerns(key) {
			key = []byte("[key]") // may be the secret
		}
		b = append(b, key[:min(len(key), most)]...)
	}
	return string(b)
}
