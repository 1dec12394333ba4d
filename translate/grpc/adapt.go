package grpc

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"weir/translate/schema"
)

// adapter brings arguments into the one of the forms of the JSON mapping that the schema has, and finds what a schema cannot say: fields
// that exclude each other, numbers that are too large, texts that are no time. It changes no value in place.
type adapter struct{ said []string }

// maxSaid bounds how many faults are told.
const maxSaid = 12

// trail is the way to a value, for faults.
type trail struct {
	up   *trail
	step string
}

func (t *trail) String() string {
	var steps []string
	for ; t != nil; t = t.up {
		steps = append(steps, t.step)
	}
	var b strings.Builder
	for _, step := range slices.Backward(steps) {
		if b.Len() > 0 && !strings.HasPrefix(step, "[") {
			b.WriteByte('.')
		}
		b.WriteString(schema.Shorten(step, 100))
	}
	return "`" + b.String() + "`"
}

func (a *adapter) say(at *trail, format string, args ...any) {
	if len(a.said) < maxSaid {
		a.said = append(a.said, at.String()+fmt.Sprintf(format, args...))
	}
}

// maxDepth bounds how deep arguments are looked into; the wire format has the same bound.
const maxDepth = 100

// object adapts the fields of a message. Who uses the description's own names is told those of JSON.
func (a *adapter) object(v *schema.Value, m protoreflect.MessageDescriptor, at *trail, depth int) *schema.Value {
	if !v.Is(schema.Object) || depth > maxDepth {
		return v
	}
	w := fieldWalk{adapter: a, at: at, depth: depth}
	v = w.members(v, func(key string) (protoreflect.FieldDescriptor, string) {
		f := m.Fields().ByJSONName(key)
		if f == nil {
			f = m.Fields().ByTextName(key)
		}
		if f == nil {
			return nil, ""
		}
		return f, f.JSONName()
	})
	a.exactlyOne(m, w.chosen, at)
	return v
}

// fieldWalk is a walk over the fields of one message.
type fieldWalk struct {
	*adapter
	at     *trail
	depth  int
	chosen map[protoreflect.OneofDescriptor]string // which field of a group is given
}

// members adapts the members that find knows a field and a name for.
func (w *fieldWalk) members(v *schema.Value, find func(key string) (protoreflect.FieldDescriptor, string)) *schema.Value {
	var out []schema.Member // a copy once something changes
	same := true
	for i, e := range v.Members {
		n, keep := e, true
		if f, name := find(e.Key); f != nil {
			n, keep = w.member(e, f, name)
			if name != e.Key { // one spelling alone: what rules of a policy look at must be what is sent
				w.say(&trail{w.at, e.Key}, " is called `%s`", name)
			}
		}
		if same && (!keep || n != e) {
			same = false
			out = append(make([]schema.Member, 0, len(v.Members)), v.Members[:i]...)
		}
		if !same && keep {
			out = append(out, n)
		}
	}
	if same {
		return v
	}
	return &schema.Value{Kind: schema.Object, Members: out}
}

// member adapts one field. keep is false for a null that only says that there is no value.
func (w *fieldWalk) member(e schema.Member, f protoreflect.FieldDescriptor, name string) (n schema.Member, keep bool) {
	if e.Value.Is(schema.Null) && !takesNull(f) {
		return e, false
	}
	here := &trail{w.at, name}
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		w.choose(o, name, here)
	}
	return schema.Member{Key: name, Value: w.field(e.Value, f, here, w.depth)}, true
}

// choose notes that a field of a group is given; a second one is a fault.
func (w *fieldWalk) choose(o protoreflect.OneofDescriptor, name string, here *trail) {
	if other, twice := w.chosen[o]; twice && other != name {
		w.say(here, " and `%s` exclude each other: give one of them", other)
	}
	if w.chosen == nil {
		w.chosen = make(map[protoreflect.OneofDescriptor]string)
	}
	w.chosen[o] = name
}

