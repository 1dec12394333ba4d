package graphql

import (
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"weir/translate"
	"weir/translate/schema"
)

// inputs turns input types into JSON Schema. Enumerations and input objects become definitions, once each, so that recursion costs nothing.
type inputs struct {
	description *description
	defs        *schema.Defs
	scalars     map[string]translate.Literal // of the configuration, by name
	done        map[string]bool
}

func newInputs(d *description, scalars map[string]translate.Literal) *inputs {
	if d.files == nil {
		d.holdFiles(scalars)
	}
	return &inputs{description: d, defs: schema.NewDefs(), scalars: scalars, done: make(map[string]bool)}
}

func member(key string, v *schema.Value) schema.Member { return schema.Member{Key: key, Value: v} }

// typed is the schema of a value of type t. A type that may be null takes null: a mutation clears a value with it.
func (c *inputs) typed(t *ast.Type) *schema.Value {
	var v *schema.Value
	if t.Elem != nil {
		v = schema.Map(member("type", schema.Text("array")), member("items", c.typed(t.Elem)))
	} else {
		v = c.named(t.NamedType)
	}
	if t.NonNull {
		return v
	}
	return nullable(v)
}

// nullable returns v with null added to what it takes.
func nullable(v *schema.Value) *schema.Value {
	null := member("type", schema.Text("null"))
	if v.Get("$ref") != nil {
		return schema.Map(member("anyOf", schema.List(v, schema.Map(null))))
	}
	out := schema.Map(slices.Clone(v.Members)...)
	switch kind := v.Get("type"); {
	case kind.Is(schema.String):
		out.Put("type", schema.Texts(kind.Text, "null"))
	case kind.Is(schema.Array) && !slices.Contains(kind.Strings(), "null"):
		out.Put("type", schema.Texts(append(kind.Strings(), "null")...))
	}
	if list := v.Get("enum"); list != nil {
		out.Put("enum", schema.List(append(values(list), &schema.Value{})...))
	}
	return out
}

func values(list *schema.Value) []*schema.Value {
	all := make([]*schema.Value, len(list.Members))
	for i, m := range list.Members {
		all[i] = m.Value
	}
	return all
}

// shortEnum is how many values an enumeration has that is written out where it stands.
const shortEnum = 8

// named is the schema of a named type that is not null.
func (c *inputs) named(name string) *schema.Value {
	def := c.description.schema.Types[name]
	if def == nil {
		return schema.Map()
	}
	switch def.Kind {
	case ast.Scalar:
		return c.scalar(def)
	case ast.Enum:
		if len(def.EnumValues) <= shortEnum {
			return enum(def)
		}
	default:
	}
	if !c.done[name] {
		c.done[name] = true
		if def.Kind == ast.Enum {
			c.defs.Add(name, enum(def))
		} else {
			c.defs.Add(name, c.object(def))
		}
	}
	return schema.Map(member("$ref", schema.Ref(name)))
}

// enum is the schema of an enumeration; what its values mean stands in the description.
func enum(def *ast.Definition) *schema.Value {
	list := schema.List()
	var words []string
	for _, v := range def.EnumValues {
		list.Members = append(list.Members, member("", schema.Text(v.Name)))
		if text := schema.Clean(v.Description); text != "" && !strings.EqualFold(strings.TrimRight(text, "."), strings.ReplaceAll(v.Name, "_", " ")) {
			words = append(words, v.Name+": "+schema.Shorten(text, 80))
		}
	}
	out := schema.Map(member("type", schema.Text("string")))
	if len(list.Members) > 0 {
		out.Put("enum", list)
	}
	text := schema.Clean(def.Description)
	if len(words) > 0 && len(words) <= shortEnum {
		text = strings.TrimSpace(text + " " + strings.Join(words, " "))
	}
	return translate.Described(out, text)
}

