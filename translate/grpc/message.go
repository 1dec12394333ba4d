package grpc

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"weir/translate/schema"
)

// direction says what a schema is for.
type direction uint8

const (
	request direction = iota
	reply
)

// converter makes schemas of messages by the JSON mapping of protobuf, each once for a direction. Messages refer to each other through
// definitions, so that those that hold themselves are as small as any.
type converter struct {
	direction direction
	defs      *schema.Defs
	pending   []protoreflect.MessageDescriptor // referred to, and not defined yet
}

func newConverter(dir direction) *converter {
	return &converter{direction: dir, defs: schema.NewDefs()}
}

// message is the schema of a message, with the definitions that it needs.
func (c *converter) message(m protoreflect.MessageDescriptor) *schema.Value {
	v := c.place(m)
	c.define()
	return v
}

// define makes the definitions that were referred to, one after the other: messages may be nested deeper than a stack bears.
func (c *converter) define() {
	for n := len(c.pending); n > 0; n = len(c.pending) {
		m := c.pending[n-1]
		c.pending = c.pending[:n-1]
		c.defs.Add(string(m.FullName()), c.object(m))
	}
}

func member(key string, v *schema.Value) schema.Member { return schema.Member{Key: key, Value: v} }

func typed(name string, more ...schema.Member) *schema.Value {
	return schema.Map(append([]schema.Member{member("type", schema.Text(name))}, more...)...)
}

// reference returns a reference to the definition of a message; see define.
func (c *converter) reference(m protoreflect.MessageDescriptor) *schema.Value {
	name := string(m.FullName())
	if c.defs.Get(name) == nil {
		c.defs.Add(name, schema.Map())
		c.pending = append(c.pending, m)
	}
	return schema.Map(member("$ref", schema.Ref(name)))
}

// object is the schema of a message that has no form of its own in JSON.
func (c *converter) object(m protoreflect.MessageDescriptor) *schema.Value {
	properties := schema.Map()
	var required []string
	for _, f := range c.fields(m) {
		properties.Members = append(properties.Members, member(f.name, f.schema))
		if f.required {
			required = append(required, f.name)
		}
	}
	v := typed("object")
	if text := comment(m); text != "" {
		v.Put("description", schema.Text(text))
	}
	v.Put("properties", properties)
	if len(required) > 0 {
		v.Put("required", schema.Texts(required...))
	}
	if m.ExtensionRanges().Len() > 0 {
		v.Put("patternProperties", schema.Map(member(`^\[.+\]$`, schema.Map())))
	}
	v.Put("additionalProperties", schema.Boolean(false))
	return v
}

// property is one field of a message.
type property struct {
	name     string
	schema   *schema.Value
	required bool
}

// fields are those of a message that are of use in a direction.
func (c *converter) fields(m protoreflect.MessageDescriptor) []property {
	all := make([]property, 0, m.Fields().Len())
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		o := options(f)
		required, outputOnly, inputOnly := behavior(o)
		if outputOnly && c.direction == request || inputOnly && c.direction == reply {
			continue
		}
		p := property{name: f.JSONName(), schema: c.field(f), required: f.Cardinality() == protoreflect.Required}
		text := comment(f)
		if c.direction == request {
			rules := o.message(optionValidate)
			constrain(p.schema, f, rules)
			p.required = p.required || (required || rules.flag(rulesRequired)) && f.ContainingOneof() == nil
			text = strings.TrimSpace(text + " " + alternatives(f, protoreflect.FieldDescriptor.JSONName))
		}
		if f.Kind() == protoreflect.BytesKind && !f.IsMap() {
			text = strings.TrimSpace(text + " (base64)")
		}
		if f.Options() != nil && outdated(o) {
			text = strings.TrimSpace("Deprecated. " + text)
		}
		var said []schema.Member
		if text != "" {
			said = append(said, member("description", schema.Text(text)))
			p.schema = p.schema.Without("description")
		}
		if f.Options() != nil && secret(o) {
			said = append(said, member("writeOnly", schema.Boolean(true))) // what is recorded of calls leaves it out
			c.defs.MarkSecret()
		}
		if said != nil {
			p.schema = schema.Map(append(said, p.schema.Members...)...)
		}
		all = append(all, p)
	}
	return all
}

// outdated reports whether options say deprecated: field 3 of FieldOptions and MessageOptions, 33 of MethodOptions.
func outdated(o wire) bool { return o.flag(3) }

// secret reports whether options say debug_redact: field 16 of FieldOptions.
func secret(o wire) bool { return o.flag(16) }

// alternatives says which fields exclude each other, by the names that they have; one without a name cannot be given.
func alternatives(f protoreflect.FieldDescriptor, name func(protoreflect.FieldDescriptor) string) string {
	o := f.ContainingOneof()
	if o == nil || o.IsSynthetic() || o.Fields().Len() < 2 {
		return ""
	}
	const most = 8 // more are not listed
	var names []string
	for i := 0; i < o.Fields().Len() && len(names) <= most; i++ {
		if n := name(o.Fields().Get(i)); n != "" {
			names = append(names, n)
		}
	}
	word := "at most"
	if options(o).message(optionValidate).flag(1) {
		word = "exactly"
	}
	switch {
	case len(names) < 2:
		return ""
	case len(names) > most:
		return "Set " + word + " one field of the group " + string(o.Name()) + "."
	}
	return "Set " + word + " one of " + strings.Join(names, ", ") + "."
}

