package server

import (
	"cmp"
	"slices"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// terms turns what an upstream says into the caller's terms: URIs that are public under others (see catalog.Snapshot.PublicURI). It is used only for
// upstreams that have some.
type terms struct {
	snapshot *catalog.Snapshot
	upstream string
	data     []byte
	edits    []rawjson.Edit
}

// terms returns a translator for what an upstream said, nil when there is nothing to translate.
func (g *Gateway) terms(upstream string, data []byte) *terms {
	s := g.catalog.Snapshot()
	if !s.Moves(upstream) {
		return nil
	}
	return &terms{snapshot: s, upstream: upstream, data: data}
}

// result translates the result of a method: links and embedded resources of tools/call and prompts/get, the contents of resources/read, and
// what tasks/get has of a tool's result.
func (t *terms) result(method string, result rawjson.Span) {
	switch method {
	case "tools/call":
		t.each(t.field(result, "content"), t.block)
	case "prompts/get":
		t.each(t.field(result, "messages"), func(message rawjson.Span) { t.blocks(t.field(message, "content")) })
	case "resources/read":
		t.each(t.field(result, "contents"), func(content rawjson.Span) { t.uri(t.field(content, "uri")) })
	case "tasks/get":
		t.each(t.field(t.field(result, "result"), "content"), t.block)
	}
}

// blocks translates one content block or an array of them.
func (t *terms) blocks(at rawjson.Span) {
	if !at.Absent() && t.data[at.Start] == '[' {
		t.each(at, t.block)
		return
	}
	t.block(at)
}

// block translates a content block (spec, server/tools, resource_link and embedded resources).
func (t *terms) block(at rawjson.Span) {
	switch kind, _ := rawjson.String(t.field(at, "type").Of(t.data)); kind {
	case "resource_link":
		t.uri(t.field(at, "uri"))
	case "resource":
		t.uri(t.field(t.field(at, "resource"), "uri"))
	}
}

// uri translates one URI.
func (t *terms) uri(at rawjson.Span) {
	own, ok := rawjson.String(at.Of(t.data))
	if !ok {
		return
	}
	if public := t.snapshot.PublicURI(t.upstream, own); public != own {
		t.put(at, rawjson.AppendString(nil, public))
	}
}

func (t *terms) put(at rawjson.Span, with []byte) {
	t.edits = append(t.edits, rawjson.Edit{Span: at, With: with})
}

// field finds a member of the object at a place; absent when there is no such object or member.
func (t *terms) field(at rawjson.Span, name string) rawjson.Span {
	if at.Absent() {
		return at
	}
	f, err := rawjson.Fields(at.Of(t.data), name)
	if err != nil || f[0].Absent() {
		return rawjson.Span{}
	}
	return rawjson.Span{Start: at.Start + f[0].Start, End: at.Start + f[0].End}
}

// each calls f for the elements of the array at a place.
func (t *terms) each(at rawjson.Span, f func(rawjson.Span)) {
	if at.Absent() {
		return
	}
	_ = rawjson.Elements(at.Of(t.data), func(v rawjson.Span) bool { // what is no array has no elements
		f(rawjson.Span{Start: at.Start + v.Start, End: at.Start + v.End})
		return true
	})
}

// apply returns the translated bytes.
func (t *terms) apply() []byte {
	slices.SortFunc(t.edits, func(a, b rawjson.Edit) int { return cmp.Compare(a.Start, b.Start) })
	return rawjson.Splice(nil, t.data, rawjson.Span{End: len(t.data)}, t.edits...)
}

// inTerms returns an answer in the caller's terms: the same one where nothing has to change. taskID is how the caller knows the task that the
// answer is about, raw; nil when it is about none.
func (g *Gateway) inTerms(e *Event, a *catalog.Answer, taskID []byte) (*catalog.Answer, error) {
	m := a.Message
	if m.Kind != rawjson.Result {
		return a, nil
	}
	t := g.terms(e.Ref.Upstream, m.Data)
	if t == nil && taskID == nil {
		return a, nil
	}
	if t == nil {
		t = &terms{data: m.Data}
	} else {
		t.result(e.Method, m.Result)
	}
	if taskID != nil {
		if at := t.field(m.Result, "taskId"); !at.Absent() {
			t.put(at, taskID)
		}
	}
	if len(t.edits) == 0 {
		return a, nil
	}
	next := new(rawjson.Message)
	if err := rawjson.Scan(next, t.apply()); err != nil {
		a.Release()
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "internal error", Err: err}
	}
	return catalog.NewAnswer(next, a.Era, a.Release), nil
}
