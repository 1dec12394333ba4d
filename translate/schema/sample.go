package schema

import (
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
)

// Sampler makes values that a schema takes: for mocks and tests. The zero value with Defs makes the same small value each time.
type Sampler struct {
	Defs *Defs
	// Optional gives members that are not required too.
	Optional bool
	// Rand varies the values; nil gives the first of everything.
	Rand *rand.Rand
	left int // values that may still be made
}

const (
	// maxSampleDepth is where optional members end, maxSampleValues where a value ends that would have too many parts.
	maxSampleDepth  = 5
	maxSampleValues = 100_000
)

// Value makes a value for s. Schemas that take nothing, and patterns with assertions in them, can lead to a value that is not valid.
func (s *Sampler) Value(v *Value) *Value {
	s.left = maxSampleValues
	return s.value([]*Value{v}, 0)
}

func (s *Sampler) pick(n int) int {
	if s.Rand == nil || n < 2 {
		return 0
	}
	return s.Rand.IntN(n)
}

// value makes a value to which all of the given schemas apply.
func (s *Sampler) value(schemas []*Value, depth int) *Value {
	if s.left--; s.left < 0 {
		return &Value{}
	}
	var facets []*Value
	for _, v := range schemas {
		facets = s.gather(facets, v, depth, 0)
	}
	get := func(key string) *Value {
		for _, f := range facets {
			if k := f.Get(key); k != nil {
				return k
			}
		}
		return nil
	}
	if c := get("const"); c != nil {
		return c
	}
	if e := s.enum(facets); e != nil {
		return e
	}
	t := anyType
	for _, f := range facets {
		t &= s.Defs.typesOf(f)
	}
	switch s.kind(t, get) {
	case typeObject:
		return s.object(facets, depth)
	case typeArray:
		return s.array(facets, get, depth)
	case typeInteger, typeNumber:
		return s.number(facets, !t.has(typeNumber))
	case typeBoolean:
		return Boolean(s.pick(2) == 0)
	case typeNull:
		return &Value{}
	default:
		return Text(s.text(get))
	}
}

// gather lists the schema objects that apply, with one branch chosen of each combinator.
func (s *Sampler) gather(facets []*Value, v *Value, depth, hops int) []*Value {
	if !v.Is(Object) || hops > maxTypeDepth {
		return facets
	}
	_, target := s.Defs.Target(v)
	again := target != nil && slices.Contains(facets, target)
	if again && len(v.Members) == 1 {
		return facets
	}
	facets = append(facets, v)
	if target != nil && !again {
		facets = s.gather(facets, target, depth, hops+1)
	}
	for _, e := range v.Array("allOf") {
		facets = s.gather(facets, e.Value, depth, hops+1)
	}
	for _, key := range [...]string{"anyOf", "oneOf"} {
		if branches := v.Array(key); len(branches) > 0 {
			n := s.pick(len(branches))
			if depth >= maxSampleDepth { // the simplest ends recursion
				n = slices.IndexFunc(branches, func(m Member) bool { return s.Defs.typesOf(m.Value)&(typeObject|typeArray) == 0 })
			}
			facets = s.gather(facets, branches[max(n, 0)].Value, depth, hops+1)
		}
	}
	return facets
}

// enum picks a value that all enumerations have.
func (s *Sampler) enum(facets []*Value) *Value {
	var common []*Value
	found := false
	for _, f := range facets {
		list := f.Array("enum")
		if len(list) == 0 {
			continue
		}
		var both []*Value
		for _, m := range list {
			if !found || slices.ContainsFunc(common, m.Value.Equal) {
				both = append(both, m.Value)
			}
		}
		if len(both) > 0 {
			common, found = both, true
		}
	}
	if !found {
		return nil
	}
	if s.Rand == nil {
		for _, v := range common {
			if v.Kind != Null && v.Text != "" {
				return v
			}
		}
	}
	return common[s.pick(len(common))]
}

