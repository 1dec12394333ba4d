package policy

import (
	"fmt"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Annotations say what tools do, by patterns over Refs. What an upstream says of itself counts only where it is trusted: without any of
// these a tool is taken to change things, to destroy, to differ when repeated and to reach the outside world, as the specification's
// defaults have it. Prompts and resources are only read.
type Annotations struct {
	// Trusted tools are what their upstream's own annotations say.
	Trusted []string `yaml:"trusted,omitempty"`
	// ReadOnly tools change nothing.
	ReadOnly []string `yaml:"readOnly,omitempty"`
	// Additive tools change things but destroy nothing.
	Additive []string `yaml:"additive,omitempty"`
	// Destructive tools may destroy; this wins over every other word about the same tool.
	Destructive []string `yaml:"destructive,omitempty"`
	// Idempotent tools have no further effect when they are called again with the same arguments.
	Idempotent []string `yaml:"idempotent,omitempty"`
	// ClosedWorld tools reach nothing outside of their own domain.
	ClosedWorld []string `yaml:"closedWorld,omitempty"`
}

// hints are the approved annotations of an entry.
type hints struct{ readOnly, destructive, idempotent, openWorld bool }

// approved are Annotations, read.
type approved struct{ trusted, readOnly, additive, destructive, idempotent, closedWorld []pattern }

// readAnnotations reads all patterns and reports those that cannot be read.
func (c *compiler) readAnnotations(a Annotations) (ap approved) {
	for _, list := range [...]struct {
		key   string
		texts []string
		into  *[]pattern
	}{
		{"trusted", a.Trusted, &ap.trusted},
		{"readOnly", a.ReadOnly, &ap.readOnly},
		{"additive", a.Additive, &ap.additive},
		{"destructive", a.Destructive, &ap.destructive},
		{"idempotent", a.Idempotent, &ap.idempotent},
		{"closedWorld", a.ClosedWorld, &ap.closedWorld},
	} {
		for i, text := range list.texts {
			p, err := parsePattern(text)
			if err != nil {
				c.problem(fmt.Sprintf("annotations.%s[%d]", list.key, i), "%v", err)
				continue
			}
			*list.into = append(*list.into, p)
		}
	}
	return ap
}

// of returns what is approved about e.
func (ap *approved) of(e *catalog.Entry) hints {
	if e.Kind != catalog.Tool {
		return hints{readOnly: true, idempotent: true, openWorld: !matchAny(ap.closedWorld, e.Ref)}
	}
	h := hints{destructive: true, openWorld: true}
	if matchAny(ap.trusted, e.Ref) {
		h.claim(e.Raw(catalog.Modern))
	}
	if matchAny(ap.readOnly, e.Ref) {
		h.readOnly, h.destructive = true, false
	}
	if matchAny(ap.additive, e.Ref) {
		h.destructive = false
	}
	if matchAny(ap.destructive, e.Ref) {
		h.readOnly, h.destructive = false, true
	}
	h.idempotent = h.idempotent || h.readOnly || matchAny(ap.idempotent, e.Ref)
	h.openWorld = h.openWorld && !matchAny(ap.closedWorld, e.Ref)
	return h
}

// ReadOnly reports whether it is approved that e changes nothing: prompts and resources do not, tools where the annotations of the policy say so.
func (p *Policy) ReadOnly(e *catalog.Entry) bool { return p.approved.of(e).readOnly }

// claim takes over the annotations of a raw tool (spec, ToolAnnotations). What cannot be read is as if it were not there.
func (h *hints) claim(raw []byte) {
	f, err := rawjson.Fields(raw, "annotations")
	if err != nil || f[0].Absent() {
		return
	}
	object := f[0].Of(raw)
	f, err = rawjson.Fields(object, "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
	if err != nil {
		return
	}
	says := func(i int, otherwise bool) bool {
		switch {
		case f[i].Absent():
			return otherwise
		case otherwise:
			return string(f[i].Of(object)) != "false"
		default:
			return string(f[i].Of(object)) == "true"
		}
	}
	h.readOnly = says(0, false)
	h.destructive = !h.readOnly && says(1, true)
	h.idempotent = says(2, false)
	h.openWorld = says(3, true)
}

func matchAny(patterns []pattern, r catalog.Ref) bool {
	for i := range patterns {
		if patterns[i].match(r) {
			return true
		}
	}
	return false
}
