package openapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"weir/translate"
	"weir/translate/schema"
)

const (
	// pagesArgument is the argument with which a model asks for the pages that follow the first one, too.
	pagesArgument = "all_pages"
	// defaultPages bounds how many pages one call reads.
	defaultPages = 10
)

// offerPages gives a tool that reads page by page the argument for more than one of them, unless one of that name is there.
func (b *builder) offerPages(o *operation, t *tool) {
	most := b.spec.MaxPages
	if most == 0 {
		most = defaultPages
	}
	paged := t.page.cursor != "" || t.page.page != "" || t.page.offset != "" ||
		slices.ContainsFunc(o.responses, func(r response) bool { return r.links && r.status[0] == '2' })
	properties := t.Input.Full.Root.Get("properties")
	if !t.Annotations.ReadOnly || !paged || most <= 1 || properties.Get(pagesArgument) != nil {
		return
	}
	t.page.most = most
	properties.Put(pagesArgument, schema.Map(
		schema.Member{Key: "type", Value: schema.Text("boolean")},
		schema.Member{Key: "description", Value: schema.Text(fmt.Sprintf("read the pages that follow too, at most %d", most))},
	))
}

// pages are the pages of one result that were read so far.
type pages struct {
	list     []string        // the way to the list in each of them; none for pages that are lists
	elements []schema.Member // of all lists
	last     *schema.Value   // the last page
	count    int
	read     int64           // bytes that came
	kept     int             // bytes of what the caller asked for
	asked    map[string]bool // the requests that were sent
	on       onward          // from the last page
	given    *schema.Value   // the arguments of the caller
}

// follow reads what follows the first page, within bounds on pages, bytes and time. Only requests of the same operation are made: its arguments stay
// as they were checked, but for those that say which page. It returns the pages as one value and says whether that is all.
func (x *exchange) follow(ctx context.Context, first *schema.Value, size int, on onward) (*schema.Value, string) {
	list, ok := listIn(first)
	if !ok {
		return first, "The pages were not read together: it cannot be told which list goes on. " + on.String()
	}
	p := &pages{
		list: list, elements: follow(first, list).Members, last: first, count: 1, read: int64(size), kept: x.size(first),
		asked: map[string]bool{x.out.key(): true}, on: on, given: x.args,
	}
	why := ""
	for p.on.more && why == "" {
		switch {
		case p.count == x.tool.page.most:
			why = fmt.Sprintf("one call reads %d pages at most", p.count)
		case p.kept >= x.tool.Output.Bound():
			why = "the result is as large as results may be"
		case p.read >= x.api.spec.BodyLimit():
			why = "the API sent " + translate.Bytes(int(p.read))
		default:
			why = x.turn(ctx, p)
		}
	}
	whole := replaced(p.last, p.list, &schema.Value{Kind: schema.Array, Members: p.elements})
	if why == "" {
		return whole, fmt.Sprintf("These are all %d pages.", p.count)
	}
	return whole, fmt.Sprintf("These are the first %d pages; then reading stopped: %s. %s", p.count, why, p.on)
}

// turn reads the next page. It returns why that was not done, "" when it was.
func (x *exchange) turn(ctx context.Context, p *pages) string {
	out, args, err := x.onto(ctx, p.on, p.given)
	if err != nil {
		return err.Error()
	}
	if p.asked[out.key()] {
		return "the API leads back to a page that was read"
	}
	p.asked[out.key()] = true
	response, failure := x.fetch(ctx, out)
	switch {
	case failure != nil && ctx.Err() != nil:
		return fmt.Sprintf("the time of %s is over", x.timeout)
	case failure != nil:
		return "the API did not answer for the next one"
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Sprintf("the API answered %d %s for the next one", response.StatusCode, http.StatusText(response.StatusCode))
	}
	data, cut := x.body(ctx, response)
	page, err := schema.Parse(data)
	if cut != "" || err != nil || !follow(page, p.list).Is(schema.Array) {
		if ctx.Err() != nil {
			return fmt.Sprintf("the time of %s is over", x.timeout)
		}
		return "the answer for the next one is no such page"
	}
	size := x.size(page)
	if p.kept+size > x.tool.Output.Bound() { // cutting it later would lose what lies between it and the page after
		return "the result would be larger than " + translate.Bytes(x.tool.Output.Bound())
	}
	x.args = args
	p.elements = append(slices.Clip(p.elements), follow(page, p.list).Members...)
	p.last, p.count, p.read, p.kept, p.on = page, p.count+1, p.read+int64(len(data)), p.kept+size, x.next(response, page)
	return ""
}

// onto is the request for the next page, and its arguments. What the caller gave stays, but for what says which page.
func (x *exchange) onto(ctx context.Context, on onward, given *schema.Value) (*outgoing, *schema.Value, error) {
	if len(on.args) == 0 {
		if !x.beside(on.link) {
			return nil, nil, errors.New("no argument of the tool leads to the next one")
		}
		return &outgoing{method: x.out.method, url: on.link, header: x.out.header}, x.args, nil
	}
	args := schema.Map(slices.Clone(x.args.Members)...)
	for _, m := range on.args {
		if given.Get(m.Key) != nil && !x.tool.page.moves(m.Key) {
			return nil, nil, fmt.Errorf("the API has another `%s` for the next one", m.Key)
		}
		args.Put(m.Key, m.Value)
	}
	out, err := x.tool.plan.outgoing(ctx, x.call.Reader, args, x.api.spec.Arrays)
	return out, args, err
}

// beside reports whether an address that the API gave is the same operation with the same arguments. No argument differs that a model could set; here,
// neither does one that configuration has fixed.
func (x *exchange) beside(link *url.URL) bool {
	sent := x.out.url
	if link == nil || x.out.method != http.MethodGet || link.Scheme != sent.Scheme || link.Host != sent.Host || link.User != nil ||
		link.EscapedPath() != sent.EscapedPath() {
		return false
	}
	asked, there := sent.Query(), link.Query()
	return !slices.ContainsFunc(x.tool.plan.arguments, func(a argument) bool {
		return a.place == inQuery && there.Has(a.wire) && !slices.Equal(there[a.wire], asked[a.wire])
	})
}

// size is how many bytes of text a page comes to.
func (x *exchange) size(page *schema.Value) int {
	return len(x.tool.Output.Pick(page, x.args).Append(nil))
}

// listIn is the way to the list that goes on from page to page: the page itself, its one list, the one with a usual name, or the only one below
// its members.
func listIn(page *schema.Value) (path []string, ok bool) {
	if page.Kind == schema.Array {
		return nil, true
	}
	own := listsOf(page)
	if len(own) == 1 {
		return own, true
	}
	for _, name := range [...]string{"data", "items", "results", "value", "values", "entries", "records"} {
		if slices.Contains(own, name) {
			return []string{name}, true
		}
	}
	for _, m := range page.Members {
		if inner := listsOf(m.Value); len(own) == 0 && len(inner) == 1 {
			if path != nil {
				return nil, false
			}
			path = []string{m.Key, inner[0]}
		}
	}
	return path, path != nil
}

func listsOf(v *schema.Value) []string {
	var names []string
	for _, m := range members(v) {
		if m.Value.Kind == schema.Array {
			names = append(names, m.Key)
		}
	}
	return names
}

// replaced is v with another value where path leads.
func replaced(v *schema.Value, path []string, by *schema.Value) *schema.Value {
	if len(path) == 0 {
		return by
	}
	out := schema.Map(slices.Clone(v.Members)...)
	out.Put(path[0], replaced(v.Get(path[0]), path[1:], by))
	return out
}
