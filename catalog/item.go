package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"weir/catalog/rawjson"
)

// maxIdentifier bounds the names, URIs and URI templates that upstreams may list, in bytes. RFC 9110 section 4.1 asks for
// 8000 as the least that URI readers take.
const maxIdentifier = 8192

// item is a listed item on its way to becoming an entry.
type item struct {
	entry    *Entry
	origin   *origin
	position int          // in the upstream's list, from 1
	raw      []byte       // as listed
	name     rawjson.Span // the identifying string in raw
	// links are the URIs of the tool's user interface in raw.
	links []link
	// repairs make the tool's inputSchema one that clients read; dropped are the members that they could not.
	repairs []rawjson.Edit
	dropped []string
	// untyped says that legacy revisions cannot express the tool's outputSchema.
	untyped bool
	// template is set for resource templates.
	template *template
	// moved says that the public URI is not the upstream's.
	moved bool
}

// link is a URI in a raw item that must follow when the URI becomes another.
type link struct {
	span rawjson.Span
	uri  string
}

// read makes an item of raw, or says why it cannot be served. name is what the upstream calls it, as far as that can be told.
func read(o *origin, kind Kind, position int, raw []byte) (it *item, name, fault string) {
	fields, err := rawjson.Fields(raw, kind.members()...)
	if err != nil {
		if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 && trimmed[0] != '{' && rawjson.Valid(raw) == nil {
			return nil, "", "it is not an object"
		}
		return nil, "", err.Error()
	}
	if kind == Tool && o.source.Legacy && taskRequired(fields[4].Of(raw)) {
		it, name, fault = read(o, kind, position, rawjson.AppendObject(nil, raw, func(key []byte) bool { return string(key) == "execution" }))
		if it != nil {
			it.entry.OnlyTask = true
		}
		return it, name, fault
	}
	key := kind.members()[0]
	name, fault = identifier(key, fields[0].Of(raw))
	if fault != "" {
		return nil, name, fault
	}
	it = &item{
		entry:    &Entry{Kind: kind, Ref: Ref{o.name, name}, Name: name},
		origin:   o,
		position: position,
		raw:      slices.Clip(raw),
		name:     fields[0],
	}
	if kind == Tool {
		it.entry.schemas = o.source.Schemas
		fault = it.readTool(fields)
	}
	if kind == Template {
		it.template, fault = parseTemplate(name)
	}
	if kind == Template || kind == Resource {
		if _, ok := rawjson.String(fields[1].Of(raw)); !ok && fault == "" {
			fault = "name is missing or not a string"
		}
	}
	if fault != "" {
		return nil, name, fault
	}
	return it, name, ""
}

// members are the members of an item of kind that are read; the first is the identifying string.
func (k Kind) members() []string {
	switch k {
	case Tool:
		return []string{"name", "inputSchema", "outputSchema", "_meta", "execution", "title", "description", "annotations", "icons"}
	case Prompt:
		return []string{"name"}
	case Resource:
		return []string{"uri", "name"}
	default:
		return []string{"uriTemplate", "name"}
	}
}

func identifier(key string, raw []byte) (name, fault string) {
	if raw == nil {
		return "", key + " is missing"
	}
	name, ok := rawjson.String(raw)
	switch {
	case !ok:
		return "", key + " is not a string"
	case name == "":
		return "", key + " is empty"
	case len(name) > maxIdentifier:
		return name, fmt.Sprintf("%s is longer than %d bytes", key, maxIdentifier)
	}
	return name, ""
}

// taskRequired reports whether a tool's execution says that it runs as a task alone (spec 2025-11-25, server/tools). weir offers no tasks of that
// revision, so clients must not read that, and runs the task itself.
func taskRequired(execution []byte) bool {
	fields, err := rawjson.Fields(execution, "taskSupport")
	if err != nil {
		return false
	}
	support, _ := rawjson.String(fields[0].Of(execution))
	return support == "required"
}

// readTool reads what is particular to tools; fields are the spans of its members.
func (it *item) readTool(fields []rawjson.Span) (fault string) {
	input, output, meta := fields[1].Of(it.raw), fields[2].Of(it.raw), fields[3]
	switch {
	case input == nil:
		return "inputSchema is missing"
	case input[0] != '{':
		return "inputSchema is not an object"
	}
	if fault = it.readShape(fields); fault != "" {
		return fault
	}
	it.untyped = output != nil && !describesObject(it.raw, fields[2])
	it.links = links(it.raw, meta)
	it.entry.Headers, it.entry.HeadersFault = headerParams(input)
	return ""
}

// describesObject reports whether the schema at span of raw says type: object at its root and is what revisions before 2026-07-28 ask of an outputSchema.
func describesObject(raw []byte, span rawjson.Span) bool {
	if span.Of(raw)[0] != '{' {
		return false
	}
	repairs, fault := repairSchema(raw, span)
	return fault == "" && len(repairs) == 0
}

// links finds the URIs of a tool's user interface in its _meta: ui.resourceUri and the older ui/resourceUri. A _meta that
// can be read two ways has none.
func links(raw []byte, meta rawjson.Span) []link {
	text := meta.Of(raw)
	if !bytes.Contains(text, []byte("resourceUri")) && !bytes.Contains(text, []byte(`\u`)) {
		return nil
	}
	var found []link
	add := func(s rawjson.Span, base int) {
		s.Start, s.End = s.Start+base, s.End+base
		if uri, ok := rawjson.String(raw[s.Start:s.End]); ok && uri != "" && len(uri) <= maxIdentifier {
			found = append(found, link{s, uri})
		}
	}
	fields, err := rawjson.Fields(text, "ui", "ui/resourceUri")
	if err != nil {
		return nil
	}
	if ui := fields[0]; !ui.Absent() {
		nested, err := rawjson.Fields(ui.Of(text), "resourceUri")
		if err == nil && !nested[0].Absent() {
			add(nested[0], meta.Start+ui.Start)
		}
	}
	if flat := fields[1]; !flat.Absent() {
		add(flat, meta.Start)
	}
	return found
}

// withheld is the Problem of an item that is left out; name may be empty.
func withheld(o *origin, kind Kind, position int, name, fault string) Problem {
	subject := "at position " + strconv.Itoa(position)
	if name != "" {
		subject = quote(name)
	}
	return Problem{
		Upstream: o.name, Kind: kind, Name: name, Withheld: true,
		Reason: fmt.Sprintf("%s: %s %s withheld: %s", o.name, kind, subject, fault),
	}
}

// quote returns s in quotes for people, cut when it is long. What upstreams and callers write must not spoil a terminal or a log.
func quote(s string) string {
	const most = 100
	if len(s) <= most {
		return strconv.Quote(s)
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strconv.Quote(s[:end] + "…")
}
