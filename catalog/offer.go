package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/catalog/rawjson"
)

// Offer is a part of the namespace, under names and descriptions of its own: what a virtual server shows.
type Offer struct {
	Naming Naming // of the namespace it is a part of when empty
	// Include says what is in it, Exclude what is not all the same; nil is everything and nothing. Exclude is asked about the URIs that
	// templates are used for as well.
	Include, Exclude func(Ref) bool
	// Tools are overlays of tools and prompts, by Ref.
	Tools map[Ref]Overlay
}

// Overlay is what an item says in place of what its upstream says of it. Empty members change nothing.
type Overlay struct {
	// Name is the public name.
	Name string `yaml:"name"`
	// Title is for people.
	Title string `yaml:"title"`
	// Description is for the model.
	Description string `yaml:"description"`
}

// Offer builds the snapshot of a part of s. Refs stay what they are, so policy and records speak of the same things under any name.
func (s *Snapshot) Offer(o Offer) *Snapshot {
	options := s.options
	options.offer = &o
	if o.Naming != "" {
		options.Naming = o.Naming
	}
	part := Build(s.sources, options)
	part.sources = slices.DeleteFunc(part.sources, func(src *Source) bool { // what an upstream can do is not told where nothing of it is
		return !slices.ContainsFunc(part.entries, func(e *Entry) bool { return e.Ref.Upstream == src.Upstream })
	})
	for _, ref := range slices.SortedFunc(maps.Keys(o.Tools), func(x, y Ref) int { return strings.Compare(x.String(), y.String()) }) {
		named := func(e *Entry) bool { return e.Ref == ref }
		if s.origin(ref.Upstream) != nil && !slices.ContainsFunc(part.entries, named) {
			part.problems = append(part.problems, Problem{
				Upstream: ref.Upstream, Name: ref.Name, Reason: fmt.Sprintf("%s: is changed, but nothing of this name is offered", ref),
			})
		}
	}
	return part
}

func (o *Offer) includes(ref Ref) bool { return o == nil || o.Include == nil || o.Include(ref) }

func (o *Offer) excludes(ref Ref) bool { return o != nil && o.Exclude != nil && o.Exclude(ref) }

// alias adds the names of overlays to the aliases that the upstream has anyway.
func (o *Offer) alias(upstream string, all map[string]string) map[string]string {
	if o == nil {
		return all
	}
	merged := maps.Clone(all)
	for ref, v := range o.Tools {
		if ref.Upstream != upstream || v.Name == "" {
			continue
		}
		if merged == nil {
			merged = make(map[string]string)
		}
		merged[ref.Name] = v.Name
	}
	return merged
}

// overlay returns the raw item as the offer tells of it. What cannot be read is left as it is, for the reader to find.
func (o *Offer) overlay(upstream string, kind Kind, raw []byte) []byte {
	if o == nil || len(o.Tools) == 0 || kind != Tool && kind != Prompt {
		return raw
	}
	f, err := rawjson.Fields(raw, "name")
	if err != nil {
		return raw
	}
	name, _ := rawjson.String(f[0].Of(raw))
	v := o.Tools[Ref{upstream, name}]
	var extra []rawjson.Member
	for _, m := range []struct{ key, text string }{{"title", v.Title}, {"description", v.Description}} {
		if m.text != "" {
			extra = append(extra, rawjson.Member{Key: m.key, Value: rawjson.AppendString(nil, m.text)})
		}
	}
	if len(extra) == 0 {
		return raw
	}
	return rawjson.AppendObject(nil, raw, nil, extra...)
}
