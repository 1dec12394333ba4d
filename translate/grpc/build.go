package grpc

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// method is one method as a tool.
type method struct {
	translate.Entry
	descriptor protoreflect.MethodDescriptor
	path       string // as it is called: /pkg.Service/Method
	arguments  []*argument
	metadata   string // name of the argument with metadata, "" for none
	source     schema.Full
	small      atomic.Bool // its last answer was
}

// argument is one argument of a tool: a field of the request, or all of it.
type argument struct {
	translate.Argument
	field protoreflect.FieldDescriptor // nil for a whole request
}

// renamed reports whether configuration gave the argument another name. Then it has that one alone: rules may look at it.
func (a *argument) renamed() bool { return a.Name != translate.PortableArgument(a.field.JSONName()) }

const (
	// wholeArgument is the argument for a request that is no object in JSON, messagesArgument that for a stream of them.
	wholeArgument    = "value"
	messagesArgument = "messages"
	metadataArgument = "metadata"
)

// builder makes tools of one description.
type builder struct {
	*description
	spec          *Spec
	upstream      string
	input, output *converter
}

// build makes all tools that configuration keeps.
func (b *builder) build() []*method {
	b.input, b.output = newConverter(request), newConverter(reply)
	var all []protoreflect.MethodDescriptor
	for _, s := range b.services {
		for i := range s.Methods().Len() {
			all = append(all, s.Methods().Get(i))
		}
	}
	kept := b.spec.Choose(b.upstream, candidates(all), func(format string, args ...any) { b.warn("", "", false, format, args...) })
	methods := make([]*method, 0, len(kept))
	for _, k := range kept {
		if m := b.method(all[k.Index], k); m != nil {
			methods = append(methods, m)
		}
	}
	for _, m := range methods {
		m.Output.Publish(m.source)
		m.source = schema.Full{}
		m.Publish(b.spec.SchemaBytes)
	}
	return methods
}

// key is how configuration names a method.
func key(m protoreflect.MethodDescriptor) string {
	return string(m.Parent().FullName()) + "/" + string(m.Name())
}

// deprecated reports whether a method is.
func deprecated(m protoreflect.MethodDescriptor) bool {
	return options(m).flag(33) // deprecated of MethodOptions
}

// candidates want the name Service_Method, with the package before it where two services would want one name.
func candidates(all []protoreflect.MethodDescriptor) []translate.Candidate {
	short := make([]string, len(all))
	count := make(map[string]int, len(all))
	for i, m := range all {
		short[i] = translate.PortableName(string(m.Parent().Name()) + "_" + string(m.Name()))
		count[short[i]]++
	}
	candidates := make([]translate.Candidate, len(all))
	for i, m := range all {
		name := short[i]
		if count[name] > 1 {
			name = translate.PortableName(string(m.FullName()))
		}
		candidates[i] = translate.Candidate{Wanted: translate.Wanted{Name: name, Identity: key(m)}, Key: key(m), Outdated: deprecated(m)}
	}
	return candidates
}

// method makes the tool of one method, nil when it cannot be one.
func (b *builder) method(d protoreflect.MethodDescriptor, k translate.Chosen) (m *method) {
	at := string(d.FullName())
	defer func() {
		if fault := recover(); fault != nil {
			b.warn(at, key(d), true, "the method is left out: %v", fault)
			m = nil
		}
	}()
	switch {
	case d.Input().IsPlaceholder() || d.Output().IsPlaceholder():
		b.warn(at, key(d), true, "the method is left out: its messages are not described")
		return nil
	case d.IsStreamingClient() && d.IsStreamingServer() && !b.spec.Bidi:
		b.warn(at, key(d), false, "the method streams in both directions and is left out; bidi: true offers it")
		return nil
	}
	m = &method{descriptor: d, path: "/" + key(d)}
	m.Entry = b.spec.Entry(k.Name, key(d), k.Change)
	b.arguments(m, k.Change.Args)
	m.Annotations = annotations(d).With(k.Change.Hints)
	b.reply(m)
	if m.Annotations.ReadOnly {
		m.Output.Select(m.Input.Full)
	}
	b.words(m, k.Change.Description)
	return m
}

