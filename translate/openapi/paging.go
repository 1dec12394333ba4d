package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir/translate/schema"
)

// lessHint names the argument that makes an answer smaller.
func (p paging) lessHint() string {
	if p.limit != "" {
		return ", for example with a smaller `" + p.limit + "`"
	}
	return ""
}

// moves reports whether an argument says which page is asked for.
func (p paging) moves(name string) bool {
	return name != "" && (name == p.cursor || name == p.page || name == p.offset || name == p.limit)
}

// onward is the way from an answer to what follows it.
type onward struct {
	more bool
	args []schema.Member // the arguments that differ; nil when none leads there
	link *url.URL        // where the API says that it is; nil when it does not
}

// String says how to ask for what follows, "" when nothing does.
func (n onward) String() string {
	switch {
	case !n.more:
		return ""
	case len(n.args) > 0:
		parts := make([]string, len(n.args))
		for i, m := range n.args {
			text := schema.Shorten(scalarText(m.Value), 400)
			if m.Value.Kind == schema.String {
				text = strconv.Quote(text)
			}
			parts[i] = m.Key + "=" + text
		}
		return "There is more: call again with " + strings.Join(parts, ", ") + " and the same other arguments."
	case n.link != nil:
		return "There is more, but no argument of the tool leads to it."
	default:
		return "There is more."
	}
}

// next finds what follows an answer: from a Link header, a cursor in the answer, or a flag.
func (x *exchange) next(response *http.Response, body *schema.Value) onward {
	if !x.tool.Annotations.ReadOnly {
		return onward{}
	}
	for _, header := range response.Header.Values("Link") {
		if link := nextLink(header); link != "" {
			return x.fromLink(link)
		}
	}
	if body.Kind != schema.Object {
		return onward{}
	}
	for _, path := range [...][]string{
		{"next"},
		{"links", "next"},
		{"_links", "next", "href"},
		{"paging", "next"},
		{"pagination", "next_url"},
		{"next_page_uri"},
		{"next_url"},
		{"@odata.nextLink"},
		{"nextLink"},
		{"meta", "next"},
		{"next_page", "uri"},
	} {
		if s := scalarOf(follow(body, path)); strings.HasPrefix(s, "http") || strings.HasPrefix(s, "/") {
			return x.fromLink(s)
		}
	}
	if x.tool.page.cursor == "" {
		return x.fromFlag(body)
	}
	for _, path := range [...][]string{
		{"next_cursor"},
		{"nextCursor"},
		{"next_page_token"},
		{"nextPageToken"},
		{"NextToken"},
		{"nextToken"},
		{"response_metadata", "next_cursor"},
		{"meta", "next_cursor"},
		{"paging", "cursors", "after"},
		{"pagination", "next_cursor"},
		{"pageInfo", "endCursor"},
		{"metadata", "continue"},
		{"cursor", "next"},
		{"next_page", "offset"},
	} {
		s := follow(body, path)
		if s == nil || len(s.Members) > 0 || scalarText(s) == "" || path[0] == "pageInfo" && !body.Get("pageInfo").True("hasNextPage") {
			continue
		}
		return x.moreWith(x.tool.page.cursor, scalarText(s))
	}
	return x.fromFlag(body)
}

func follow(v *schema.Value, path []string) *schema.Value {
	for _, step := range path {
		v = v.Get(step)
	}
	return v
}

// fromFlag handles answers that only say that there is more.
func (x *exchange) fromFlag(body *schema.Value) onward {
	if !body.True("has_more") && !body.True("hasMore") {
		return onward{}
	}
	p := x.tool.page
	if list := body.Array("data"); p.cursor != "" && len(list) > 0 {
		if last := list[len(list)-1].Value.Get("id"); last != nil {
			return x.moreWith(p.cursor, scalarText(last))
		}
	}
	if p.page != "" {
		return x.moreWith(p.page, strconv.Itoa(x.number(p.page, 1)+1))
	}
	if at, ok := listIn(body); ok && p.offset != "" && len(follow(body, at).Members) > 0 {
		return x.moreWith(p.offset, strconv.Itoa(x.number(p.offset, 0)+len(follow(body, at).Members)))
	}
	return onward{more: true}
}

// number is the value of an argument, or what stands for one that is absent.
func (x *exchange) number(argument string, absent int) int {
	if n, err := strconv.Atoi(scalarText(x.args.Get(argument))); err == nil {
		return n
	}
	return absent
}

// moreWith is the way on by one argument.
func (x *exchange) moreWith(name, text string) onward {
	i := slices.IndexFunc(x.tool.plan.arguments, func(a argument) bool { return a.Name == name })
	return onward{more: true, args: []schema.Member{{Key: name, Value: x.typed(&x.tool.plan.arguments[i], text)}}}
}

// typed is a text as a value that an argument takes.
func (x *exchange) typed(a *argument, text string) *schema.Value {
	if !x.tool.Input.Full.Defs.Allows(a.Schema, "string") {
		if v, err := schema.Parse([]byte(text)); err == nil && len(v.Members) == 0 {
			return v
		}
	}
	return schema.Text(text)
}

// nextLink is the target of rel="next" in a Link header (RFC 8288).
func nextLink(header string) string {
	for link := range strings.SplitSeq(header, ",") {
		target, params, ok := strings.Cut(link, ">")
		if !ok {
			continue
		}
		lower := strings.ToLower(params)
		if strings.Contains(lower, `rel="next"`) || strings.Contains(lower, "rel=next") {
			_, target, _ = strings.Cut(target, "<")
			return target
		}
	}
	return ""
}

// fromLink turns the address of the next page into the arguments that differ.
func (x *exchange) fromLink(link string) onward {
	u, err := x.out.url.Parse(link)
	if err != nil {
		return onward{}
	}
	u.Fragment = ""
	n := onward{more: true, link: u}
	asked, values := x.out.url.Query(), u.Query()
	for i := range x.tool.plan.arguments {
		a := &x.tool.plan.arguments[i]
		if a.place != inQuery || a.Hidden || !values.Has(a.wire) || slices.Equal(values[a.wire], asked[a.wire]) {
			continue
		}
		n.args = append(n.args, schema.Member{Key: a.Name, Value: x.typed(a, values.Get(a.wire))})
	}
	return n
}
