package openapi

import (
	"errors"
	"fmt"
	"strings"

	"weir/catalog/rawjson"
	"weir/translate/schema"
)

// overlay applies an OpenAPI Overlay 1.0 document to the main one. Each action that cannot be applied is a warning.
func (d *description) overlay(number int, data []byte) {
	name := fmt.Sprintf("overlay %d", number)
	root, err := schema.ParseText(data)
	if err != nil {
		d.warn(site{doc: &document{name: name}}, "not applied: %v", err)
		return
	}
	at := site{doc: &document{name: name}, value: root}.member("actions")
	if !at.is(schema.Array) {
		d.warn(at, "not applied: actions is missing or no list")
		return
	}
	for i := range at.value.Members {
		action := at.element(i)
		if err := d.apply(action.value); err != nil {
			d.warn(action, "action not applied: %v", err)
		}
	}
}

// apply runs one action: remove, or update by a recursive merge (Overlay 1.0.0, section 4.3).
func (d *description) apply(action *schema.Value) error {
	expression := action.GetText("target")
	steps, err := parsePath(expression)
	if err != nil {
		return err
	}
	remove := action.True("remove")
	update := action.Get("update")
	if !remove && update == nil {
		return errors.New("neither update nor remove")
	}
	found := selectPath(d.main.root, steps)
	if len(found) == 0 {
		return fmt.Errorf("target %q matches nothing", expression)
	}
	if remove {
		if len(steps) == 0 {
			return errors.New("the root cannot be removed")
		}
		for _, f := range found {
			f.parent.Members = drop(f.parent, f.value)
		}
		return nil
	}
	for _, f := range found {
		mergeInto(f.value, update)
	}
	return nil
}

func drop(parent, value *schema.Value) []schema.Member {
	kept := make([]schema.Member, 0, len(parent.Members))
	for _, m := range parent.Members {
		if m.Value != value {
			kept = append(kept, m)
		}
	}
	return kept
}

// mergeInto merges update into v: objects by member, arrays by appending, everything else replaces.
func mergeInto(v, update *schema.Value) {
	switch {
	case v.Is(schema.Array):
		if update.Is(schema.Array) {
			v.Members = append(v.Members, update.Members...)
		} else {
			v.Members = append(v.Members, schema.Member{Value: update})
		}
	case v.Is(schema.Object) && update.Is(schema.Object):
		for _, m := range update.Members {
			if old := v.Get(m.Key); old != nil && (old.Is(schema.Object) && m.Value.Is(schema.Object) || old.Is(schema.Array)) {
				mergeInto(old, m.Value)
				continue
			}
			v.Put(m.Key, m.Value)
		}
	default:
		*v = *update
	}
}

// step is one step of a path: a name, a wildcard or a comparison, in the children or in all descendants.
type step struct {
	name    string
	any     bool
	deep    bool
	test    []string // members to follow for a comparison
	want    *schema.Value
	negated bool
}

// parsePath reads the part of JSONPath (RFC 9535) that overlays use: names, wildcards, descendants, and filters that compare one member with a
// literal or ask for its presence.
func parsePath(expression string) ([]step, error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(expression), "$")
	if !ok {
		return nil, fmt.Errorf("target %q does not start with $", expression)
	}
	var steps []step
	for rest != "" {
		var s step
		var err error
		if s, rest, err = parseStep(rest); err != nil {
			return nil, fmt.Errorf("target %q: %w", expression, err)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func parseStep(rest string) (s step, _ string, err error) {
	if after, ok := strings.CutPrefix(rest, ".."); ok {
		s.deep = true
		rest = after
		if !strings.HasPrefix(rest, "[") {
			rest = "." + rest
		}
	}
	if after, ok := strings.CutPrefix(rest, "."); ok {
		end := strings.IndexAny(after, ".[")
		if end < 0 {
			end = len(after)
		}
		s.name = after[:end]
		s.any = s.name == "*"
		if s.name == "" {
			return s, "", errors.New("a name is missing")
		}
		return s, after[end:], nil
	}
	if !strings.HasPrefix(rest, "[") {
		return s, "", fmt.Errorf("%q cannot be read", rest)
	}
	inside, after, err := bracket(rest)
	if err != nil {
		return s, "", err
	}
	switch {
	case inside == "*":
		s.any = true
	case strings.HasPrefix(inside, "?"):
		err = s.filter(strings.TrimSpace(inside[1:]))
	case len(inside) >= 2 && (inside[0] == '\'' || inside[0] == '"') && inside[len(inside)-1] == inside[0]:
		s.name = inside[1 : len(inside)-1]
	default:
		s.name = inside
	}
	return s, after, err
}

// bracket splits "[inside]after" with quotes and nested brackets in mind.
func bracket(rest string) (inside, after string, err error) {
	depth := 0
	var quote byte
	for i := range len(rest) {
		switch c := rest[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth == 0 {
				return strings.TrimSpace(rest[1:i]), rest[i+1:], nil
			}
		}
	}
	return "", "", errors.New("a bracket is not closed")
}

// filter reads "@.a.b == 'x'", "@.a != 1" or "@.a".
func (s *step) filter(text string) error {
	if inner, ok := strings.CutPrefix(text, "("); ok {
		text = strings.TrimSuffix(inner, ")")
	}
	left, right, compares := strings.Cut(text, "==")
	if !compares {
		left, right, compares = strings.Cut(text, "!=")
		s.negated = compares
	}
	left, ok := strings.CutPrefix(strings.TrimSpace(left), "@.")
	if !ok || strings.ContainsAny(left, " <>&|()[]") {
		return fmt.Errorf("the filter %q is not one of those that are understood", text)
	}
	s.test = strings.Split(left, ".")
	if !compares {
		return nil
	}
	right = strings.TrimSpace(right)
	if len(right) >= 2 && right[0] == '\'' && right[len(right)-1] == '\'' {
		s.want = schema.Text(right[1 : len(right)-1])
		return nil
	}
	want, err := schema.Parse([]byte(right))
	if err != nil {
		return fmt.Errorf("the filter %q compares with no literal", text)
	}
	s.want = want
	return nil
}

// matches reports whether the member key with its value is selected.
func (s *step) matches(key string, value *schema.Value) bool {
	if s.any {
		return true
	}
	if s.test == nil {
		return key == s.name
	}
	for _, name := range s.test {
		value = value.Get(name)
	}
	if s.want == nil {
		return value != nil
	}
	return value.Equal(s.want) != s.negated
}

// selected is a value and what holds it.
type selected struct{ parent, value *schema.Value }

// selectPath returns what steps select from root.
func selectPath(root *schema.Value, steps []step) []selected {
	found := []selected{{value: root}}
	for i := range steps {
		var next []selected
		for _, f := range found {
			next = steps[i].from(f.value, next, 0)
		}
		found = next
	}
	return found
}

func (s *step) from(v *schema.Value, found []selected, depth int) []selected {
	if v == nil || depth > rawjson.MaxDepth {
		return found
	}
	for i, m := range v.Members {
		key := m.Key
		if v.Kind == schema.Array {
			key = fmt.Sprint(i)
		}
		if s.matches(key, m.Value) {
			found = append(found, selected{v, m.Value})
		}
		if s.deep {
			found = s.from(m.Value, found, depth+1)
		}
	}
	return found
}