// arguments finds the arguments of a method and makes its input.
func (b *builder) arguments(m *method, changes map[string]translate.Arg) {
	in := m.descriptor.Input()
	switch {
	case m.descriptor.IsStreamingClient():
		items := b.input.message(in)
		m.add(messagesArgument, typed("array", member("items", items), member("description", schema.Text("the messages, in order"))), true, nil)
	case bare(in):
		m.add(wholeArgument, b.input.message(in), true, nil)
	default:
		for _, p := range b.input.fields(in) {
			m.add(translate.PortableArgument(p.name), p.schema, p.required, in.Fields().ByJSONName(p.name))
		}
		b.input.define()
	}
	all := m.shared()
	translate.Curate(all, changes, func(format string, args ...any) {
		b.warn(string(m.descriptor.FullName()), m.Key, false, format, args...)
	})
	m.regroup()
	full, defaults := translate.Arguments(all, b.input.defs)
	m.Input = &translate.Input{Tool: m.Name, Full: full, Defaults: defaults, Adapt: m.adapt}
	b.callMetadata(m)
}

// regroup tells of fields that exclude each other by the names that configuration gave them, and leaves out those that it hid.
func (m *method) regroup() {
	names := make(map[protoreflect.FieldDescriptor]string, len(m.arguments))
	for _, a := range m.arguments {
		if a.field != nil && !a.Hidden {
			names[a.field] = a.Name
		}
	}
	shown := func(f protoreflect.FieldDescriptor) string { return names[f] }
	for _, a := range m.arguments {
		if a.field == nil || a.Hidden {
			continue
		}
		before, after := alternatives(a.field, protoreflect.FieldDescriptor.JSONName), alternatives(a.field, shown)
		if text := a.Schema.GetText("description"); before != after && strings.Contains(text, before) {
			a.Schema = translate.Described(a.Schema.Without("description"), strings.TrimSpace(strings.Replace(text, before, after, 1)))
		}
	}
}

func (m *method) add(name string, v *schema.Value, required bool, f protoreflect.FieldDescriptor) {
	m.arguments = append(m.arguments, &argument{translate.Argument{Name: name, Schema: v, Required: required}, f})
}

// callMetadata adds the argument for metadata that configuration lets callers set.
func (b *builder) callMetadata(m *method) {
	if len(b.spec.Metadata) == 0 {
		return
	}
	properties := m.Input.Full.Root.Get("properties")
	m.metadata = metadataArgument
	if properties.Get(m.metadata) != nil {
		m.metadata = "call_" + metadataArgument
	}
	inner := schema.Map()
	for _, name := range b.spec.Metadata {
		inner.Put(name, typed("string", member("pattern", schema.Text(`^[ -~]*$`))))
	}
	properties.Put(m.metadata, typed("object",
		member("description", schema.Text("metadata that goes with the call")),
		member("properties", inner), member("additionalProperties", schema.Boolean(false))))
}

// reply finds the schema of what the method answers.
func (b *builder) reply(m *method) {
	root := b.output.message(m.descriptor.Output())
	switch {
	case m.descriptor.IsStreamingServer():
		root = typed("object", member("properties", schema.Map(
			member(messagesArgument, typed("array", member("items", root))),
			member("complete", typed("boolean")),
			member("stopped", typed("string")),
		)))
	case !slices.Equal(b.output.defs.Types(root), []string{"object"}):
		m.Output.Wrapped = true
		root = typed("object", member("properties", schema.Map(member("result", root))))
	}
	if len(m.Output.Shape.Fields) == 0 && m.Output.Shape.Path == "" {
		m.source = schema.Full{Root: root, Defs: b.output.defs}
	}
}

// Fields of google.api.HttpRule.
const (
	httpGet    = 2
	httpPut    = 3
	httpDelete = 5
)

