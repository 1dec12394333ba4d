package openapi

import (
	"cmp"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// builder makes tools of one description.
type builder struct {
	description *description
	converter   *converter
	spec        *Spec
	base        *url.URL // where the description was read, nil for a file
	upstream    string
	configured  func(scheme string) bool // whether a credential is
}

// tool is one operation as a tool.
type tool struct {
	translate.Entry
	identity string // method and path
	plan     *plan
	page     paging
	source   schema.Full // what the output schema is made of, until it is published
}

// build makes all tools that configuration keeps.
func (b *builder) build() []*tool {
	all := b.description.operations()
	b.reportRepeated(all)
	kept := b.spec.Choose(b.upstream, candidates(all), func(format string, args ...any) {
		b.description.warn(site{doc: b.description.main}, format, args...)
	})
	tools := make([]*tool, 0, len(kept))
	for i, k := range kept {
		all[k.Index].change = k.Change
		if t := b.tool(all[k.Index], k.Name); t != nil {
			tools = append(tools, t)
		}
		collect(i, len(kept))
	}
	for _, dir := range [...]direction{request, reply} {
		for _, name := range b.converter.defs[dir].OpenCycles() {
			b.description.warn(site{doc: b.description.main}, "schema %q refers to itself without a step in between; it takes any value there", name)
		}
	}
	for i, t := range tools {
		collect(i, len(tools))
		if t.source.Root != nil {
			t.Output.Publish(t.source)
			t.source = schema.Full{}
		}
		t.Publish(b.spec.SchemaBytes)
	}
	return tools
}

// collectEvery is after how many tools of a large API the garbage of the way is collected. The tree of a description is large and stays until the
// end, so the collector on its own would let as much garbage pile up beside it.
const collectEvery = 200

func collect(i, of int) {
	if every := max(collectEvery, of/10); i%every == every-1 {
		runtime.GC()
	}
}

func candidates(all []*operation) []translate.Candidate {
	out := make([]translate.Candidate, len(all))
	for i, o := range all {
		out[i] = translate.Candidate{Wanted: translate.Wanted{Name: o.toolName(), Identity: o.identity}, Key: o.id, Outdated: o.outdated, Match: o.matches}
	}
	return out
}

// matches compares a word of a pattern: behind tag: stands a tag, one that starts with / is a path, and the name of a method is one, in capitals
// where it stands alone. A tag with spaces is written with ? for them.
func (o *operation) matches(word string, alone bool) (matches, known bool) {
	tag, isTag := strings.CutPrefix(word, "tag:")
	switch {
	case isTag:
		return slices.ContainsFunc(o.tags, catalog.Glob(tag).Match), true
	case strings.HasPrefix(word, "/"):
		return catalog.Glob(word).Match(strings.TrimPrefix(o.identity, o.method+" ")), true
	case slices.Contains(methods(), strings.ToLower(word)) && (!alone || word == strings.ToUpper(word)):
		return strings.EqualFold(word, o.method), true
	}
	return false, false
}

// reportRepeated warns about operationIds that stand there twice.
func (b *builder) reportRepeated(all []*operation) {
	first := make(map[string]*operation, len(all))
	for _, o := range all {
		if o.id == "" {
			continue
		}
		if f, twice := first[o.id]; twice {
			b.description.warn(o.at.member("operationId"), "operationId %q is that of %s too; both names get a hash", o.id, f.identity)
			continue
		}
		first[o.id] = o
	}
}

// tool makes the tool of one operation, nil when it cannot be one.
func (b *builder) tool(o *operation, name string) (t *tool) {
	b.description.current = o.identity
	defer func() {
		b.description.current = ""
		if fault := recover(); fault != nil {
			b.description.record(o.at, true, "the operation is left out: %v", fault)
			t = nil
		}
	}()
	p := &plan{method: o.method, template: parseTemplate(o.path)}
	p.arguments = b.arguments(o, p)
	p.arguments = b.usable(o, p.arguments)
	in := b.curate(o, p, name)
	p.security = b.alternatives(o)
	s, err := b.serverOf(o)
	if err != nil {
		b.description.warn(o.at, "calls will fail: %v", err)
	}
	p.server = s
	t = &tool{identity: o.identity, plan: p, Entry: b.spec.Entry(name, cmp.Or(o.id, o.identity), o.change)}
	t.Input = in
	t.Annotations = hintsOf(o, o.change.Hints)
	t.page = pagingOf(p.arguments)
	t.Output.Fewer = t.page.limit
	b.reply(o, t)
	if t.Annotations.ReadOnly && t.source.Root != nil {
		t.Output.Select(t.Input.Full)
	}
	b.offerPages(o, t)
	b.say(o, t)
	return t
}

// usable drops arguments that could do harm: headers that belong to the connection, and places that a configured credential fills.
func (b *builder) usable(o *operation, all []argument) []argument {
	return slices.DeleteFunc(all, func(a argument) bool {
		switch {
		case a.place == inHeader && reservedHeader(a.wire):
			b.description.warn(o.at, "header %q cannot be an argument", a.wire)
			return true
		case a.place == inHeader && !token(a.wire):
			b.description.warn(o.at, "header %q is no header name", a.wire)
			return true
		}
		return b.isCredential(a)
	})
}

// token reports whether s is an HTTP token (RFC 9110 section 5.6.2).
func token(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if !isUnreserved(c) && strings.IndexByte("!#$%&'*+^`|", c) < 0 {
			return false
		}
	}
	return true
}

