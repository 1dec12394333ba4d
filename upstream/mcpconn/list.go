package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// The bounds of one list, against servers whose lists do not end.
const (
	maxPages = 1000
	maxItems = 100_000
)

// listing is one of the four lists of a server.
type listing struct {
	kind       catalog.Kind
	method     string
	member     string // of the result, with the items
	capability string // that says the server has the list
}

func listings() [4]listing {
	return [...]listing{
		{catalog.Tool, "tools/list", "tools", "tools"},
		{catalog.Prompt, "prompts/list", "prompts", "prompts"},
		{catalog.Resource, "resources/list", "resources", "resources"},
		{catalog.Template, "resources/templates/list", "resourceTemplates", "resources"},
	}
}

// List reads all that the server offers: every page of every list that its capabilities declare, items byte for byte. A list that fails is nil in the
// Source and stands among the faults, by kind; the others are there all the same. The Source is nil only when ctx or the connection ended, with
// the reason in err.
func (c *Conn) List(ctx context.Context) (src *catalog.Source, faults map[catalog.Kind]error, err error) {
	p := c.peer.Load()
	src = &catalog.Source{Upstream: c.name, Capabilities: p.capabilities, Instructions: p.instructions}
	for _, l := range listings() {
		if !has(p.capabilities, l.capability) {
			continue
		}
		items, err := c.drainList(ctx, l)
		if err != nil {
			if ctx.Err() != nil || c.Err() != nil {
				return nil, nil, err
			}
			if l.kind == catalog.Template && isMissing(err) {
				err = nil // resources without templates are common, and so are servers that then do not know the method
			}
		}
		if err != nil {
			if faults == nil {
				faults = map[catalog.Kind]error{}
			}
			faults[l.kind] = err
			continue
		}
		switch l.kind {
		case catalog.Tool:
			src.Tools = items
		case catalog.Prompt:
			src.Prompts = items
		case catalog.Resource:
			src.Resources = items
		default:
			src.Templates = items
		}
	}
	return src, faults, nil
}

// pages is one list being read.
type pages struct {
	items [][]byte
	size  int64
}

// drainList reads the pages of one list. The result is never nil without an error.
func (c *Conn) drainList(ctx context.Context, l listing) ([][]byte, error) {
	got := pages{items: [][]byte{}}
	params := []byte(`{}`)
	seen := map[string]bool{}
	for page := 1; ; page++ {
		next, err := c.listPage(ctx, l, params, &got)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return got.items, nil
		}
		switch {
		case seen[string(next)]:
			return nil, c.endless(l, "repeats a cursor on page "+strconv.Itoa(page))
		case page == maxPages:
			return nil, c.endless(l, "has more than "+strconv.Itoa(maxPages)+" pages")
		case len(got.items) > maxItems:
			return nil, c.endless(l, "has more than "+strconv.Itoa(maxItems)+" items")
		case got.size > c.cfg.MaxMessage:
			return nil, c.endless(l, "has more than "+strconv.FormatInt(c.cfg.MaxMessage, 10)+" bytes")
		}
		seen[string(next)] = true
		params = append(append([]byte(`{"cursor":`), next...), '}')
	}
}

// listPage reads one page and returns the raw cursor of the next one, nil at the end. Any string is a cursor, "" too.
func (c *Conn) listPage(ctx context.Context, l listing, params []byte, got *pages) (next []byte, err error) {
	resp, err := c.ask(ctx, l.method, params)
	if err != nil {
		return nil, err
	}
	defer resp.release()
	m := &resp.message
	if m.Kind == rawjson.Error {
		return nil, c.listError(l, m)
	}
	result := m.Result.Of(m.Data)
	found, err := rawjson.Fields(result, l.member, "nextCursor")
	if err == nil && (found[0].Absent() || result[found[0].Start] != '[') {
		err = errors.New("no array of " + l.member)
	}
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: %s: the answer holds no list", c.name, l.method), Err: err}
	}
	// One copy for all items of a page: the snapshot keeps them, the answer's buffer goes back.
	list := slices.Clone(found[0].Of(result))
	got.size += int64(len(list))
	_ = rawjson.Elements(list, func(v rawjson.Span) bool {
		got.items = append(got.items, v.Of(list))
		return len(got.items) <= maxItems
	})
	if cursor := found[1].Of(result); len(cursor) > 0 && cursor[0] == '"' {
		return slices.Clone(cursor), nil
	}
	return nil, nil
}

func (c *Conn) endless(l listing, what string) *catalog.Error {
	return catalog.Errorf(catalog.TooLarge, "%s: %s: the list %s", c.name, l.method, what)
}

// refusedListError is an error response to a list request.
type refusedListError struct {
	code int
	text string
}

func (f *refusedListError) Error() string { return fmt.Sprintf("error %d: %.300q", f.code, f.text) }

func (c *Conn) listError(l listing, m *rawjson.Message) *catalog.Error {
	f := &refusedListError{code: errorCode(m), text: string(m.Error.Of(m.Data))}
	return &catalog.Error{Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: %s failed (error %d)", c.name, l.method, f.code), Err: f}
}

// isMissing reports whether a list failed because the server does not know its method.
func isMissing(err error) bool {
	var f *refusedListError
	return errors.As(err, &f) && f.code == -32601
}

// tool reads the server's tools and returns the one called name, as an entry with the header bindings of now.
func (c *Conn) tool(ctx context.Context, name string) (*catalog.Entry, error) {
	items, err := c.drainList(ctx, listings()[0])
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		found, err := rawjson.Fields(item, "name")
		if err != nil {
			continue
		}
		if s, ok := rawjson.String(found[0].Of(item)); !ok || s != name {
			continue
		}
		one := catalog.Build([]*catalog.Source{{Upstream: c.name, Tools: [][]byte{item}}}, catalog.Options{})
		if entries := one.Entries(); len(entries) == 1 {
			return entries[0], nil
		}
	}
	return nil, catalog.Errorf(catalog.NotFound, "%s: the server no longer lists %s", c.name, name)
}
