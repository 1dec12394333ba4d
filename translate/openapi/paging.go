package openapi

import (
	"fmt"
	"net/http"
	"net/url"
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

// next says how to ask for what follows, "" when nothing does or it cannot be told: from a Link header, a cursor in the answer, or a flag.
func (x *exchange) next(response *http.Response, body *schema.Value) string {
	if !x.tool.Annotations.ReadOnly {
		return ""
	}
	for _, header := range response.Header.Values("Link") {
		if link := nextLink(header); link != "" {
			return x.fromLink(link)
		}
	}
	if body.Kind != schema.Object {
		return ""
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
		return moreWith(x.tool.page.cursor, strconv.Quote(schema.Shorten(scalarText(s), 400)))
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
func (x *exchange) fromFlag(body *schema.Value) string {
	if !body.True("has_more") && !body.True("hasMore") {
		return ""
	}
	if list := body.Array("data"); x.tool.page.cursor != "" && len(list) > 0 {
		if last := list[len(list)-1].Value.Get("id"); last != nil {
			return moreWith(x.tool.page.cursor, strconv.Quote(scalarText(last)))
		}
	}
	if x.tool.page.page != "" {
		page := 1
		if n, err := strconv.Atoi(scalarText(x.args.Get(x.tool.page.page))); err == nil {
			page = n
		}
		return moreWith(x.tool.page.page, strconv.Itoa(page+1))
	}
	return "There is more."
}

func moreWith(argument, value string) string {
	return fmt.Sprintf("There is more: call again with %s=%s and the same other arguments.", argument, value)
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
func (x *exchange) fromLink(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	values := u.Query()
	var parts []string
	for i := range x.tool.plan.arguments {
		a := &x.tool.plan.arguments[i]
		if a.place != inQuery || a.hidden || !values.Has(a.wire) {
			continue
		}
		value := values.Get(a.wire)
		if value == scalarText(a.value(x.args)) {
			continue
		}
		if x.tool.Input.Full.Defs.Allows(a.schema, "string") {
			value = strconv.Quote(value)
		}
		parts = append(parts, a.name+"="+schema.Shorten(value, 400))
	}
	if len(parts) == 0 {
		return "There is more, but no argument of the tool leads to it."
	}
	return "There is more: call again with " + strings.Join(parts, ", ") + " and the same other arguments."
}
