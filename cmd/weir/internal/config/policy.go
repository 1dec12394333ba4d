package config

import (
	"reflect"
	"slices"
	"strings"

	"weir/policy"
)

// Section is where the policy stands in its file.
type Section struct {
	// Text is the section as written, up to and with the key that follows it: a file that was cut off within it is recognised by that.
	Text []byte

	src *source
	at  map[string]span // by path below policy, "" for policy itself
}

// ReadPolicy is [Read] for the policy alone: what is wrong elsewhere does not count, and references there need not be set.
func ReadPolicy(path string, env Env) (*File, error) {
	data, err := Load(path)
	if err != nil {
		return nil, err
	}
	return parseFile(path, data, env, true)
}

// newSection finds the policy in the file.
func newSection(s *source, root *node) *Section {
	section := &Section{src: s, at: make(map[string]span)}
	for i, m := range root.members {
		if m.key.text != "policy" {
			continue
		}
		end := len(s.data)
		if i+1 < len(root.members) {
			end = root.members[i+1].key.at.end
		}
		section.Text = s.data[m.key.at.start:max(end, m.key.at.start)]
		break
	}
	return section
}

// policyOnly drops the keys that are known and not the policy's, and keeps of the others whose names the policy speaks of.
func (r *reader) policyOnly(root *node, file *File) {
	if auth := root.member("auth"); auth != nil {
		quiet := &reader{src: r.src, expand: r.expand, section: &Section{}} // what is wrong there is not asked
		quiet.structure(&node{kind: object, members: []member{*auth}}, reflect.ValueOf(file).Elem(), "")
	}
	known := keysOf(reflect.TypeFor[File]())
	root.members = slices.DeleteFunc(root.members, func(m member) bool {
		return m.key.text != "policy" && slices.Contains(known, m.key.text)
	})
}

// Issuer is the one that users without an issuer in their name belong to: the only one whose tokens are taken, "" when there are none or
// several.
func (f *File) Issuer() (string, error) {
	if len(f.Auth.OIDC) != 1 {
		return "", nil
	}
	return f.Expander.Expand(f.Auth.OIDC[0].Issuer)
}

// note keeps where a key of the policy stands: at its value if that is on one line with it, else at the key.
func (s *Section) note(path string, m member) {
	at := m.key.at
	if m.value.scalar() {
		at = m.value.at
	}
	s.noteAt(path, at)
}

func (s *Section) noteAt(path string, at span) {
	if isPolicy(path) {
		s.at[strings.TrimPrefix(strings.TrimPrefix(path, "policy"), ".")] = at
	}
}

// isPolicy reports whether path lies in the policy.
func isPolicy(path string) bool { return path == "policy" || strings.HasPrefix(path, "policy.") }

// find returns where path stands, or what it is a part of.
func (s *Section) find(path string) span {
	for {
		if at, ok := s.at[path]; ok || path == "" {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// Place is where a key below policy stands, for [policy.Spec].
func (s *Section) Place(path string) policy.Place {
	line, _ := s.src.place(s.find(path).start)
	return policy.Place{File: s.src.name, Line: line}
}

// Problems gives what is wrong with the policy the form of everything else that is wrong with the file.
func (s *Section) Problems(found []policy.Problem) Problems {
	out := make(Problems, 0, len(found))
	for _, f := range found {
		message := "policy: " + f.Msg
		if f.Path != "" {
			message = "policy." + f.Path + ": " + f.Msg
		}
		if f.Place.File != "" && f.Place.File != s.src.name { // a file of rows
			out = append(out, Problem{File: f.Place.File, Line: max(f.Place.Line, 1), Column: 1, Message: message})
			continue
		}
		out = append(out, s.src.problem(s.find(f.Path), message))
	}
	slices.SortStableFunc(out, inOrder)
	return out
}
