package translate

import "strconv"

// Annotations are the behaviour hints of a tool, as the specification of MCP has them.
type Annotations struct{ ReadOnly, Destructive, Idempotent, OpenWorld bool }

// Hints override the annotations of a tool.
type Hints struct {
	ReadOnly    *bool `yaml:"readOnly"`
	Destructive *bool `yaml:"destructive"`
	Idempotent  *bool `yaml:"idempotent"`
	OpenWorld   *bool `yaml:"openWorld"`
}

// With returns the annotations with what configuration says in their place.
func (a Annotations) With(h Hints) Annotations {
	for _, x := range [...]struct {
		to   *bool
		from *bool
	}{{&a.ReadOnly, h.ReadOnly}, {&a.Destructive, h.Destructive}, {&a.Idempotent, h.Idempotent}, {&a.OpenWorld, h.OpenWorld}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	return a
}

// Append writes the annotations that differ from what the specification takes for granted (destructive, not idempotent, open), and readOnlyHint
// always. For a tool that only reads the others mean nothing.
func (a Annotations) Append(dst []byte) []byte {
	dst = append(dst, `{"readOnlyHint":`...)
	dst = strconv.AppendBool(dst, a.ReadOnly)
	if !a.ReadOnly && !a.Destructive {
		dst = append(dst, `,"destructiveHint":false`...)
	}
	if !a.ReadOnly && a.Idempotent {
		dst = append(dst, `,"idempotentHint":true`...)
	}
	if !a.OpenWorld {
		dst = append(dst, `,"openWorldHint":false`...)
	}
	return append(dst, '}')
}

// Letters are the annotations in short: r reads only, d may destroy, i may be repeated.
func (a Annotations) Letters() string {
	s := ""
	if a.ReadOnly {
		s += "r"
	}
	if a.Destructive {
		s += "d"
	}
	if a.Idempotent {
		s += "i"
	}
	return s
}
