package openapi

import (
	"slices"
	"strconv"
	"strings"

	"weir/translate"
	"weir/translate/schema"
)

// operation is one method on one path, as it is described.
type operation struct {
	at       site
	method   string // in capitals
	path     string // the template without its fragment
	identity string // "POST /path#fragment": stable, and unique in a description
	id       string // operationId, may be empty or repeated
	name     string // x-mcp-name
	summary  string
	text     string // description
	tags     []string
	outdated bool

	parameters []parameter
	body       *body
	responses  []response
	servers    site // the list that holds for this operation
	security   site // the alternatives that hold for this operation

	change translate.Tool // what configuration says about it
}

// parameter is one parameter of the path, query, header or cookies.
type parameter struct {
	at       site
	name     string
	in       string
	style    string
	explode  bool
	reserved bool // allowReserved
	required bool
	outdated bool
	text     string
	schema   site   // zero when there is none
	media    string // of a parameter with content
}

// body is a request body.
type body struct {
	at       site
	required bool
	text     string
	media    []media
}

// media is a media type with the schema of its content.
type media struct {
	name     string
	schema   site
	encoding site
	items    bool // itemSchema: the schema is that of the items of a sequence
}

// response is what one status means.
type response struct {
	status string // "200", "2XX" or "default"
	text   string
	media  []media
	links  bool // whether a Link header is described
}

// methods are those that become tools. HEAD and OPTIONS tell a model nothing that GET does not; TRACE echoes credentials.
func methods() []string {
	return []string{"get", "put", "post", "delete", "patch", "query"}
}

// operations reads every operation, in the order of the description.
func (d *description) operations() []*operation {
	defer d.reportUnused()
	paths := site{doc: d.main, value: d.main.root}.member("paths")
	if !paths.is(schema.Object) {
		if d.main.root.Get("webhooks") == nil {
			d.warn(paths, "paths is missing or no object: there are no operations")
		}
		return nil
	}
	var all []*operation
	for i, m := range paths.value.Members {
		if strings.HasPrefix(m.Key, "x-") {
			continue
		}
		item := paths.nth(i)
		if strings.Count(m.Key, "{") > maxParameters {
			d.record(item, true, "the path is left out: it has more than %d parameters", maxParameters)
			continue
		}
		if !strings.HasPrefix(m.Key, "/") {
			d.warn(item, "the path does not start with /; one is put in front")
		}
		all = d.pathItem(all, m.Key, item)
	}
	return all
}

// reportUnused says what a description has that no tool can be: calls in the other direction, and links between operations.
func (d *description) reportUnused() {
	var parts []string
	n := 0
	for _, x := range [...]struct {
		count int
		name  string
	}{{len(d.main.root.Object("webhooks")), "webhook"}, {d.callbacks, "callback"}, {d.links, "link"}} {
		if n += x.count; x.count == 1 {
			parts = append(parts, "1 "+x.name)
		} else if x.count > 1 {
			parts = append(parts, strconv.Itoa(x.count)+" "+x.name+"s")
		}
	}
	d.callbacks, d.links = 0, 0
	if n == 0 {
		return
	}
	text, verb := parts[len(parts)-1], "are"
	if len(parts) > 1 {
		text = strings.Join(parts[:len(parts)-1], ", ") + " and " + text
	}
	if n == 1 {
		verb = "is"
	}
	d.warn(site{doc: d.main}, "%s %s not used", text, verb)
}

// pathItem adds the operations of one path.
func (d *description) pathItem(all []*operation, key string, item site) []*operation {
	followed, err := d.follow(item)
	if err != nil {
		d.record(item, true, "the path is left out: %v", err)
		return all
	}
	if !followed.is(schema.Object) {
		d.record(followed, true, "the path is left out: it is no object")
		return all
	}
	for _, method := range methods() {
		if at := followed.member(method); at.value != nil {
			all = d.add(all, key, strings.ToUpper(method), followed, at)
		}
	}
	more := followed.member("additionalOperations")
	for _, m := range followed.value.Object("additionalOperations") {
		if strings.EqualFold(m.Key, "TRACE") || strings.EqualFold(m.Key, "CONNECT") || !token(m.Key) {
			d.record(more.member(m.Key), true, "the method is not sent")
			continue
		}
		all = d.add(all, key, m.Key, followed, more.member(m.Key))
	}
	return all
}