// exactlyOne finds groups that rules demand one field of.
func (a *adapter) exactlyOne(m protoreflect.MessageDescriptor, chosen map[protoreflect.OneofDescriptor]string, at *trail) {
	for i := range m.Oneofs().Len() {
		o := m.Oneofs().Get(i)
		if _, ok := chosen[o]; ok || o.IsSynthetic() || o.Options() == nil || !options(o).message(optionValidate).flag(1) {
			continue
		}
		a.say(at, ": %s", alternatives(o.Fields().Get(0), protoreflect.FieldDescriptor.JSONName))
	}
}

// takesNull reports whether null is a value of the field and not its absence.
func takesNull(f protoreflect.FieldDescriptor) bool {
	switch {
	case f.IsList() || f.IsMap():
		return false
	case f.Message() != nil:
		return f.Message().FullName() == wellKnown+"Value"
	default:
		return f.Enum() != nil && f.Enum().FullName() == wellKnown+"NullValue"
	}
}

func (a *adapter) field(v *schema.Value, f protoreflect.FieldDescriptor, at *trail, depth int) *schema.Value {
	switch {
	case f.IsMap() && v.Is(schema.Object):
		return each(v, func(_ int, e schema.Member) *schema.Value {
			return a.single(e.Value, f.MapValue(), &trail{at, e.Key}, depth+1)
		})
	case f.IsList() && v.Is(schema.Array):
		return each(v, func(i int, e schema.Member) *schema.Value {
			return a.single(e.Value, f, &trail{at, "[" + strconv.Itoa(i) + "]"}, depth+1)
		})
	case f.IsMap(), f.IsList():
		return v
	}
	return a.single(v, f, at, depth+1)
}

// each applies f to the members of v and returns v itself when nothing changed.
func each(v *schema.Value, f func(int, schema.Member) *schema.Value) *schema.Value {
	var out *schema.Value
	for i, e := range v.Members {
		n := f(i, e)
		if out == nil && n != e.Value {
			out = &schema.Value{Kind: v.Kind, Members: append([]schema.Member(nil), v.Members...)}
		}
		if out != nil {
			out.Members[i].Value = n
		}
	}
	if out == nil {
		return v
	}
	return out
}

func (a *adapter) single(v *schema.Value, f protoreflect.FieldDescriptor, at *trail, depth int) *schema.Value {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return a.message(v, f.Message(), at, depth)
	case protoreflect.EnumKind:
		return enumName(v, f.Enum())
	default:
		return a.scalar(v, f.Kind(), at)
	}
}

// enumName returns the name of an enum value that is given by its number.
func enumName(v *schema.Value, e protoreflect.EnumDescriptor) *schema.Value {
	if !v.Is(schema.Number) {
		return v
	}
	n, err := strconv.ParseInt(v.Text, 10, 32)
	if err != nil {
		return v
	}
	if found := e.Values().ByNumber(protoreflect.EnumNumber(n)); found != nil {
		return schema.Text(string(found.Name()))
	}
	return v
}

func (a *adapter) message(v *schema.Value, m protoreflect.MessageDescriptor, at *trail, depth int) *schema.Value {
	if !bare(m) {
		return a.object(v, m, at, depth)
	}
	name := strings.TrimPrefix(string(m.FullName()), wellKnown)
	if f := m.Fields().ByNumber(1); strings.HasSuffix(name, "Value") && name != "Value" && name != "ListValue" && f != nil {
		return a.scalar(v, f.Kind(), at)
	}
	if !v.Is(schema.String) {
		return v
	}
	switch name {
	case "Timestamp":
		if protojson.Unmarshal([]byte(v.JSON()), new(timestamppb.Timestamp)) != nil {
			a.say(at, ": text %q is no time; for example 2026-01-02T03:04:05Z", schema.Shorten(v.Text, 60))
		}
	case "Duration":
		if protojson.Unmarshal([]byte(v.JSON()), new(durationpb.Duration)) != nil {
			a.say(at, ": text %q is no duration; for example 1.5s", schema.Shorten(v.Text, 60))
		}
	case "FieldMask":
		if protojson.Unmarshal([]byte(v.JSON()), new(fieldmaskpb.FieldMask)) != nil {
			a.say(at, ": text %q is no list of names in lowerCamelCase; for example title,author.name", schema.Shorten(v.Text, 60))
		}
	}
	return v
}

