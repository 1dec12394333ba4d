package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"weir/catalog/rawjson"
	"weir/cmd/weir/internal/config"
)

// parseArguments makes a JSON object of key=value pairs. The types are those of the input schema's properties; a property without one
// takes JSON where the value is JSON, and text otherwise.
func parseArguments(schema gjson.Result, pairs []string) ([]byte, error) {
	properties := schema.Get("properties")
	seen := make(map[string]bool)
	out := []byte{'{'}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("want key=value, got %q", pair)
		}
		if seen[key] {
			return nil, fmt.Errorf("%s is given twice; write a list as JSON: %s='[...]'", key, key)
		}
		seen[key] = true
		property := properties.Get(gjson.Escape(key))
		if !property.Exists() {
			if err := unknownArgument(schema, key); err != nil {
				return nil, err
			}
		}
		raw, err := encode(key, value, typesOf(property))
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(rawjson.AppendString(out, key), ':'), raw...)
	}
	for _, r := range schema.Get("required").Array() {
		if key := r.String(); !seen[key] {
			return nil, fmt.Errorf("%s is required%s", key, kindOf(properties.Get(gjson.Escape(key))))
		}
	}
	return append(out, '}'), nil
}

// unknownArgument refuses a key that the schema cannot take, and one that looks like a slip.
func unknownArgument(schema gjson.Result, key string) error {
	var known []string
	schema.Get("properties").ForEach(func(k, _ gjson.Result) bool {
		known = append(known, k.String())
		return true
	})
	near := config.Nearest(key, known)
	switch {
	case near != "":
		return fmt.Errorf("unknown argument %q; did you mean %q?", key, near)
	case schema.Get("additionalProperties").Type == gjson.False:
		return fmt.Errorf("unknown argument %q; there are %s", key, strings.Join(known, ", "))
	}
	return nil
}

// typesOf lists the JSON types a property may have; none means any.
func typesOf(property gjson.Result) []string {
	var types []string
	for _, t := range property.Get("type").Array() {
		types = append(types, t.String())
	}
	for _, form := range []string{"anyOf", "oneOf"} {
		for _, sub := range property.Get(form).Array() {
			types = append(types, typesOf(sub)...)
		}
	}
	return types
}

// kindOf says for people what a property is.
func kindOf(property gjson.Result) string {
	if types := typesOf(property); len(types) > 0 {
		return " (" + strings.Join(types, " or ") + ")"
	}
	return ""
}

// encode makes the JSON of a value that may be of any of types, the narrowest that fits.
func encode(key, value string, types []string) ([]byte, error) {
	text := len(types) == 0
	for _, t := range types {
		text = text || t == "string"
		if fits(value, t) {
			return []byte(strings.TrimSpace(value)), nil
		}
	}
	if len(types) == 0 && rawjson.Valid([]byte(value)) == nil && !strings.HasPrefix(value, `"`) {
		return []byte(value), nil
	}
	if !text {
		return nil, fmt.Errorf("%s: want %s, got %q", key, strings.Join(types, " or "), value)
	}
	return rawjson.AppendString(nil, value), nil
}

// fits reports whether value is JSON of the type; text is never taken for JSON.
func fits(value, kind string) bool {
	b := []byte(strings.TrimSpace(value))
	if len(b) == 0 || rawjson.Valid(b) != nil {
		return false
	}
	switch kind {
	case "number":
		return b[0] == '-' || b[0] >= '0' && b[0] <= '9'
	case "integer":
		return json.Unmarshal(b, new(json.Number)) == nil && b[0] != '"' && !bytes.ContainsAny(b, ".eE")
	case "boolean":
		return b[0] == 't' || b[0] == 'f'
	case "null":
		return b[0] == 'n'
	case "array":
		return b[0] == '['
	case "object":
		return b[0] == '{'
	}
	return false
}