func (d *description) add(all []*operation, key, method string, item, at site) []*operation {
	if !at.is(schema.Object) {
		d.record(at, true, "the operation is left out: it is no object")
		return all
	}
	if len(all) == maxOperations {
		d.record(site{doc: d.main, pointer: "/paths"}, true, "operations beyond the first %d are left out", maxOperations)
		return all
	}
	d.current = method + " " + key
	defer func() {
		d.current = ""
		if fault := recover(); fault != nil {
			d.record(at, true, "the operation is left out: %v", fault)
		}
	}()
	op := d.operation(key, method, item, at)
	return append(all, op)
}

// operation reads one operation; item is what it shares with the others of its path.
func (d *description) operation(key, method string, item, at site) *operation {
	o := &operation{at: at, method: method, identity: method + " " + key}
	o.path, _, _ = strings.Cut(key, "#")
	if !strings.HasPrefix(o.path, "/") {
		o.path = "/" + o.path
	}
	o.id = strings.TrimSpace(at.value.GetText("operationId"))
	if v := at.value.Get("operationId"); v != nil && !v.Is(schema.String) {
		d.warn(at.member("operationId"), "it is no text and is not used")
	}
	o.name = at.value.GetText("x-mcp-name")
	o.summary = schema.Clean(at.value.GetText("summary"))
	if o.summary == "" {
		o.summary = schema.Clean(item.value.GetText("summary"))
	}
	o.text = schema.Clean(at.value.GetText("description"))
	o.tags = at.value.Get("tags").Strings()
	o.outdated = at.value.True("deprecated")
	d.parameters(o, item, at)
	if d.main.dialect != swagger2 {
		o.body = d.requestBody(at.member("requestBody"))
	}
	d.pathParameters(o)
	o.responses = d.responses(at)
	d.callbacks += len(at.value.Object("callbacks"))
	o.servers = d.nearest("servers", at, item)
	o.security = d.nearest("security", at)
	return o
}

// nearest is the first array that is a member of the places given, or of the document.
func (d *description) nearest(key string, places ...site) site {
	for _, p := range append(slices.Clip(places), site{doc: d.main, value: d.main.root}) {
		m := p.member(key)
		if m.is(schema.Array) {
			return m
		}
		if m.value != nil {
			d.warn(m, "%s is no %s and is not used", key, schema.Array)
		}
	}
	return site{}
}

// parameters reads those of the path and those of the operation, which come before them.
func (d *description) parameters(o *operation, item, at site) {
	var formData []site
	for _, list := range []site{at.member("parameters"), item.member("parameters")} {
		if list.value == nil {
			continue
		}
		if !list.is(schema.Array) {
			d.warn(list, "parameters is no list and is not used")
			continue
		}
		for i := range d.first(list, maxParameters) {
			d.oneParameter(o, list.element(i), &formData)
		}
	}
	if len(formData) > 0 && o.body == nil {
		o.body = d.formBody(formData, at)
	}
}

