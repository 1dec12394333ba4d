package schema

import (
	"errors"
	"fmt"
)

// Bounds are what a schema may cost before it is compiled. The zero value of a field means none is set.
type Bounds struct {
	Bytes     int // as compact JSON
	Depth     int // schemas inside each other, references not counted
	Schemas   int // subschemas, definitions included
	Expansion int // schemas that may apply to one place of an instance, each way through a reference counted
}

// Untrusted are the bounds of schemas that upstreams send; Described those of schemas made from a description that an operator chose,
// where single tools have several hundred definitions.
func Untrusted() Bounds {
	return Bounds{Bytes: 64 << 10, Depth: 32, Schemas: 1000, Expansion: 10_000}
}

// Described returns the wider bounds: see [Untrusted].
func Described() Bounds {
	return Bounds{Bytes: 4 << 20, Depth: 64, Schemas: 100_000, Expansion: 100_000}
}

// maxLintDepth bounds the walks of this package whatever the bounds say.
const maxLintDepth = 512

// Lint says why f must not be compiled: it is over a bound, refers to anything but its own definitions, names another dialect, or has a cycle
// of references without a step into the instance. Nil means that compiling and validating are bounded.
func Lint(f Full, b Bounds) error {
	l := linter{full: f, bounds: b, cost: make(map[string]int), done: make(map[string]bool)}
	if err := l.schema(f.Root, 0); err != nil {
		return err
	}
	for _, m := range f.reach() {
		if err := l.schema(m.Value, 0); err != nil {
			return fmt.Errorf("$defs/%s: %w", m.Key, err)
		}
	}
	if b.Bytes > 0 && l.bytes > b.Bytes {
		return fmt.Errorf("schema: larger than %d bytes", b.Bytes)
	}
	l.places = []*Value{f.Root}
	for n := len(l.places); n > 0; n = len(l.places) {
		v := l.places[n-1]
		l.places = l.places[:n-1]
		if _, err := l.expansion(v, 0); err != nil {
			return err
		}
	}
	return nil
}

// linter counts what a schema costs.
type linter struct {
	full    Full
	bounds  Bounds
	bytes   int
	schemas int
	cost    map[string]int  // expansion of definitions; 0 while one is on the path
	done    map[string]bool // definitions whose cost is known
	places  []*Value        // schemas of other places of the instance, to be looked at
}

func (l *linter) schema(v *Value, depth int) error {
	l.schemas++
	l.bytes += 2
	switch {
	case depth > l.bounds.Depth && l.bounds.Depth > 0 || depth > maxLintDepth:
		return fmt.Errorf("schema: deeper than %d schemas", l.bounds.Depth)
	case l.schemas > l.bounds.Schemas && l.bounds.Schemas > 0:
		return fmt.Errorf("schema: more than %d subschemas", l.bounds.Schemas)
	case v.Is(Bool):
		return nil
	case !v.Is(Object):
		return errors.New("schema: neither an object nor true or false")
	}
	for _, m := range v.Members {
		l.bytes += len(m.Key) + 4
		if err := l.keyword(m); err != nil {
			return err
		}
	}
	var fault error
	subschemas(v, func(_ string, _ bool, sub *Value) {
		if fault == nil {
			fault = l.schema(sub, depth+1)
		}
	})
	return fault
}

// keyword checks one member and counts those that hold no schemas.
func (l *linter) keyword(m Member) error {
	switch m.Key {
	case "$schema":
		if s := m.Value; !s.Is(String) || s.Text != "https://json-schema.org/draft/2020-12/schema" {
			return errors.New("schema: $schema names another dialect than 2020-12")
		}
	case "$ref":
		if _, target := l.full.Defs.Target(Map(m)); target == nil {
			return errors.New("schema: a $ref leads to no definition of the schema")
		}
	case "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary":
		return fmt.Errorf("schema: %s is not taken", m.Key)
	case "properties", "patternProperties", "dependentSchemas":
		for _, p := range m.Value.Members {
			l.bytes += len(p.Key) + 4
		}
	default:
		l.bytes += size(m.Value, 0)
	}
	return nil
}

// size is about how many bytes v has as JSON; subschemas are counted where they are walked.
func size(v *Value, depth int) int {
	n := len(v.Text) + 3
	if depth > 2 {
		return n
	}
	for _, m := range v.Members {
		if !m.Value.Is(Object) {
			n += len(m.Key) + size(m.Value, depth+1)
		}
	}
	return n
}

// expansion counts the schemas that may apply to the place of v.
func (l *linter) expansion(v *Value, depth int) (int, error) {
	if depth > maxLintDepth {
		return 0, fmt.Errorf("schema: deeper than %d references and combinators", maxLintDepth)
	}
	total := 1
	if name, target := l.full.Defs.Target(v); target != nil {
		n, err := l.definition(name, target, depth)
		if err != nil {
			return 0, err
		}
		total += n
	}
	var fault error
	subschemas(v, func(_ string, inPlace bool, sub *Value) {
		switch {
		case fault != nil:
		case inPlace:
			var n int
			n, fault = l.expansion(sub, depth+1)
			total += n
		default:
			l.places = append(l.places, sub)
		}
	})
	if fault == nil && l.bounds.Expansion > 0 && total > l.bounds.Expansion {
		fault = fmt.Errorf("schema: more than %d schemas apply in one place", l.bounds.Expansion)
	}
	return total, fault
}

// definition is the expansion of a definition, counted once.
func (l *linter) definition(name string, target *Value, depth int) (int, error) {
	if l.done[name] {
		return l.cost[name], nil
	}
	if _, open := l.cost[name]; open {
		return 1, nil // through a step into the instance, or a cycle that loops finds
	}
	l.cost[name] = 0
	if l.loops(name, target, 0, make(map[string]bool)) {
		return 0, fmt.Errorf("schema: $defs/%s leads back to itself without a step into the instance", name)
	}
	n, err := l.expansion(target, depth+1)
	l.cost[name], l.done[name] = n, true
	return n, err
}

// loops reports whether definition start is reached again from v in the same place of the instance.
func (l *linter) loops(start string, v *Value, depth int, seen map[string]bool) bool {
	if depth > maxLintDepth {
		return true
	}
	if name, target := l.full.Defs.Target(v); target != nil {
		if name == start {
			return true
		}
		if !seen[name] {
			seen[name] = true
			if l.loops(start, target, depth+1, seen) {
				return true
			}
		}
	}
	found := false
	subschemas(v, func(_ string, inPlace bool, sub *Value) {
		found = found || inPlace && l.loops(start, sub, depth+1, seen)
	})
	return found
}