// field is the schema of a field: map, list or single value.
func (c *converter) field(f protoreflect.FieldDescriptor) *schema.Value {
	switch {
	case f.IsMap():
		v := typed("object")
		if pattern := keyPattern(f.MapKey().Kind()); pattern != "" {
			v.Put("propertyNames", schema.Map(member("pattern", schema.Text(pattern))))
		}
		v.Put("additionalProperties", c.single(f.MapValue()))
		return v
	case f.IsList():
		return typed("array", member("items", c.single(f)))
	default:
		return c.single(f)
	}
}

const (
	signedPattern   = `^-?[0-9]+$`
	unsignedPattern = `^[0-9]+$`
	floatPattern    = `^(NaN|-?Infinity)$`
)

// keyPattern is what the keys of a map look like; they are texts whatever their type.
func keyPattern(kind protoreflect.Kind) string {
	switch kind {
	case protoreflect.StringKind:
		return ""
	case protoreflect.BoolKind:
		return `^(true|false)$`
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return unsignedPattern
	default:
		return signedPattern
	}
}

// single is the schema of one value of a field.
func (c *converter) single(f protoreflect.FieldDescriptor) *schema.Value {
	switch f.Kind() {
	case protoreflect.EnumKind:
		return c.enumeration(f.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return c.place(f.Message())
	default:
		return scalar(f.Kind())
	}
}

// scalar is the schema of a number, text, boolean or bytes.
func scalar(kind protoreflect.Kind) *schema.Value {
	switch kind {
	case protoreflect.BoolKind:
		return typed("boolean")
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return typed("integer")
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return typed("integer", member("minimum", schema.Int(0)))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return typed("string", member("pattern", schema.Text(signedPattern)))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return typed("string", member("pattern", schema.Text(unsignedPattern)))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return schema.Map(member("type", schema.Texts("number", "string")), member("pattern", schema.Text(floatPattern)))
	case protoreflect.BytesKind:
		return typed("string", member("contentEncoding", schema.Text("base64")))
	default:
		return typed("string")
	}
}

// enumeration is the schema of an enum. Replies may hold numbers that the description does not know.
func (c *converter) enumeration(e protoreflect.EnumDescriptor) *schema.Value {
	if e.FullName() == "google.protobuf.NullValue" {
		return typed("null")
	}
	if c.direction == reply {
		return schema.Map(member("type", schema.Texts("string", "integer")))
	}
	names := make([]string, 0, e.Values().Len())
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	return typed("string", member("enum", schema.Texts(names...)))
}

// wellKnown is the package of the messages that have forms of their own in JSON.
const wellKnown = "google.protobuf."

// place is the schema of a message where it stands.
func (c *converter) place(m protoreflect.MessageDescriptor) *schema.Value {
	if m.IsPlaceholder() {
		return typed("object")
	}
	if name, ok := strings.CutPrefix(string(m.FullName()), wellKnown); ok {
		if v := c.wellKnown(name, m); v != nil {
			return v
		}
	}
	return c.reference(m)
}

// wellKnown is the form of a message that has one of its own, nil for one that has none.
func (c *converter) wellKnown(name string, m protoreflect.MessageDescriptor) *schema.Value {
	text := func(s string) schema.Member { return member("description", schema.Text(s)) }
	switch name {
	case "Timestamp":
		return typed("string", member("format", schema.Text("date-time")))
	case "Duration":
		return typed("string", member("pattern", schema.Text(`^-?[0-9]+(\.[0-9]{1,9})?s$`)), text("seconds, as in 1.5s"))
	case "FieldMask":
		return typed("string", text("names of fields, as in title,author.name"))
	case "Struct":
		return typed("object")
	case "Value":
		return schema.Map()
	case "ListValue":
		return typed("array", member("items", schema.Map()))
	case "Empty":
		return typed("object", member("additionalProperties", schema.Boolean(false)))
	case "Any":
		return typed("object",
			text("a message of any type; beside @type stand its fields, or value where it has a form of its own"),
			member("properties", schema.Map(member("@type", typed("string", text("type.googleapis.com/ and the full name of the type"))))))
	case "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue", "StringValue", "BytesValue":
		if f := m.Fields().ByNumber(1); f != nil {
			v := scalar(f.Kind())
			if c.direction == reply {
				return v
			}
			if name == "BytesValue" {
				v.Put("description", schema.Text("base64"))
			}
			return v
		}
	}
	return nil
}

// bare reports whether a message is no object in JSON, or an object whose members are not fields.
func bare(m protoreflect.MessageDescriptor) bool {
	name, ok := strings.CutPrefix(string(m.FullName()), wellKnown)
	return ok && slices.Contains([]string{
		"Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Any",
		"DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue", "StringValue", "BytesValue",
	}, name)
}