// kind picks one of the types, preferring what the keywords speak of.
func (s *Sampler) kind(t types, get func(string) *Value) types {
	if t == anyType {
		switch {
		case get("properties") != nil || get("required") != nil:
			return typeObject
		case get("items") != nil:
			return typeArray
		}
		return typeString
	}
	var all []types
	for _, k := range [...]types{typeObject, typeString, typeInteger, typeArray, typeBoolean} {
		if t.has(k) {
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return typeNull
	}
	return all[s.pick(len(all))]
}

func (s *Sampler) object(facets []*Value, depth int) *Value {
	var names, required []string
	properties := make(map[string][]*Value)
	for _, f := range facets {
		for _, m := range f.Object("properties") {
			if properties[m.Key] == nil {
				names = append(names, m.Key)
			}
			properties[m.Key] = append(properties[m.Key], m.Value)
		}
		required = append(required, f.Get("required").Strings()...)
	}
	for _, f := range facets { // one group of members that need each other, once any of them is given
		for _, m := range f.Object("dependentRequired") {
			if s.Optional || slices.Contains(required, m.Key) {
				required = append(required, m.Value.Strings()...)
			}
		}
	}
	out := Map()
	for _, name := range names {
		wanted := slices.Contains(required, name)
		if !wanted && (!s.Optional || depth >= maxSampleDepth || s.Rand != nil && s.pick(3) == 0) {
			continue
		}
		out.Members = append(out.Members, Member{name, s.value(properties[name], depth+1)})
	}
	for _, name := range required {
		if properties[name] == nil && out.Get(name) == nil {
			out.Put(name, Text("x"))
		}
	}
	s.fillUp(out, facets, depth)
	return out
}

// fillUp adds members until there are as many as the schema asks for.
func (s *Sampler) fillUp(out *Value, facets []*Value, depth int) {
	least := 0
	var values *Value
	for _, f := range facets {
		least = max(least, whole(f.Get("minProperties")))
		if more := f.Get("additionalProperties"); more.Is(Object) {
			values = more
		}
	}
	for _, f := range facets {
		for _, m := range f.Object("properties") {
			if len(out.Members) < least && out.Get(m.Key) == nil {
				out.Members = append(out.Members, Member{m.Key, s.value([]*Value{m.Value}, depth+1)})
			}
		}
	}
	if values != nil && s.Optional && depth < maxSampleDepth {
		least = max(least, len(out.Members)+1)
	}
	for i := 0; len(out.Members) < least && values != nil && i < 50; i++ {
		out.Put("key"+strconv.Itoa(i), s.value([]*Value{values}, depth+1))
	}
}

func whole(v *Value) int {
	if !v.Is(Number) {
		return 0
	}
	n, err := strconv.Atoi(v.Text)
	if err != nil {
		return 0
	}
	return n
}

func (s *Sampler) array(facets []*Value, get func(string) *Value, depth int) *Value {
	n := whole(get("minItems"))
	if n == 0 && s.Optional && depth < maxSampleDepth {
		n = 1 + s.pick(2)
	}
	if most := get("maxItems"); most != nil {
		n = min(n, whole(most))
	}
	var items []*Value
	for _, f := range facets {
		if i := f.Get("items"); i.Is(Object) {
			items = append(items, i)
		}
	}
	prefix := get("prefixItems")
	out := &Value{Kind: Array}
	for i := range min(n, 40) {
		var e *Value
		if prefix != nil && i < len(prefix.Members) {
			e = s.value([]*Value{prefix.Members[i].Value}, depth+1)
		} else {
			e = s.value(items, depth+1)
		}
		if get("uniqueItems") != nil && slices.ContainsFunc(out.Members, func(m Member) bool { return m.Value.Equal(e) }) {
			if e.Kind != String && e.Kind != Number {
				break
			}
			e = &Value{Kind: e.Kind, Text: e.Text + strconv.Itoa(i)}
		}
		out.Members = append(out.Members, Member{Value: e})
	}
	return out
}

// number picks one between the limits of all facets, which are few and small enough for float64 here.
func (s *Sampler) number(facets []*Value, integer bool) *Value {
	low, high, step := 1.0, 1e15, 0.0
	lowest := false
	read := func(f *Value, key string) (float64, bool) {
		if v := f.Get(key); v.Is(Number) {
			n, err := strconv.ParseFloat(v.Text, 64)
			return n, err == nil
		}
		return 0, false
	}
	for _, f := range facets {
		if n, ok := read(f, "minimum"); ok && (!lowest || n > low) {
			low, lowest = n, true
		}
		if n, ok := read(f, "exclusiveMinimum"); ok && (!lowest || n+1 > low) {
			low, lowest = n+1, true
		}
		if n, ok := read(f, "maximum"); ok {
			high = min(high, n)
		}
		if n, ok := read(f, "exclusiveMaximum"); ok {
			high = min(high, n-1)
		}
		if n, ok := read(f, "multipleOf"); ok {
			step = n
		}
	}
	if !lowest && high < low {
		low = high
	}
	n := low
	if s.Rand != nil && high-low > 1 {
		n += float64(s.Rand.IntN(int(min(high-low, 1000))))
	}
	if step > 0 {
		if n = step * float64(int64(n/step)); n < low {
			n += step
		}
	}
	if integer {
		return &Value{Kind: Number, Text: strconv.FormatInt(int64(n), 10)}
	}
	return &Value{Kind: Number, Text: strconv.FormatFloat(n, 'f', -1, 64)}
}

// text makes a text by pattern, format and length.
func (s *Sampler) text(get func(string) *Value) string {
	least, most := whole(get("minLength")), whole(get("maxLength"))
	if p := get("pattern"); p.Is(String) {
		if text, ok := s.pattern(p.Text, least); ok {
			return text
		}
	}
	text := "text"
	if s.Rand != nil {
		text = [...]string{"text", "a b", "x", "näme", "1", "q&a=1", "50%"}[s.pick(7)]
	}
	if f := get("format"); f.Is(String) {
		if known := formatSample(f.Text); known != "" {
			text = known
		}
	}
	for len([]rune(text)) < least && len(text) < 1<<16 {
		text += "x"
	}
	if runes := []rune(text); get("maxLength") != nil && len(runes) > most {
		text = string(runes[:most])
	}
	return text
}

func formatSample(format string) string {
	switch format {
	case "date-time":
		return "2026-01-02T03:04:05Z"
	case "date":
		return "2026-01-02"
	case "time":
		return "03:04:05Z"
	case "email", "idn-email":
		return "a@example.com"
	case "uri", "url", "iri", "uri-reference":
		return "https://example.com/a"
	case "uuid":
		return "123e4567-e89b-42d3-a456-426614174000"
	case "ipv4":
		return "192.0.2.1"
	case "ipv6":
		return "2001:db8::1"
	case "hostname":
		return "example.com"
	case "byte":
		return "dGV4dA=="
	case "duration":
		return "PT1S"
	}
	return ""
}

// pattern makes a text that a regular expression matches.
func (s *Sampler) pattern(expression string, least int) (string, bool) {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return "", false
	}
	for extra := range 3 {
		var b strings.Builder
		s.expand(&b, re.Simplify(), extra*max(least, 1), 0)
		if len([]rune(b.String())) >= least {
			return b.String(), b.Len() < 1<<16
		}
	}
	return "", false
}

