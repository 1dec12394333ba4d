package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/translate/schema"
)

// explain says what is wrong with arguments so that the next try can be right: where, what came, what is wanted, an example.
func (in *Input) explain(v *schema.Value, faults []schema.Fault, said []string) string {
	var b strings.Builder
	b.WriteString("The call was not sent; its arguments do not fit " + in.Tool + ".")
	for _, f := range faults {
		for _, line := range in.sentences(v, f) {
			b.WriteString("\n- " + line)
		}
	}
	for _, line := range said {
		b.WriteString("\n- " + line)
	}
	return b.String()
}

// sentences describes one fault; required and additionalProperties may have several.
func (in *Input) sentences(v *schema.Value, f schema.Fault) []string {
	where := in.Full.Root
	at := v
	for _, step := range f.Path {
		where = in.step(where, step)
		at, _ = at.Pointer("/" + schema.Token(step))
	}
	var lines []string
	switch f.Rule {
	case "required":
		for _, name := range f.Names {
			lines = append(lines, fmt.Sprintf("%s is missing (%s)", quotePath(append(slices.Clip(f.Path), name)), in.wanted(in.step(where, name))))
		}
	case "additionalProperties":
		for _, name := range f.Names {
			lines = append(lines, fmt.Sprintf("%s is not an argument%s", quotePath(append(slices.Clip(f.Path), name)), in.similar(where, name)))
		}
		if len(f.Names) == 0 {
			lines = append(lines, quotePath(f.Path)+" cannot be given")
		}
	case "enum":
		lines = append(lines, fmt.Sprintf("%s: %s is not %s%s", quotePath(f.Path), came(at), f.Want, in.nearest(where, at)))
	default:
		line := fmt.Sprintf("%s: expected %s, got %s", quotePath(f.Path), f.Want, came(at))
		if e := in.example(where); e != "" && f.Rule != "minimum" && f.Rule != "maximum" {
			line += "; for example " + e
		}
		lines = append(lines, line)
	}
	return lines
}

// maxSteps bounds how many alternatives are looked through for a member.
const maxSteps = 1000

// step is the schema of a member or element, nil when it is not known.
func (in *Input) step(s *schema.Value, name string) *schema.Value {
	left := maxSteps
	return in.stepWithin(s, name, &left)
}

func (in *Input) stepWithin(s *schema.Value, name string, left *int) *schema.Value {
	if *left == 0 {
		return nil
	}
	*left--
	for _, f := range in.Full.Defs.Facets(s) {
		if p := f.Get("properties").Get(name); p != nil {
			return p
		}
		if _, err := strconv.Atoi(name); err == nil && f.Get("items") != nil {
			return f.Get("items")
		}
		for _, key := range [...]string{"anyOf", "oneOf"} {
			for _, m := range f.Array(key) {
				if p := in.stepWithin(m.Value, name, left); p != nil {
					return p
				}
			}
		}
	}
	return nil
}

// wanted describes what a schema takes in a few words.
func (in *Input) wanted(s *schema.Value) string {
	if s == nil {
		return "any value"
	}
	words := strings.Join(in.Full.Defs.Types(s), " or ")
	if len(in.Full.Defs.Types(s)) > 4 {
		words = "any value"
	}
	if list := in.Full.Defs.First(s, "enum"); list != nil {
		words += ", one of " + shortList(list)
	}
	if text := in.Full.Defs.First(s, "description"); text.Is(schema.String) {
		words += ": " + schema.Shorten(text.Text, 120)
	}
	if e := in.example(s); e != "" {
		words += "; for example " + e
	}
	return words
}

func shortList(list *schema.Value) string {
	var names []string
	for i, m := range list.Members {
		if i == 12 {
			names = append(names, fmt.Sprintf("and %d more", len(list.Members)-i))
			break
		}
		names = append(names, bare(m.Value))
	}
	return strings.Join(names, ", ")
}

// example is a value that the schema names, or that its type suggests, as JSON.
func (in *Input) example(s *schema.Value) string {
	if s == nil {
		return ""
	}
	for _, key := range [...]string{"examples", "enum"} {
		if list := in.Full.Defs.First(s, key); list != nil && len(list.Members) > 0 {
			return schema.Shorten(list.Members[0].Value.JSON(), 80)
		}
	}
	for _, key := range [...]string{"default", "const", "minimum"} {
		if v := in.Full.Defs.First(s, key); v != nil && v.Kind != schema.Null {
			return schema.Shorten(v.JSON(), 80)
		}
	}
	types := in.Full.Defs.Types(s)
	if len(types) == 0 || len(types) > 4 {
		return ""
	}
	switch types[0] {
	case "integer", "number":
		return "1"
	case "boolean":
		return "true"
	case "array":
		if inner := in.example(in.Full.Defs.First(s, "items")); inner != "" {
			return "[" + inner + "]"
		}
		return "[]"
	case "object":
		sample := schema.Sampler{Defs: in.Full.Defs}
		if text := sample.Value(s).JSON(); len(text) <= 120 {
			return text
		}
		return "{}"
	default:
		return `"text"`
	}
}

// bare is a value as it is typed: a text without its quotes.
func bare(v *schema.Value) string {
	if v.Is(schema.String) {
		return v.Text
	}
	return v.JSON()
}

// came describes a value that was given.
func came(v *schema.Value) string {
	switch {
	case v == nil:
		return "nothing"
	case v.Kind == schema.String:
		return "text " + strconv.Quote(schema.Shorten(v.Text, 60))
	case v.Kind == schema.Object || v.Kind == schema.Array:
		return "an " + v.Kind.String()
	default:
		return v.JSON()
	}
}

// quotePath writes a path as models write it: `a.b[0]`.
func quotePath(path []string) string {
	if len(path) == 0 {
		return "the arguments"
	}
	var b strings.Builder
	for i, step := range path {
		if _, err := strconv.Atoi(step); err == nil && i > 0 {
			b.WriteString("[" + step + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(schema.Shorten(step, 100))
	}
	return "`" + b.String() + "`"
}

// similar names the properties that are spelt like an unknown one.
func (in *Input) similar(s *schema.Value, name string) string {
	var names []string
	for _, f := range in.Full.Defs.Facets(s) {
		for _, m := range f.Object("properties") {
			names = append(names, m.Key)
		}
	}
	if best := closestName(names, name); best != "" {
		return "; did you mean `" + best + "`?"
	}
	if len(names) == 0 {
		return "; there are none"
	}
	return "; there are " + schema.Shorten(strings.Join(names, ", "), 300)
}

// nearest suggests a value of an enumeration.
func (in *Input) nearest(s, v *schema.Value) string {
	list := in.Full.Defs.First(s, "enum")
	if list == nil || !v.Is(schema.String) {
		return ""
	}
	if best := closestName(list.Strings(), v.Text); best != "" {
		return "; did you mean " + strconv.Quote(best) + "?"
	}
	return ""
}

// closestName returns the name that needs the fewest edits, "" when none is near.
func closestName(names []string, given string) string {
	if given == "" || len(names) == 0 || len(given) > 100 {
		return ""
	}
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
	}
	cost := func(s string) int {
		a, b := plain(s), plain(given)
		d := edits(a, b)
		if a != "" && (strings.HasPrefix(b, a) || strings.HasPrefix(a, b)) {
			d = min(d, 2)
		}
		return d
	}
	best := slices.MinFunc(names, func(a, b string) int { return cmp.Compare(cost(a), cost(b)) })
	if cost(best) <= max(2, len(given)/3) {
		return best
	}
	return ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	if len(a) > 200 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := diagonal
			if a[i] != b[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