func (d *description) oneParameter(o *operation, listed site, formData *[]site) {
	p, err := d.follow(listed)
	if err != nil || !p.is(schema.Object) {
		d.warn(listed, "the parameter is left out: %s", reason(err, "it is no object"))
		return
	}
	name, in := p.value.GetText("name"), strings.ToLower(p.value.GetText("in"))
	switch in {
	case "body":
		if o.body == nil {
			o.body = d.bodyParameter(p, o.at)
		}
		return
	case "formdata":
		if !slices.ContainsFunc(*formData, func(s site) bool { return s.value.GetText("name") == name }) {
			*formData = append(*formData, p)
		}
		return
	case "path", "query", "header", "cookie", "querystring":
	default:
		d.warn(p, "the parameter is left out: in is %q", in)
		return
	}
	if name == "" {
		d.warn(p, "the parameter is left out: it has no name")
		return
	}
	if in == "header" && ignoredHeader(name) {
		return
	}
	if slices.ContainsFunc(o.parameters, func(q parameter) bool { return q.name == name && q.in == in }) {
		return // the operation's own, or the first of two, holds
	}
	if strings.ContainsFunc(name, isControl) {
		d.warn(p, "the parameter is left out: its name has control characters")
		return
	}
	o.parameters = append(o.parameters, d.parameter(p, name, in))
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func reason(err error, otherwise string) string {
	if err != nil {
		return err.Error()
	}
	return otherwise
}

// ignoredHeader reports whether the specification says that a header parameter of this name means nothing.
func ignoredHeader(name string) bool {
	return strings.EqualFold(name, "Accept") || strings.EqualFold(name, "Content-Type") || strings.EqualFold(name, "Authorization")
}

func (d *description) parameter(at site, name, in string) parameter {
	v := at.value
	p := parameter{
		at: at, name: name, in: in, text: schema.Clean(v.GetText("description")), outdated: v.True("deprecated"),
		required: v.True("required") || in == "path", reserved: v.True("allowReserved"), style: v.GetText("style"),
	}
	if in == "path" && !v.True("required") {
		d.warn(at, "a path parameter is always required")
	}
	if d.main.dialect == swagger2 {
		d.collection(&p)
		return p
	}
	d.style(&p)
	p.schema = at.member("schema")
	if content := at.member("content"); content.is(schema.Object) && len(content.value.Members) > 0 {
		p.media = content.value.Members[0].Key
		p.schema = content.member(p.media).member("schema")
	}
	if p.schema.value == nil {
		if v.Get("type") != nil { // a 2.0 parameter in a 3.x description
			p.schema = parameterSchema(at)
		} else {
			d.warn(at, "the parameter has no schema; any text is taken")
			p.schema = site{}
		}
	}
	return p
}

// style fills in the default style and refuses those that the place does not know (OpenAPI 3.1, section 4.8.12.2).
func (d *description) style(p *parameter) {
	known := map[string][]string{
		"path": {"simple", "label", "matrix"}, "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
		"header": {"simple"}, "cookie": {"form", "cookie"}, "querystring": {"form"},
	}[p.in]
	if p.style != "" && !slices.Contains(known, p.style) {
		d.warn(p.at.member("style"), "style %q is not one for a %s parameter; %s is used", p.style, p.in, known[0])
		p.style = ""
	}
	if p.style == "" {
		p.style = known[0]
	}
	p.explode = p.style == "form" || p.style == "cookie" || p.style == "deepObject"
	if e := p.at.value.Get("explode"); e.Is(schema.Bool) {
		p.explode = e.Text == "true"
	}
}

// pathParameters adds those that the template has and nobody describes, and drops those that the template lacks.
func (d *description) pathParameters(o *operation) {
	names := templateNames(o.path)
	o.parameters = slices.DeleteFunc(o.parameters, func(p parameter) bool {
		gone := p.in == "path" && !slices.Contains(names, p.name)
		if gone {
			d.warn(p.at, "the parameter is left out: the path has no {%s}", p.name)
		}
		return gone
	})
	for _, name := range names {
		if !slices.ContainsFunc(o.parameters, func(p parameter) bool { return p.in == "path" && p.name == name }) {
			d.warn(o.at, "{%s} in the path is not described; any text is taken", name)
			o.parameters = append(o.parameters, parameter{at: o.at, name: name, in: "path", style: "simple", required: true})
		}
	}
}
