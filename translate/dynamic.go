package translate

import (
	"context"
	"strings"
	"sync"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate/schema"
)

// Operation is one of many operations behind [Dynamic].
type Operation struct {
	Document
	Hints  string // letters: r reads only, d may destroy, i may be repeated
	Pinned bool   // listed as a tool of its own too
}

// DynamicOptions are what [Dynamic] asks its API for.
type DynamicOptions struct {
	// Describe writes the input schema of an operation, or of the argument that path leads to, in about budget bytes; false when there is none.
	Describe func(name string, path []string, budget int) ([]byte, bool)
	// Call runs an operation with raw arguments.
	Call func(ctx context.Context, c *catalog.Call, name string, arguments []byte) (*Result, error)
}

// Dynamic is three tools that stand for many: search finds operations, describe tells their arguments, call runs one. What a caller may not
// call it cannot find either: such an operation looks like one that is not there.
type Dynamic struct {
	search, describe, call string // names of the tools
	operations             []Operation
	byName                 map[string]int
	index                  func() *Index // made when the first question comes
	options                DynamicOptions
}

const (
	searchHits    = 5
	searchBytes   = 2 << 10
	describeBytes = 16 << 10
	describeMost  = 3
)

// NewDynamic makes the three tools for an API called api.
func NewDynamic(api string, operations []Operation, o DynamicOptions) *Dynamic {
	suffix := "_" + strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, api)
	d := &Dynamic{
		search: "search" + suffix, describe: "describe" + suffix, call: "call" + suffix,
		operations: operations, byName: make(map[string]int, len(operations)), options: o,
	}
	documents := make([]Document, len(operations))
	for i := range operations {
		documents[i] = operations[i].Document
		d.byName[operations[i].Name] = i
	}
	d.index = sync.OnceValue(func() *Index { return NewIndex(documents) })
	return d
}

// Has reports whether name is one of the three tools.
func (d *Dynamic) Has(name string) bool {
	return name == d.search || name == d.describe || name == d.call
}

// Pinned reports whether an operation is listed too.
func (d *Dynamic) Pinned(name string) bool {
	i, ok := d.byName[name]
	return ok && d.operations[i].Pinned
}

// Doors are the three tools for [catalog.Source.Doors].
func (d *Dynamic) Doors() map[string]func([]byte) (string, []byte, bool) {
	return map[string]func([]byte) (string, []byte, bool){d.search: nil, d.describe: nil, d.call: target}
}

// target returns the operation that a call of the call tool is about, and its arguments.
func target(arguments []byte) (name string, inner []byte, ok bool) {
	fields, err := rawjson.Fields(arguments, "name", "arguments")
	if err != nil {
		return "", nil, false
	}
	name, ok = rawjson.String(fields[0].Of(arguments))
	return name, fields[1].Of(arguments), ok
}

// Items are the raw tools.
func (d *Dynamic) Items() [][]byte {
	about := "an API with " + schema.Int(len(d.operations)).Text + " operations"
	item := func(name, description, properties, required, hints string) []byte {
		out := append([]byte(`{"name":`), rawjson.AppendString(nil, name)...)
		out = append(out, `,"description":`...)
		out = rawjson.AppendString(out, description)
		out = append(out, `,"inputSchema":{"type":"object","properties":{`+properties+`},"required":[`+required+`],"additionalProperties":false}`...)
		return append(out, `,"annotations":`+hints+`}`...)
	}
	const reads = `{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}`
	const calls = `{"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true}`
	return [][]byte{
		item(d.search, "Finds operations of "+about+" for a plain question. Answers the best matches with their required arguments (r: only reads, d: may destroy, i: may be repeated). Describe an operation before you call it.",
			`"query":{"type":"string","description":"what should be done, in plain words"}`, `"query"`, reads),
		item(d.describe, "Gives the description and the arguments of up to three operations.",
			`"names":{"type":"array","items":{"type":"string"},"maxItems":3,"description":"names that the search found"},"path":{"type":"string","description":"an argument to see in more detail, e.g. body.items"}`, `"names"`, reads),
		item(d.call, "Calls one operation.",
			`"name":{"type":"string","description":"a name that the search found"},"arguments":{"type":"object","description":"as described"}`, `"name"`, calls),
	}
}

