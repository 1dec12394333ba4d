package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

// Bounds of answers.
const (
	toolsPage     = 100
	mostHits      = 20
	someHits      = 5
	summaryRunes  = 160
	definitionMax = 32 << 10 // bytes
)

// kindNames are the kinds as arguments name them.
func kindNames() []string { return []string{"tool", "prompt", "resource", "template"} }

func kindName(k catalog.Kind) string { return kindNames()[k] }

type listArguments struct {
	Upstream string `json:"upstream"`
	Kind     string `json:"kind"`
	Cursor   string `json:"cursor"`
}

type findArguments struct {
	Query    string `json:"query"`
	Upstream string `json:"upstream"`
	Limit    int    `json:"limit"`
}

type describeArguments struct {
	Tool string `json:"tool"`
}

// aboutTools are the tools that tell of what there is to call.
func (t *Tools) aboutTools() []tool {
	upstream := mcp.WithString("upstream", mcp.Description("only those of this upstream"))
	return []tool{
		define("list_tools", "Lists the tools, prompts or resources that you may use, by name, a page at a time.",
			func(_ context.Context, c server.Caller, a listArguments) (any, error) { return listEntries(c, a) }, listExamples(),
			upstream, mcp.WithString("kind", mcp.Description("what to list; tool when left out"), mcp.Enum(kindNames()...)),
			mcp.WithString("cursor", mcp.Description("next of the page before"))),
		define("find", "Searches tools, prompts and resources for a plain question; the best match comes first. For the gateway's own tools it suggests arguments too.",
			func(_ context.Context, c server.Caller, a findArguments) (any, error) { return t.find(c, a), nil }, findExamples(),
			mcp.WithString("query", mcp.Required(), mcp.MinLength(1), mcp.Description("what should be done or known, in plain words")),
			upstream, mcp.WithInteger("limit", mcp.Description("how many matches"), mcp.DefaultNumber(someHits), mcp.Max(mostHits))),
		define("describe", "Gives the whole definition of one tool, prompt or resource: description, arguments and their schema.",
			func(_ context.Context, c server.Caller, a describeArguments) (any, error) { return describe(c, a.Tool) }, describeExamples(),
			mcp.WithString("tool", mcp.Required(), mcp.Description("its name, or upstream/name"))),
	}
}

// entryRow is an entry in a list.
type entryRow struct {
	Name    string `json:"name"` // public
	Ref     string `json:"ref"`
	Kind    string `json:"kind,omitempty"`
	Summary string `json:"summary,omitempty"`
	Title   string `json:"title,omitempty"`
	// Through are the tools that call it, when it is not listed itself.
	Through []string `json:"through,omitempty"`
}

// shown reports whether lists and searches of a caller have an entry.
func shown(c server.Caller, e *catalog.Entry) bool {
	if e.Unlisted && !e.Hidden || e.Ref == (catalog.Ref{Upstream: server.OwnUpstream, Name: Others}) {
		return false
	}
	return c.Profile.View.Visible(e)
}

type entryList struct {
	Entries []entryRow `json:"entries"`
	Next    string     `json:"next,omitempty"` // cursor
}

// listEntries lists by name; the cursor is the last name of the page before.
func listEntries(c server.Caller, a listArguments) (any, error) {
	var all []*catalog.Entry
	for _, e := range c.Profile.View.Snapshot().Entries() {
		if a.Upstream != "" && e.Ref.Upstream != a.Upstream || kindName(e.Kind) != a.Kind && (a.Kind != "" || e.Kind != catalog.Tool) {
			continue
		}
		if shown(c, e) && sortKey(e) > a.Cursor {
			all = append(all, e)
		}
	}
	if len(all) == 0 && a.Upstream != "" && a.Cursor == "" && visible(c)[a.Upstream] == nil {
		return nil, fmt.Errorf("unknown upstream %s; %s__list_upstreams lists them", shorten(a.Upstream, summaryRunes), server.OwnUpstream)
	}
	sort.Slice(all, func(i, j int) bool { return sortKey(all[i]) < sortKey(all[j]) })
	list := entryList{Entries: []entryRow{}}
	for i, e := range all {
		if i == toolsPage {
			list.Next = sortKey(all[i-1])
			break
		}
		row := rowOf(c, e)
		row.Kind = ""
		list.Entries = append(list.Entries, row)
	}
	return list, nil
}

// sortKey orders entries; it is unique among those of one kind.
func sortKey(e *catalog.Entry) string { return e.Name + "\n" + e.Ref.Upstream }

func rowOf(c server.Caller, e *catalog.Entry) entryRow {
	r := entryRow{Name: e.Name, Ref: e.Ref.String(), Kind: kindName(e.Kind)}
	r.Title, r.Summary = texts(e)
	r.Summary = firstSentence(r.Summary)
	if e.Hidden {
		r.Through = doors(c, e.Ref.Upstream)
	}
	return r
}

// doors are the public names of the tools that lead to an upstream's hidden ones.
func doors(c server.Caller, upstream string) (names []string) {
	for _, e := range c.Profile.View.Snapshot().Entries() {
		if e.Ref.Upstream == upstream && e.IsDoor() && c.Profile.View.Visible(e) {
			names = append(names, e.Name)
		}
	}
	return names
}