// scalar adapts numbers and checks bytes.
func (a *adapter) scalar(v *schema.Value, kind protoreflect.Kind, at *trail) *schema.Value {
	switch kind {
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return a.long(v, kind, at)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if v.Is(schema.Number) || v.Is(schema.String) {
			return a.short(v, kind, at)
		}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return a.real(v, kind, at)
	case protoreflect.BytesKind:
		if v.Is(schema.String) && !base64Text(v.Text) {
			a.say(at, ": text %q is no base64", schema.Shorten(v.Text, 60))
		}
	default:
	}
	return v
}

// whole reads a number without a fraction, however it is written: 3, 3.0, 3e2.
func whole(literal string) (*big.Int, bool) {
	if n, ok := new(big.Int).SetString(literal, 10); ok {
		return n, true
	}
	v, err := schema.Parse([]byte(literal))
	if err != nil || v.Kind != schema.Number || !schema.Bearable(v) {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(literal)
	if !ok || !r.IsInt() {
		return nil, false
	}
	return r.Num(), true
}

// long brings a 64-bit number into the form of a text, without a way through a float.
func (a *adapter) long(v *schema.Value, kind protoreflect.Kind, at *trail) *schema.Value {
	if !v.Is(schema.Number) && !v.Is(schema.String) || len(v.Text) > maxLiteral {
		return v
	}
	n, ok := whole(v.Text)
	if !ok {
		return v
	}
	unsigned := kind == protoreflect.Uint64Kind || kind == protoreflect.Fixed64Kind
	if unsigned && !n.IsUint64() || !unsigned && !n.IsInt64() {
		a.say(at, ": %s does not fit into 64 bits", schema.Shorten(v.Text, 60))
	}
	if text := n.String(); v.Kind != schema.String || text != v.Text {
		return schema.Text(text)
	}
	return v
}

// maxLiteral bounds the numbers that are looked at, in characters.
const maxLiteral = 400

func (a *adapter) short(v *schema.Value, kind protoreflect.Kind, at *trail) *schema.Value {
	if len(v.Text) > maxLiteral {
		return v
	}
	n, ok := whole(v.Text)
	if !ok {
		return v
	}
	low, high := int64(-1<<31), int64(1<<31-1)
	if kind == protoreflect.Uint32Kind || kind == protoreflect.Fixed32Kind {
		low, high = 0, 1<<32-1
	}
	if !n.IsInt64() || n.Int64() < low || n.Int64() > high {
		a.say(at, ": %s is not between %d and %d", schema.Shorten(v.Text, 60), low, high)
	}
	if text := n.String(); v.Kind != schema.Number || text != v.Text {
		return &schema.Value{Kind: schema.Number, Text: text}
	}
	return v
}

func (a *adapter) real(v *schema.Value, kind protoreflect.Kind, at *trail) *schema.Value {
	if !v.Is(schema.Number) && !v.Is(schema.String) || len(v.Text) > maxLiteral {
		return v
	}
	if parsed, err := schema.Parse([]byte(v.Text)); err != nil || parsed.Kind != schema.Number {
		return v
	}
	bits := 64
	if kind == protoreflect.FloatKind {
		bits = 32
	}
	if _, err := strconv.ParseFloat(v.Text, bits); err != nil {
		a.say(at, ": %s does not fit into %d bits", schema.Shorten(v.Text, 60), bits)
	}
	if v.Kind == schema.String {
		return &schema.Value{Kind: schema.Number, Text: v.Text}
	}
	return v
}

// base64Text reports whether a text is base64 in one of the forms that the JSON mapping takes: either alphabet, padded or not.
func base64Text(s string) bool {
	enc := base64.StdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	if len(s)%4 != 0 {
		enc = enc.WithPadding(base64.NoPadding)
	}
	_, err := enc.DecodeString(s)
	return err == nil
}
