package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"weir/catalog/rawjson"
)

// maxNodes bounds how many values one document may have; the largest public descriptions have well under a million.
const maxNodes = 5_000_000

// manyKeys is from how many members on an object is checked for repeated keys with a table.
const manyKeys = 16

// Parse reads data, one JSON text of at most rawjson.MaxDepth levels. Of two members with one key the last counts, as in most readers.
func Parse(data []byte) (*Value, error) {
	if err := rawjson.Valid(data); err != nil {
		return nil, err
	}
	p := parser{text: string(data)}
	p.space()
	v := p.value()
	if p.nodes > maxNodes {
		return nil, fmt.Errorf("more than %d values", maxNodes)
	}
	return v, nil
}

// ErrTwice is the error of [ParseUnique] for a text in which a key stands twice.
var ErrTwice = errors.New("a key stands there twice")

// ParseUnique is Parse for a text that two readers have to understand alike: it refuses objects with keys that are equal or differ only in case.
func ParseUnique(data []byte) (*Value, error) {
	if err := rawjson.Valid(data); err != nil {
		return nil, err
	}
	p := parser{text: string(data), fold: true}
	p.space()
	v := p.value()
	switch {
	case p.twice:
		return nil, ErrTwice
	case p.nodes > maxNodes:
		return nil, fmt.Errorf("more than %d values", maxNodes)
	}
	return v, nil
}

// parser builds values from text that was accepted before. Strings without escapes share text.
type parser struct {
	text  string
	at    int
	nodes int
	room  []Value // values are made in blocks
	bits  []Member
	fold  bool // keys are looked at
	twice bool // two of them were alike
}

func (p *parser) space() {
	for p.at < len(p.text) && p.text[p.at] <= ' ' {
		p.at++
	}
}

func (p *parser) node(kind Kind) *Value {
	if len(p.room) == 0 {
		size := 8
		if p.nodes > 8 {
			size = 128
		}
		p.room = make([]Value, size)
	}
	v := &p.room[0]
	p.room = p.room[1:]
	v.Kind = kind
	p.nodes++
	return v
}

func (p *parser) value() *Value {
	if p.nodes > maxNodes {
		p.at = len(p.text)
		return p.node(Null)
	}
	switch c := p.text[p.at]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		v := p.node(String)
		v.Text = p.str()
		return v
	case 'n':
		p.at += len("null")
		return p.node(Null)
	case 't', 'f':
		v := p.node(Bool)
		v.Text = p.text[p.at : p.at+len("true")]
		if c == 'f' {
			v.Text = p.text[p.at : p.at+len("false")]
		}
		p.at += len(v.Text)
		return v
	default:
		start := p.at
		for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
			p.at++
		}
		v := p.node(Number)
		v.Text = p.text[start:p.at]
		return v
	}
}

func (p *parser) str() string {
	start := p.at
	p.at++
	escaped := false
	for p.text[p.at] != '"' {
		if p.text[p.at] == '\\' {
			escaped = true
			p.at++
		}
		p.at++
	}
	p.at++
	if !escaped {
		return p.text[start+1 : p.at-1]
	}
	raw := []byte(p.text[start:p.at])
	s, ok := rawjson.String(raw)
	if !ok { // half of a surrogate pair: it becomes U+FFFD, as in most readers, and the text around it stays
		_ = json.Unmarshal(raw, &s)
	}
	return s
}

// keep copies members that were collected on the stack from base on.
func (p *parser) keep(base int) []Member {
	if len(p.bits) == base {
		return nil
	}
	members := make([]Member, len(p.bits)-base)
	copy(members, p.bits[base:])
	clear(p.bits[base:])
	p.bits = p.bits[:base]
	return members
}

// item reads one element and what follows it, and reports whether another comes.
func (p *parser) item(key string, end byte) bool {
	v := p.value()
	p.bits = append(p.bits, Member{key, v})
	p.space()
	if p.at >= len(p.text) {
		return false
	}
	more := p.text[p.at] != end
	p.at++
	p.space()
	return more && p.at < len(p.text)
}

func (p *parser) array() *Value {
	v := p.node(Array)
	base := len(p.bits)
	p.at++
	p.space()
	if p.text[p.at] == ']' {
		p.at++
		return v
	}
	for p.item("", ']') {
		continue
	}
	v.Members = p.keep(base)
	return v
}

func (p *parser) object() *Value {
	v := p.node(Object)
	base := len(p.bits)
	p.at++
	p.space()
	if p.text[p.at] == '}' {
		p.at++
		return v
	}
	for more := true; more; {
		key := p.str()
		p.space()
		p.at++ // the colon
		p.space()
		more = p.item(key, '}')
	}
	v.Members = p.keep(base)
	if p.fold {
		p.twice = p.twice || alike(v.Members)
		return v
	}
	v.Members = unique(v.Members)
	return v
}

// unique keeps the last of the members with one key.
func unique(members []Member) []Member {
	if !repeats(members) {
		return members
	}
	last := make(map[string]int, len(members))
	for i, m := range members {
		last[m.Key] = i
	}
	kept := members[:0:0]
	for i, m := range members {
		if last[m.Key] == i {
			kept = append(kept, m)
		}
	}
	return kept
}

// alike reports whether two keys are equal or differ only in case, by the folding of encoding/json.
func alike(members []Member) bool {
	if len(members) > manyKeys {
		seen := make(map[string]bool, len(members))
		for _, m := range members {
			folded := strings.ToLower(strings.ToUpper(m.Key))
			if seen[folded] {
				return true
			}
			seen[folded] = true
		}
		return false
	}
	for i := range members {
		for j := range i {
			if len(members[i].Key) == len(members[j].Key) || !ascii(members[i].Key) || !ascii(members[j].Key) {
				if strings.EqualFold(members[i].Key, members[j].Key) {
					return true
				}
			}
		}
	}
	return false
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func repeats(members []Member) bool {
	if len(members) > manyKeys {
		seen := make(map[string]bool, len(members))
		for _, m := range members {
			if seen[m.Key] {
				return true
			}
			seen[m.Key] = true
		}
		return false
	}
	for i := range members {
		for j := range i {
			if members[i].Key == members[j].Key {
				return true
			}
		}
	}
	return false
}

// Pointer follows an RFC 6901 pointer ("" or "/a/b") from v. The error names the step that leads nowhere.
func (v *Value) Pointer(pointer string) (*Value, error) {
	if pointer == "" {
		return v, nil
	}
	if pointer[0] != '/' {
		return nil, errors.New("a pointer starts with /")
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		next := v.Get(token)
		if v.Is(Array) {
			next = v.element(token)
		}
		if next == nil {
			return nil, fmt.Errorf("%q is not there", token)
		}
		v = next
	}
	return v, nil
}

func (v *Value) element(token string) *Value {
	n := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' || n > len(v.Members) {
			return nil
		}
		n = n*10 + int(c-'0')
	}
	if token == "" || n >= len(v.Members) {
		return nil
	}
	return v.Members[n].Value
}

// Token escapes one step of an RFC 6901 pointer.
func Token(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