// expand writes a match of re; more is how often open repetitions run at least.
func (s *Sampler) expand(b *strings.Builder, re *syntax.Regexp, more, depth int) {
	if depth > 200 || b.Len() > 1<<16 {
		return
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(charOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('a')
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			s.expand(b, sub, more, depth+1)
		}
	case syntax.OpAlternate:
		s.expand(b, re.Sub[s.pick(len(re.Sub))], more, depth+1)
	case syntax.OpPlus, syntax.OpStar:
		n := more
		if re.Op == syntax.OpPlus {
			n = max(n, 1)
		}
		for range n {
			s.expand(b, re.Sub[0], 0, depth+1)
		}
	case syntax.OpQuest:
		if more > 0 {
			s.expand(b, re.Sub[0], more, depth+1)
		}
	case syntax.OpRepeat:
		n := max(re.Min, more)
		if re.Max >= 0 {
			n = min(n, re.Max)
		}
		for range n {
			s.expand(b, re.Sub[0], 0, depth+1)
		}
	default:
	}
}

// charOf picks a plain character of a class.
func charOf(ranges []rune) rune {
	for _, want := range "a1A_-" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] > ' ' {
			return ranges[i]
		}
	}
	if len(ranges) > 1 {
		return ranges[1]
	}
	return 'a'
}
