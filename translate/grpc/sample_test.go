package grpc

import (
	"math/rand/v2"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"weir/translate/schema"
)

func set(m protoreflect.Message, name string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
}

// fill sets fields of a message at random.
func fill(m protoreflect.Message, random *rand.Rand, depth int) {
	if depth > 3 {
		return
	}
	name := m.Descriptor().FullName()
	switch name {
	case wellKnown + "Any":
		if random.IntN(2) == 0 {
			set(m, "type_url", "type.googleapis.com/nobody.Knows")
			set(m, "value", []byte{8, 1})
		}
		return
	case wellKnown + "Timestamp", wellKnown + "Duration":
		set(m, "seconds", random.Int64N(1<<30))
		return
	case wellKnown + "FieldMask":
		return
	case wellKnown + "Value":
		set(m, "number_value", 1.5)
		return
	}
	for i := range m.Descriptor().Fields().Len() {
		f := m.Descriptor().Fields().Get(i)
		if random.IntN(3) == 0 || f.ContainingOneof() != nil && m.WhichOneof(f.ContainingOneof()) != nil {
			continue
		}
		switch {
		case f.IsMap():
			if f.MapKey().Kind() == protoreflect.StringKind && f.MapValue().Message() == nil {
				m.Mutable(f).Map().Set(protoreflect.ValueOfString("k").MapKey(), some(f.MapValue(), random))
			}
		case f.IsList() && f.Message() != nil:
			fill(m.Mutable(f).List().AppendMutable().Message(), random, depth+1)
		case f.IsList():
			m.Mutable(f).List().Append(some(f, random))
		case f.Message() != nil:
			fill(m.Mutable(f).Message(), random, depth+1)
		default:
			m.Set(f, some(f, random))
		}
	}
}

// some is a value of a field that is no message.
func some(f protoreflect.FieldDescriptor, random *rand.Rand) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		if f.Enum().IsClosed() {
			return protoreflect.ValueOfEnum(f.Enum().Values().Get(0).Number())
		}
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(random.IntN(2000))) // most are unknown
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("text")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 255})
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(1.5)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(-1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(1<<32 - 1)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1<<64 - 1)
	default:
		return protoreflect.ValueOfInt64(1<<53 + 1)
	}
}

// fixSample takes what a schema cannot say out of a sample: of fields that exclude each other the first is kept, and texts that are
// times, masks or base64 become such.
func fixSample(v *schema.Value, m *method) *schema.Value {
	in := m.descriptor.Input()
	if len(m.arguments) == 1 && m.arguments[0].field == nil {
		out := schema.Map()
		for _, e := range v.Members {
			switch e.Key {
			case messagesArgument:
				list := &schema.Value{Kind: schema.Array}
				for _, x := range e.Value.Members {
					list.Members = append(list.Members, schema.Member{Value: fixMessage(x.Value, in)})
				}
				e.Value = list
			case wholeArgument:
				e.Value = fixMessage(e.Value, in)
			}
			out.Members = append(out.Members, e)
		}
		return out
	}
	return fixObject(v, in)
}

func fixObject(v *schema.Value, m protoreflect.MessageDescriptor) *schema.Value {
	if !v.Is(schema.Object) {
		return v
	}
	out := schema.Map()
	chosen := make(map[protoreflect.OneofDescriptor]bool)
	for _, e := range v.Members {
		f := m.Fields().ByJSONName(e.Key)
		if f == nil {
			if !strings.HasPrefix(e.Key, "[") {
				out.Members = append(out.Members, e)
			}
			continue
		}
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if chosen[o] {
				continue
			}
			chosen[o] = true
		}
		out.Members = append(out.Members, member(e.Key, fixField(e.Value, f)))
	}
	return out
}

func fixField(v *schema.Value, f protoreflect.FieldDescriptor) *schema.Value {
	one := f
	if f.IsMap() {
		one = f.MapValue()
	}
	if !f.IsMap() && !f.IsList() {
		return fixSingle(v, f)
	}
	out := &schema.Value{Kind: v.Kind}
	for _, e := range v.Members {
		if f.IsMap() && f.MapKey().Kind() != protoreflect.StringKind {
			e.Key = map[bool]string{true: "true", false: "1"}[f.MapKey().Kind() == protoreflect.BoolKind]
		}
		out.Members = append(out.Members, member(e.Key, fixSingle(e.Value, one)))
	}
	if f.IsMap() && f.MapKey().Kind() != protoreflect.StringKind && len(out.Members) > 1 {
		out.Members = out.Members[:1]
	}
	return out
}

func fixSingle(v *schema.Value, f protoreflect.FieldDescriptor) *schema.Value {
	switch {
	case f.Message() != nil:
		return fixMessage(v, f.Message())
	case f.Kind() == protoreflect.BytesKind:
		return schema.Text("AP8=")
	case v.Is(schema.Number) && len(v.Text) > 9 && f.Kind() != protoreflect.DoubleKind:
		return schema.Int(7)
	case v.Is(schema.String) && len(v.Text) > 18 && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.EnumKind:
		return schema.Text("9007199254740993")
	}
	return v
}

func fixMessage(v *schema.Value, m protoreflect.MessageDescriptor) *schema.Value {
	switch m.FullName() {
	case wellKnown + "Timestamp":
		return schema.Text("2026-01-02T03:04:05Z")
	case wellKnown + "Duration":
		return schema.Text("1.500s")
	case wellKnown + "FieldMask":
		return schema.Text("a,b.c")
	case wellKnown + "BytesValue":
		return schema.Text("AP8=")
	case wellKnown + "Any":
		return schema.Map(member("@type", schema.Text("type.googleapis.com/nobody.Knows")), member("value", schema.Text("AP8=")))
	case wellKnown + "Struct", wellKnown + "Empty":
		return schema.Map()
	}
	if bare(m) {
		if f := m.Fields().ByNumber(1); f != nil && strings.HasSuffix(string(m.Name()), "Value") && m.Name() != "Value" && m.Name() != "ListValue" {
			return fixSingle(v, f)
		}
		return v
	}
	return fixObject(v, m)
}