// texts are title and description, "" where there are none. The item was accepted by the scanner.
func texts(e *catalog.Entry) (title, description string) {
	found := gjson.GetManyBytes(e.Raw(catalog.Modern), "title", "description")
	return shorten(found[0].String(), summaryRunes), found[1].String()
}

// firstSentence is the beginning of a text.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if head, _, ok := strings.Cut(s, ". "); ok {
		s = head + "."
	}
	return shorten(s, summaryRunes)
}

// shorten cuts a text to so many runes.
func shorten(s string, most int) string {
	s = strings.ToValidUTF8(s, "")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	runes := []rune(s)
	return string(runes[:most]) + "…"
}

// hit is a match of a search.
type hit struct {
	entryRow
	Required  []string       `json:"required,omitempty"`
	Arguments map[string]any `json:"arguments,omitzero"` // suggested, for the gateway's own tools
}

type hits struct {
	Hits []hit  `json:"hits"`
	More string `json:"more,omitempty"`
}

// find ranks what the caller may use.
func (t *Tools) find(c server.Caller, a findArguments) hits {
	x := t.indexOf(c.Profile.View.Snapshot())
	question := shorten(a.Query, 1000)
	limit := someHits
	if a.Limit > 0 {
		limit = min(a.Limit, mostHits)
	}
	var order []*catalog.Entry
	example := make(map[*catalog.Entry]map[string]any) // the arguments of the best one
	for _, i := range x.search(question, len(x.found), func(i int) bool {
		e := x.found[i].entry
		return (a.Upstream == "" || e.Ref.Upstream == a.Upstream) && shown(c, e)
	}) {
		f := x.found[i]
		if !slices.Contains(order, f.entry) {
			if len(order) > limit {
				break
			}
			order = append(order, f.entry)
		}
		if _, known := example[f.entry]; !known && f.example {
			example[f.entry] = f.arguments
		}
	}
	out := hits{Hits: []hit{}}
	for i, e := range order {
		if i == limit {
			out.More = "there are further matches; raise limit, or say more"
			break
		}
		h := hit{entryRow: rowOf(c, e)}
		for _, name := range gjson.GetBytes(e.Raw(catalog.Modern), "inputSchema.required").Array() {
			h.Required = append(h.Required, shorten(name.String(), summaryRunes))
		}
		if own := t.own(e); own != nil {
			h.Arguments = fill(own, example[e], question, c)
		}
		out.Hits = append(out.Hits, h)
	}
	return out
}

// own is the tool of an entry, nil for those of other upstreams.
func (t *Tools) own(e *catalog.Entry) *tool {
	if e.Ref.Upstream != server.OwnUpstream {
		return nil
	}
	if i := slices.IndexFunc(t.tools, func(one tool) bool { return one.Name == e.Ref.Name }); i >= 0 {
		return &t.tools[i]
	}
	return nil
}

// lookUp finds the entry that a text names for this caller: a public or unique bare name, upstream/name, or a URI.
func lookUp(c server.Caller, name string) (*catalog.Entry, error) {
	s := c.Profile.View.Snapshot()
	for _, e := range s.Entries() {
		if e.Ref.String() == name && (c.Profile.Knows(e) || shown(c, e)) {
			return e, nil
		}
	}
	for _, kind := range [...]catalog.Kind{catalog.Tool, catalog.Prompt, catalog.Resource, catalog.Template} {
		if e, err := s.Resolve(kind, name, c.Profile.Knows); err == nil {
			return e, nil
		}
	}
	return nil, catalog.NoSuch(catalog.Tool, name)
}

type definition struct {
	entryRow
	Definition json.RawMessage `json:"definition,omitempty"`
	Arguments  []string        `json:"arguments,omitempty"`
	Cut        string          `json:"cut,omitempty"`
}

// describe gives the item as lists have it, if it is not too large.
func describe(c server.Caller, name string) (any, error) {
	e, err := lookUp(c, name)
	if err == nil && !c.Profile.View.Visible(e) {
		err = c.Profile.Refusal(actionOn(e.Kind), e, name, c.Profile.Decide(actionOn(e.Kind), e))
	}
	if err != nil {
		return nil, err
	}
	d := definition{entryRow: rowOf(c, e)}
	raw := e.Raw(catalog.Modern)
	if len(raw) <= definitionMax {
		d.Definition = bytes.TrimSpace(raw)
		return d, nil
	}
	d.Cut = fmt.Sprintf("the definition has %d bytes, more than %d; these are the names of its arguments", len(raw), definitionMax)
	f, _ := rawjson.Fields(raw, "inputSchema")
	for _, key := range gjson.GetBytes(f[0].Of(raw), "properties.@keys").Array() {
		if len(d.Arguments) == toolsPage {
			break
		}
		d.Arguments = append(d.Arguments, shorten(key.String(), summaryRunes))
	}
	return d, nil
}

// actionOn is the use of an entry of a kind.
func actionOn(k catalog.Kind) policy.Action {
	switch k {
	case catalog.Tool:
		return policy.Call
	case catalog.Prompt:
		return policy.Get
	default:
		return policy.Read
	}
}