// object is the schema of an input object.
func (c *inputs) object(def *ast.Definition) *schema.Value {
	properties := schema.Map()
	var required []string
	for _, f := range def.Fields {
		properties.Members = append(properties.Members, member(f.Name, c.field(f.Type, f.Description, f.Directives, f.DefaultValue)))
		if f.Type.NonNull && f.DefaultValue == nil {
			required = append(required, f.Name)
		}
	}
	out := schema.Map(member("type", schema.Text("object")), member("properties", properties))
	if len(required) > 0 {
		out.Put("required", schema.Texts(required...))
	}
	out.Put("additionalProperties", schema.Boolean(false))
	text := schema.Clean(def.Description)
	if def.Directives.ForName("oneOf") != nil {
		out.Put("minProperties", schema.Int(1))
		out.Put("maxProperties", schema.Int(1))
		text = strings.TrimSpace(text + " Give exactly one of them.")
	}
	return translate.Described(out, text)
}

// field is the schema of a field of an input, or of an argument.
func (c *inputs) field(t *ast.Type, text string, directives ast.DirectiveList, fallback *ast.Value) *schema.Value {
	v := c.typed(t)
	text = schema.Clean(text)
	if directives.ForName("deprecated") != nil {
		text = strings.TrimSpace("Deprecated. " + text)
	}
	v = translate.Described(v, text)
	if def := constant(fallback); def != nil && !def.Is(schema.Null) {
		v = schema.Map(append(slices.Clone(v.Members), member("default", def))...)
	}
	return v
}

// scalar is the schema of a scalar: configured, built in, or known by its name. Anything else is text, as most are.
func (c *inputs) scalar(def *ast.Definition) *schema.Value {
	if v := c.scalars[def.Name].Value; v != nil {
		if v.Is(schema.String) {
			return schema.Map(member("type", v))
		}
		return v
	}
	if c.description.scalars[def.Name] {
		return anything()
	}
	text := schema.Shorten(schema.Clean(def.Description), 200)
	switch def.Name {
	case "Int":
		return schema.Map(member("type", schema.Text("integer")))
	case "Float":
		return schema.Map(member("type", schema.Text("number")))
	case "Boolean":
		return schema.Map(member("type", schema.Text("boolean")))
	case "String", "ID":
		return schema.Map(member("type", schema.Text("string")))
	case "Upload", "File":
		return translate.FileArgument(text)
	}
	return translate.Described(wellKnown(def.Name), text)
}

func anything() *schema.Value {
	return schema.Map(member("type", schema.Texts("string", "number", "boolean", "object", "array")))
}

// wellKnown is the schema of scalars that many servers define under the same names. Integers that may not fit a double are taken as text too.
func wellKnown(name string) *schema.Value {
	formatted := func(format string) *schema.Value {
		return schema.Map(member("type", schema.Text("string")), member("format", schema.Text(format)))
	}
	switch strings.ToLower(strings.ReplaceAll(name, "_", "")) {
	case "datetime", "timestamptz", "isodatetime", "iso8601datetime", "datetimeiso", "instant", "offsetdatetime":
		return formatted("date-time")
	case "date", "localdate", "isodate", "iso8601date":
		return formatted("date")
	case "duration", "iso8601duration":
		return formatted("duration")
	case "uuid", "guid":
		return formatted("uuid")
	case "email", "emailaddress":
		return formatted("email")
	case "uri", "url", "gituri":
		return schema.Map(member("type", schema.Text("string")))
	case "bigint", "long", "int64", "uint64", "unsignedint64", "timestamp", "numeric", "decimal", "bigdecimal", "positivedecimal", "safeint", "biginteger":
		return schema.Map(member("type", schema.Texts("string", "number")))
	case "short", "byte", "int8", "int16", "int32", "uint", "unsignedint", "positiveint", "nonnegativeint", "minute", "hour", "day", "year":
		return schema.Map(member("type", schema.Text("integer")))
	case "double", "float64", "positivefloat", "nonnegativefloat", "weightscalar":
		return schema.Map(member("type", schema.Texts("number", "string")))
	case "void", "any", "unknown", "generic", "genericscalar":
		return anything()
	case "object", "map", "jsonobject", "metadata", "record":
		return schema.Map(member("type", schema.Texts("object", "string")))
	}
	if strings.HasPrefix(strings.ToLower(name), "json") || strings.HasSuffix(name, "Any") || strings.HasSuffix(name, "JSON") {
		return anything()
	}
	return schema.Map(member("type", schema.Text("string")))
}