// reservedHeader reports whether a header belongs to the connection or to this hop.
func reservedHeader(name string) bool {
	switch strings.ToLower(name) {
	case "host", "content-length", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "cookie", "accept-encoding",
		"content-encoding", "expect", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip":
		return true
	}
	return strings.HasPrefix(strings.ToLower(name), "proxy-")
}

// reply finds the schema of a successful JSON response and whether it has to be wrapped: structuredContent is an object.
func (b *builder) reply(o *operation, t *tool) {
	var accept, schemas []*schema.Value
	for _, r := range o.responses {
		if !strings.HasPrefix(r.status, "2") {
			continue
		}
		for _, m := range r.media {
			if name := schema.Text(m.name); !slices.ContainsFunc(accept, name.Equal) {
				accept = append(accept, name)
			}
			if kindOf(m.name) != mediaJSON || m.schema.value == nil {
				continue
			}
			if v := b.converter.convert(m.schema, reply); !slices.ContainsFunc(schemas, v.Equal) {
				schemas = append(schemas, v)
			}
			break
		}
	}
	t.plan.accept = acceptHeader(accept)
	if len(schemas) == 0 {
		return
	}
	root := schemas[0]
	if len(schemas) > 1 {
		root = schema.Map(schema.Member{Key: "anyOf", Value: schema.List(schemas...)})
	}
	types := b.converter.defs[reply].Types(root)
	t.Output.Wrapped = len(types) != 1 || types[0] != "object"
	if t.Output.Wrapped {
		root = schema.Map(
			schema.Member{Key: "type", Value: schema.Text("object")},
			schema.Member{Key: "properties", Value: schema.Map(schema.Member{Key: "result", Value: root})},
		)
	}
	if len(t.Output.Shape.Fields) == 0 && t.Output.Shape.Path == "" {
		t.source = b.converter.full(root, reply)
	}
}

// acceptHeader lists the media types that the description has, JSON first.
func acceptHeader(list []*schema.Value) string {
	if len(list) == 0 {
		return "application/json, */*;q=0.5"
	}
	names := make([]string, 0, len(list))
	for _, v := range list {
		if !strings.ContainsFunc(v.Text, isControl) {
			names = append(names, v.Text)
		}
	}
	slices.SortStableFunc(names, func(x, y string) int { return int(kindOf(x)) - int(kindOf(y)) })
	return fmt.Sprintf("%s, */*;q=0.1", strings.Join(names, ", "))
}