// Call runs one of the three tools.
func (d *Dynamic) Call(ctx context.Context, c *catalog.Call, tool string, raw []byte) (*Result, error) {
	args, err := schema.Parse(raw)
	if err != nil || !args.Is(schema.Object) || rawjson.UniqueKeys(raw) != nil {
		return Failure(tool + ": the arguments are no JSON object with unique keys."), nil //nolint:nilerr // the result says it
	}
	switch tool {
	case d.search:
		return d.find(c, args), nil
	case d.describe:
		return d.tell(c, args), nil
	}
	name, inner, ok := target(raw)
	if !ok {
		return Failure(tool + ": `name` is missing: the name of an operation (text)."), nil
	}
	if !d.sees(c, name) {
		return Failure(d.unknown(c, name)), nil
	}
	return d.options.Call(ctx, c, name, inner)
}

// sees reports whether the caller may know of an operation.
func (d *Dynamic) sees(c *catalog.Call, name string) bool {
	_, ok := d.byName[name]
	return ok && (c.Sees == nil || c.Sees(name))
}

// unknown is the answer for a name that is not there, or not for this caller.
func (d *Dynamic) unknown(c *catalog.Call, name string) string {
	text := "There is no operation " + rawText(name) + "."
	if hits := d.hits(c, name, 3); len(hits) > 0 {
		var names []string
		for _, i := range hits {
			names = append(names, d.operations[i].Name)
		}
		text += " Similar: " + strings.Join(names, ", ") + "."
	}
	return text + " Use " + d.search + " to find one."
}

func rawText(s string) string { return string(rawjson.AppendString(nil, schema.Shorten(s, 100))) }

func (d *Dynamic) hits(c *catalog.Call, query string, limit int) []int {
	return d.index().Search(query, limit, func(i int) bool { return d.sees(c, d.operations[i].Name) })
}

// find answers a search.
func (d *Dynamic) find(c *catalog.Call, args *schema.Value) *Result {
	query := args.GetText("query")
	if query == "" {
		return Failure(d.search + ": `query` is missing: what should be done, in plain words (text).")
	}
	hits := d.hits(c, schema.Shorten(query, 500), searchHits)
	if len(hits) == 0 {
		r := &Result{}
		r.AddText("Nothing was found. Try other words: the name of the thing and what to do with it.")
		return r
	}
	var b strings.Builder
	for _, i := range hits {
		o := &d.operations[i]
		line := o.Name
		if len(o.Required) > 0 {
			line += "(" + strings.Join(o.Required, ", ") + ")"
		}
		if o.Hints != "" {
			line += " [" + o.Hints + "]"
		}
		if o.Outdated {
			line += " deprecated"
		}
		line += ": " + schema.Shorten(o.Summary, 140)
		if b.Len()+len(line) > searchBytes {
			break
		}
		b.WriteString(line + "\n")
	}
	r := &Result{}
	r.AddText(strings.TrimSuffix(b.String(), "\n"))
	return r
}

// tell answers a description.
func (d *Dynamic) tell(c *catalog.Call, args *schema.Value) *Result {
	names := args.Get("names").Strings()
	if name := args.Get("names"); name.Is(schema.String) {
		names = []string{name.Text}
	}
	if len(names) == 0 {
		return Failure(d.describe + ": `names` is missing: one to three names that the search found (list of text).")
	}
	left := names[min(len(names), describeMost):]
	names = names[:len(names)-len(left)]
	var path []string
	if p := args.GetText("path"); p != "" {
		path = strings.Split(strings.ReplaceAll(strings.ReplaceAll(p, "[", "."), "]", ""), ".")
	}
	r := &Result{}
	for _, name := range names {
		if !d.sees(c, name) {
			r.AddText(d.unknown(c, name))
			r.Fail()
			continue
		}
		published, ok := d.options.Describe(name, path, describeBytes/len(names)-300)
		if !ok {
			r.AddText(rawText(name) + " has no argument " + rawText(args.GetText("path")) + ".")
			r.Fail()
			continue
		}
		o := &d.operations[d.byName[name]]
		r.AddText(name + ": " + schema.Shorten(joinWords(o.Summary, o.Text), 600) + "\nArguments: " + string(published))
	}
	if len(left) > 0 {
		r.AddText("At most three are described at once; ask again for " + schema.Shorten(strings.Join(left, ", "), 300) + ".")
	}
	return r
}