// annotations derives the hints from the idempotency level and, where it is not set, from google.api.http.
func annotations(d protoreflect.MethodDescriptor) translate.Annotations {
	o := options(d)
	reads := translate.Annotations{ReadOnly: true, Idempotent: true, OpenWorld: true}
	other := translate.Annotations{Destructive: true, OpenWorld: true}
	switch level, _ := o.last(34); level.number { // idempotency_level of MethodOptions
	case 1:
		return reads
	case 2:
		other.Idempotent = true
		return other
	}
	rule := o.message(optionHTTP)
	switch {
	case rule.text(httpGet) != "":
		return reads
	case rule.text(httpPut) != "" || rule.text(httpDelete) != "":
		other.Idempotent = true
	}
	return other
}

// words writes the description of the tool and what the search knows of it.
func (b *builder) words(m *method, configured string) {
	d := m.descriptor
	m.Say(translate.Words{
		Configured: configured, Text: comment(d), Otherwise: "Calls " + m.Key + ".", Outdated: deprecated(d),
	}, m.shared())
	m.Document.Path, m.Document.Tags = m.Key, []string{string(d.Parent().Name())}
	if d.IsStreamingServer() {
		m.Words += fmt.Sprintf(" Collects up to %d messages of a stream.", b.maxMessages())
	}
}

// shared are the arguments as those of any tool.
func (m *method) shared() []*translate.Argument {
	all := make([]*translate.Argument, len(m.arguments))
	for i, a := range m.arguments {
		all[i] = &a.Argument
	}
	return all
}

func (b *builder) maxMessages() int {
	if b.spec.MaxMessages > 0 {
		return b.spec.MaxMessages
	}
	return defaultMaxMessages
}

// adapt implements the Adapt of an input for the arguments of the method.
func (m *method) adapt(v *schema.Value) (*schema.Value, []string) {
	a := &adapter{}
	in := m.descriptor.Input()
	w := fieldWalk{adapter: a}
	for _, x := range m.arguments {
		if x.field != nil && x.Fixed != nil && x.field.ContainingOneof() != nil {
			w.choose(x.field.ContainingOneof(), x.Name, nil)
		}
	}
	v = w.members(v, func(key string) (protoreflect.FieldDescriptor, string) {
		for _, x := range m.arguments {
			if x.field != nil && !x.Hidden && (x.Name == key || x.field.TextName() == key && !x.renamed()) {
				return x.field, x.Name
			}
		}
		return nil, ""
	})
	if len(m.arguments) != 1 || m.arguments[0].field != nil {
		if !bare(in) {
			a.exactlyOne(in, w.chosen, nil)
		}
		return v, a.said
	}
	whole := m.arguments[0]
	return each(v, func(_ int, e schema.Member) *schema.Value {
		at := &trail{nil, e.Key}
		switch {
		case e.Key != whole.Name:
			return e.Value
		case !m.descriptor.IsStreamingClient():
			return a.message(e.Value, in, at, 0)
		case !e.Value.Is(schema.Array):
			return e.Value
		}
		return each(e.Value, func(i int, item schema.Member) *schema.Value {
			return a.message(item.Value, in, &trail{at, fmt.Sprintf("[%d]", i)}, 0)
		})
	}), a.said
}

// encode writes checked arguments as the JSON of each message that is sent.
func (m *method) encode(args *schema.Value) [][]byte {
	if len(m.arguments) == 1 && m.arguments[0].field == nil {
		v := m.arguments[0].Value(args)
		if !m.descriptor.IsStreamingClient() {
			return [][]byte{v.Append(nil)}
		}
		all := make([][]byte, 0, 8)
		if v.Is(schema.Array) {
			for _, e := range v.Members {
				all = append(all, e.Value.Append(nil))
			}
		}
		return all
	}
	data := []byte{'{'}
	for _, a := range m.arguments {
		v := a.Value(args)
		if v == nil {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(rawjson.AppendString(data, a.field.JSONName()), ':')
		data = v.Append(data)
	}
	return [][]byte{append(data, '}')}
}
