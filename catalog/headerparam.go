package catalog

import (
	"bytes"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"weir/catalog/rawjson"
)

const (
	headerKeyword = "x-mcp-header"
	headerPrefix  = "Mcp-Param-"
	// maxHeaders bounds what one tool can make every call carry and check.
	maxHeaders = 64
	// maxSchemaDepth bounds how many schemas inside each other are searched for the keyword: each level is read once more.
	maxSchemaDepth = 32
)

// HeaderParam binds one argument of a tool to an Mcp-Param-* header (spec 2026-07-28, server/tools).
type HeaderParam struct {
	Header string   // the full header name in canonical form, "Mcp-Param-Region"
	Path   []string // the argument's path through nested properties
}

// headerParams reads the x-mcp-header annotations of an inputSchema, or says what is wrong with the first that is. By the specification
// they are valid on properties of type integer, string or boolean that are reached from the root through properties alone; the value is an
// HTTP token (RFC 9110 section 5.6.2) that no other annotation of the schema has, whatever the case. Weir adds that there
// are at most maxHeaders and that each can be read in one way only.
func headerParams(schema []byte) (params []HeaderParam, fault string) {
	if !mentionsHeader(schema) {
		return nil, ""
	}
	var w headerWalk
	w.schema(schema, nil, true, 0)
	if w.fault != "" {
		return nil, w.fault
	}
	return w.params, ""
}

// mayMentionHeader is mentionsHeader at less cost: it takes every \u escape for the keyword.
func mayMentionHeader(schema []byte) bool {
	return bytes.Contains(schema, []byte(headerKeyword)) || bytes.Contains(schema, []byte(`\u00`))
}

// mentionsHeader reports whether the keyword stands anywhere in schema, as it is or with \u escapes, the only ones that
// its characters have.
func mentionsHeader(schema []byte) bool {
	keyword := []byte(headerKeyword)
	escape := []byte(`\u00`)
	if bytes.Contains(schema, keyword) || !bytes.Contains(schema, escape) {
		return bytes.Contains(schema, keyword)
	}
	plain := make([]byte, 0, len(schema))
	for rest := schema; ; {
		before, after, found := bytes.Cut(rest, escape)
		plain = append(plain, before...)
		if !found || len(after) < 2 {
			return bytes.Contains(plain, keyword)
		}
		c, err := strconv.ParseUint(string(after[:2]), 16, 8)
		if err != nil {
			return true
		}
		plain = append(plain, byte(c))
		rest = after[2:]
	}
}

// headerWalk collects annotations. The walk ends at the first fault. It reads bytes that [rawjson.Fields] accepted, so it leaves the errors
// of its inner walks alone: there are none.
type headerWalk struct {
	params []HeaderParam
	fault  string
}

func (w *headerWalk) fail(path []string, format string, args ...any) {
	where := "inputSchema"
	if len(path) > 0 {
		where = "property " + quote(strings.Join(path, "."))
	}
	w.fault = where + ": " + fmt.Sprintf(format, args...)
}

// schema reads one schema. path is where it stands, reachable whether a client can tell from path alone which argument it describes.
func (w *headerWalk) schema(schema []byte, path []string, reachable bool, depth int) {
	if schema[0] != '{' || !mayMentionHeader(schema) || depth > maxSchemaDepth && !mentionsHeader(schema) {
		return
	}
	if depth > maxSchemaDepth {
		w.fail(path[:1], "%s stands too deep in the schema", headerKeyword)
		return
	}
	fields, err := rawjson.Fields(schema, headerKeyword, "type", "properties")
	if err != nil {
		w.fail(path, "a schema with %s has a key twice, or a key that differs from a known one in case", headerKeyword)
		return
	}
	if annotation := fields[0].Of(schema); annotation != nil {
		w.annotation(annotation, fields[1].Of(schema), path, reachable)
	}
	if properties := fields[2].Of(schema); properties != nil && w.fault == "" {
		w.schemas(properties, path, reachable, depth)
	}
	if w.fault == "" {
		w.subschemas(schema, path, depth)
	}
}

// annotation checks one annotation and keeps it.
func (w *headerWalk) annotation(raw, kind []byte, path []string, reachable bool) {
	token, ok := rawjson.String(raw)
	header := textproto.CanonicalMIMEHeaderKey(headerPrefix + token)
	switch {
	case len(path) == 0:
		w.fail(path, "%s on the root, which is no property", headerKeyword)
	case !reachable:
		w.fail(path, "%s is not reached through properties alone", headerKeyword)
	case !ok || token == "":
		w.fail(path, "%s is not a string with text", headerKeyword)
	case !isToken(token):
		w.fail(path, "%s %s is not an HTTP token", headerKeyword, quote(token))
	case !isHeaderType(kind):
		w.fail(path, "%s on a type other than integer, string and boolean", headerKeyword)
	case len(w.params) == maxHeaders:
		w.fail(path, "more than %d %s annotations", maxHeaders, headerKeyword)
	case slices.ContainsFunc(w.params, func(p HeaderParam) bool { return p.Header == header }):
		w.fail(path, "%s %s is taken by another property", headerKeyword, quote(token))
	default:
		w.params = append(w.params, HeaderParam{Header: header, Path: slices.Clone(path)})
	}
}

func isHeaderType(raw []byte) bool {
	kind, _ := rawjson.String(raw)
	return kind == "integer" || kind == "string" || kind == "boolean"
}

// isToken reports whether s is made of tchar alone (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// schemas reads an object whose members are schemas: properties, $defs and the like.
func (w *headerWalk) schemas(object []byte, path []string, reachable bool, depth int) {
	if object[0] != '{' || !mayMentionHeader(object) {
		return
	}
	if _, err := rawjson.Fields(object); err != nil {
		w.fail(path, "an object of schemas with %s has a key twice", headerKeyword)
		return
	}
	_ = rawjson.Members(object, func(key []byte, _, value rawjson.Span) bool {
		w.schema(value.Of(object), append(slices.Clip(path), string(key)), reachable, depth+1)
		return w.fault == ""
	})
}

// subschemas reads the schemas in schema that are not its properties; no annotation may stand there. Members that hold data (default,
// const, enum, examples) or that JSON Schema 2020-12 does not know are not schemas.
func (w *headerWalk) subschemas(schema []byte, path []string, depth int) {
	_ = rawjson.Members(schema, func(key []byte, _, span rawjson.Span) bool {
		value := span.Of(schema)
		inner := append(slices.Clip(path), string(key))
		switch string(key) {
		case "items", "contains", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties",
			"propertyNames", "not", "if", "then", "else", "contentSchema", "allOf", "anyOf", "oneOf", "prefixItems":
			if value[0] == '[' {
				_ = rawjson.Elements(value, func(element rawjson.Span) bool {
					w.schema(element.Of(value), inner, false, depth+1)
					return w.fault == ""
				})
			} else {
				w.schema(value, inner, false, depth+1)
			}
		case "$defs", "definitions", "dependentSchemas", "dependencies", "patternProperties":
			w.schemas(value, inner, false, depth)
		}
		return w.fault == ""
	})
}
