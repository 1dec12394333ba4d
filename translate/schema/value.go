package schema

import (
	"encoding/json"
	"slices"
	"strconv"

	"weir/catalog/rawjson"
)

// Kind is the JSON type of a [Value].
type Kind uint8

// The JSON types.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// String returns the name that JSON Schema uses.
func (k Kind) String() string {
	return [...]string{"null", "boolean", "number", "string", "array", "object"}[k]
}

// Value is one JSON value: an object with its members in order, numbers as they were written. A nil *Value is an absent one; every
// method that reads takes it. Values are not changed once they are shared.
type Value struct {
	Kind Kind
	// Text is the text of a String, the literal of a Number, "true" or "false" of a Bool.
	Text string
	// Members are those of an Object, or the elements of an Array with empty keys.
	Members []Member
}

// Member is a key and its value.
type Member struct {
	Key   string
	Value *Value
}

// Text returns a string value.
func Text(s string) *Value { return &Value{Kind: String, Text: s} }

// Boolean returns true or false.
func Boolean(b bool) *Value { return &Value{Kind: Bool, Text: strconv.FormatBool(b)} }

// Int returns a number.
func Int(n int) *Value { return &Value{Kind: Number, Text: strconv.Itoa(n)} }

// List returns an array.
func List(elements ...*Value) *Value {
	v := &Value{Kind: Array, Members: make([]Member, len(elements))}
	for i, e := range elements {
		v.Members[i].Value = e
	}
	return v
}

// Texts returns an array of strings.
func Texts(texts ...string) *Value {
	v := &Value{Kind: Array, Members: make([]Member, len(texts))}
	for i, s := range texts {
		v.Members[i].Value = Text(s)
	}
	return v
}

// Map returns an object with members.
func Map(members ...Member) *Value { return &Value{Kind: Object, Members: members} }

// Is reports whether v is there and of kind.
func (v *Value) Is(kind Kind) bool { return v != nil && v.Kind == kind }

// Get returns the value of a member of an object, nil when v is no object or has none of that key.
func (v *Value) Get(key string) *Value {
	if v == nil || v.Kind != Object {
		return nil
	}
	for i := range v.Members {
		if v.Members[i].Key == key {
			return v.Members[i].Value
		}
	}
	return nil
}

// GetText returns the text of a member that is a string, "" otherwise.
func (v *Value) GetText(key string) string {
	if m := v.Get(key); m.Is(String) {
		return m.Text
	}
	return ""
}

// True reports whether a member is the literal true.
func (v *Value) True(key string) bool {
	m := v.Get(key)
	return m.Is(Bool) && m.Text == "true"
}

// False reports whether a member is the literal false.
func (v *Value) False(key string) bool {
	m := v.Get(key)
	return m.Is(Bool) && m.Text == "false"
}

// Object returns the members of a member that is an object.
func (v *Value) Object(key string) []Member {
	if m := v.Get(key); m.Is(Object) {
		return m.Members
	}
	return nil
}

// Array returns the elements of a member that is an array.
func (v *Value) Array(key string) []Member {
	if m := v.Get(key); m.Is(Array) {
		return m.Members
	}
	return nil
}

// Put sets a member of the object v, at its end when it is new.
func (v *Value) Put(key string, value *Value) {
	for i := range v.Members {
		if v.Members[i].Key == key {
			v.Members[i].Value = value
			return
		}
	}
	v.Members = append(v.Members, Member{key, value})
}

// Without returns a shallow copy of the object v that lacks some members.
func (v *Value) Without(keys ...string) *Value {
	c := &Value{Kind: v.Kind, Members: make([]Member, 0, len(v.Members))}
	for _, m := range v.Members {
		if !slices.Contains(keys, m.Key) {
			c.Members = append(c.Members, m)
		}
	}
	return c
}

// Strings returns the elements of v that are strings.
func (v *Value) Strings() []string {
	if !v.Is(Array) {
		return nil
	}
	texts := make([]string, 0, len(v.Members))
	for _, m := range v.Members {
		if m.Value.Is(String) {
			texts = append(texts, m.Value.Text)
		}
	}
	return texts
}

// Append appends v as compact JSON.
func (v *Value) Append(dst []byte) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	switch v.Kind {
	case Null:
		return append(dst, "null"...)
	case Bool, Number:
		return append(dst, v.Text...)
	case String:
		return rawjson.AppendString(dst, v.Text)
	case Array:
		dst = append(dst, '[')
		for i, m := range v.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.Value.Append(dst)
		}
		return append(dst, ']')
	default:
		dst = append(dst, '{')
		for i, m := range v.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = rawjson.AppendString(dst, m.Key)
			dst = append(dst, ':')
			dst = m.Value.Append(dst)
		}
		return append(dst, '}')
	}
}

// JSON returns v as compact JSON.
func (v *Value) JSON() string { return string(v.Append(nil)) }

// Plain returns v in the form of encoding/json with UseNumber.
func (v *Value) Plain() any {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case Bool:
		return v.Text == "true"
	case Number:
		return json.Number(v.Text)
	case String:
		return v.Text
	case Array:
		list := make([]any, len(v.Members))
		for i, m := range v.Members {
			list[i] = m.Value.Plain()
		}
		return list
	case Object:
		object := make(map[string]any, len(v.Members))
		for _, m := range v.Members {
			object[m.Key] = m.Value.Plain()
		}
		return object
	default:
		return nil
	}
}

// Equal reports whether v and w are the same JSON value, the order of members aside. Numbers are equal when they are written alike.
func (v *Value) Equal(w *Value) bool {
	if v == nil || w == nil || v.Kind != w.Kind || v.Text != w.Text || len(v.Members) != len(w.Members) {
		return v == w
	}
	for i, m := range v.Members {
		other := w.Members[i].Value
		if v.Kind == Object {
			other = w.Get(m.Key)
		}
		if !m.Value.Equal(other) {
			return false
		}
	}
	return true
}
