package translate

import (
	"fmt"
	"strings"

	"weir/translate/schema"
)

// FieldsArgument is the argument with which a model picks parts of a result.
const FieldsArgument = "fields"

// Mask returns v with the members that the paths keep: "name", "owner.login", "items.*.id". Steps through lists may be left out, or written * or #.
func Mask(v *schema.Value, paths []string) *schema.Value { return newMask(paths).apply(v) }

// mask is a tree of the members that are kept; nil keeps everything.
type mask map[string]mask

func newMask(paths []string) mask {
	root := mask{}
	for _, path := range paths {
		at := root
		steps := strings.FieldsFunc(strings.ReplaceAll(strings.ReplaceAll(path, "[]", ""), "[*]", ""), func(r rune) bool { return r == '.' })
		for i, step := range steps {
			if step == "*" || step == "#" {
				continue
			}
			next, ok := at[step]
			if i == len(steps)-1 {
				at[step] = nil
				break
			}
			if ok && next == nil {
				break
			}
			if !ok {
				next = mask{}
				at[step] = next
			}
			at = next
		}
	}
	return root
}

// apply returns v with the members that the mask keeps.
func (m mask) apply(v *schema.Value) *schema.Value {
	if len(m) == 0 {
		return v
	}
	switch v.Kind {
	case schema.Array:
		out := &schema.Value{Kind: schema.Array, Members: make([]schema.Member, len(v.Members))}
		for i, e := range v.Members {
			out.Members[i].Value = m.apply(e.Value)
		}
		return out
	case schema.Object:
		out := schema.Map()
		for _, e := range v.Members {
			if inner, ok := m[e.Key]; ok {
				out.Members = append(out.Members, schema.Member{Key: e.Key, Value: inner.apply(e.Value)})
			}
		}
		return out
	default:
		return v
	}
}

// shrinking says how much of a value is kept.
type shrinking struct {
	items, text, depth int
	cutItems           map[string]int // of the lists that were cut: path and length
	order              []string
	cutText, cutDepth  int
}

// Shrink returns v in at most limit bytes of JSON, always valid: lists lose their ends first, then long texts theirs, then what lies deep goes.
// notes say what was cut.
func Shrink(v *schema.Value, limit int) (*schema.Value, []string) {
	if size := jsonSize(v, limit); size <= limit {
		return v, nil
	}
	longest := longestList(v)
	for _, text := range [...]int{1 << 30, 2000, 400, 100, 40} {
		for items := longest; ; items /= 2 {
			s := &shrinking{items: items, text: text, depth: 64, cutItems: make(map[string]int)}
			if out := s.apply(v, "", 0); jsonSize(out, limit) <= limit {
				return s.widen(v, out, limit, longest)
			}
			if items == 0 || items > 4 && text > 400 && items*20 < longest {
				break
			}
		}
	}
	for depth := 6; depth >= 0; depth-- {
		s := &shrinking{items: 3, text: 40, depth: depth, cutItems: make(map[string]int)}
		if out := s.apply(v, "", 0); jsonSize(out, limit) <= limit || depth == 0 {
			if jsonSize(out, limit) > limit {
				break
			}
			return out, s.notes()
		}
	}
	return schema.Map(), []string{"The result was too large and is left out."}
}

// widen looks for the largest number of elements that still fits, between the one that did and its double.
func (s *shrinking) widen(v, out *schema.Value, limit, longest int) (*schema.Value, []string) {
	low, high := s.items, min(2*s.items+1, longest)
	for low+1 < high {
		middle := (low + high) / 2
		try := &shrinking{items: middle, text: s.text, depth: s.depth, cutItems: make(map[string]int)}
		if wider := try.apply(v, "", 0); jsonSize(wider, limit) <= limit {
			low, out, s = middle, wider, try
		} else {
			high = middle
		}
	}
	return out, s.notes()
}

func (s *shrinking) apply(v *schema.Value, path string, depth int) *schema.Value {
	switch {
	case (v.Kind == schema.Object || v.Kind == schema.Array) && depth >= s.depth && len(v.Members) > 0:
		s.cutDepth++
		return &schema.Value{Kind: v.Kind}
	case v.Kind == schema.String && len(v.Text) > s.text:
		s.cutText++
		return schema.Text(schema.Shorten(v.Text, s.text))
	case v.Kind == schema.Array:
		kept := v.Members
		if len(kept) > s.items {
			if _, seen := s.cutItems[path]; !seen {
				s.order = append(s.order, path)
			}
			s.cutItems[path] = max(s.cutItems[path], len(kept))
			kept = kept[:s.items]
		}
		return s.members(v.Kind, kept, path, depth)
	case v.Kind == schema.Object:
		return s.members(v.Kind, v.Members, path, depth)
	default:
		return v
	}
}

func (s *shrinking) members(kind schema.Kind, kept []schema.Member, path string, depth int) *schema.Value {
	out := &schema.Value{Kind: kind, Members: make([]schema.Member, len(kept))}
	for i, m := range kept {
		inner := path
		if kind == schema.Object {
			inner = strings.TrimPrefix(path+"."+m.Key, ".")
		}
		out.Members[i] = schema.Member{Key: m.Key, Value: s.apply(m.Value, inner, depth+1)}
	}
	return out
}

// notes say what was cut and how to get it.
func (s *shrinking) notes() []string {
	var parts []string
	for i, path := range s.order {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("%d more lists are cut too", len(s.order)-i))
			break
		}
		name := "the list"
		if path != "" {
			name = "`" + schema.Shorten(path, 80) + "`"
		}
		parts = append(parts, fmt.Sprintf("%s shows the first %d of %d elements", name, s.items, s.cutItems[path]))
	}
	if s.cutText > 0 {
		parts = append(parts, fmt.Sprintf("%d texts are cut", s.cutText))
	}
	if s.cutDepth > 0 {
		parts = append(parts, fmt.Sprintf("%d values that lie deep are left out", s.cutDepth))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{"The result was too large and is cut: " + strings.Join(parts, "; ") + "."}
}

func longestList(v *schema.Value) int {
	longest := 0
	if v.Kind == schema.Array {
		longest = len(v.Members)
	}
	for _, m := range v.Members {
		longest = max(longest, longestList(m.Value))
	}
	return longest
}

// jsonSize is the size of v as JSON, or something over limit.
func jsonSize(v *schema.Value, limit int) int {
	n := len(v.Text)
	if v.Kind >= schema.String {
		n += 2
	} else if v.Kind == schema.Null {
		n = len("null")
	}
	for i := range len(v.Text) {
		if c := v.Text[i]; c < ' ' || c == '"' || c == '\\' {
			n += 5
		}
	}
	for _, m := range v.Members {
		n++
		if v.Kind == schema.Object {
			n += len(m.Key) + 3
		}
		if n > limit {
			return n
		}
		n += jsonSize(m.Value, limit)
	}
	return n
}
