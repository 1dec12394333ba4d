package catalog

import (
	"bytes"
	"fmt"

	"weir/catalog/rawjson"
)

// readShape sees to it that a client can read the tool: clients read lists into the types of the specification (schema.ts, Tool), and many refuse a list as a
// whole for one member of another type. What a schema must mean is put right, an optional member of a wrong type is left out, and a tool whose inputSchema
// says nothing that can be relied on is withheld.
func (it *item) readShape(fields []rawjson.Span) (fault string) {
	if it.repairs, fault = repairSchema(it.raw, fields[1]); fault != "" {
		return "inputSchema: " + fault
	}
	for i, name := range Tool.members() {
		if i < 2 || fields[i].Absent() || fits(name, fields[i].Of(it.raw)) {
			continue
		}
		it.dropped = append(it.dropped, name)
	}
	return ""
}

// repairSchema returns what makes the schema at span of raw one that describes an object, or says why that cannot be done. Arguments are an object whatever
// the schema says of its type, and an empty list is what some languages make of an empty map.
func repairSchema(raw []byte, span rawjson.Span) (repairs []rawjson.Edit, fault string) {
	schema := span.Of(raw)
	f, err := rawjson.Fields(schema, "type", "properties", "required")
	if err != nil {
		return nil, err.Error()
	}
	replace := func(s rawjson.Span, with string) {
		repairs = append(repairs, rawjson.Edit{Span: rawjson.Span{Start: span.Start + s.Start, End: span.Start + s.End}, With: []byte(with)})
	}
	switch kind := f[0].Of(schema); {
	case f[0].Absent():
		with := `"type":"object"`
		if !emptyObject(schema) {
			with += ","
		}
		replace(rawjson.Span{Start: 1, End: 1}, with)
	case string(kind) == `"object"`:
	case !mayBeObject(kind):
		return nil, "its type is not object"
	default:
		replace(f[0], `"object"`)
	}
	switch properties := f[1].Of(schema); {
	case f[1].Absent():
	case properties[0] == '{':
		fault = schemas(properties, func(v rawjson.Span) {
			replace(rawjson.Span{Start: f[1].Start + v.Start, End: f[1].Start + v.End}, `{}`)
		})
		if fault != "" {
			return nil, fault
		}
	case string(properties) == "null" || properties[0] == '[' && emptyArray(properties):
		replace(f[1], `{}`)
	default:
		return nil, "its properties are not an object"
	}
	switch required := f[2].Of(schema); {
	case f[2].Absent() || required[0] == '[' && every(required, isString):
	case string(required) == "null":
		replace(f[2], `[]`)
	default:
		return nil, "what it requires is not a list of names"
	}
	return repairs, ""
}

// mayBeObject reports whether a schema's raw type lets objects pass.
func mayBeObject(kind []byte) bool {
	if s, ok := rawjson.String(kind); ok {
		return s == "object"
	}
	return kind[0] == '[' && !every(kind, func(v []byte) bool {
		s, _ := rawjson.String(v)
		return s != "object"
	})
}

// schemas says what of the members of an object is no schema. Those that are an empty list go to empty.
func schemas(properties []byte, empty func(rawjson.Span)) (fault string) {
	err := rawjson.Members(properties, func(key []byte, _, value rawjson.Span) bool {
		switch v := value.Of(properties); {
		case v[0] == '{' || string(v) == "true" || string(v) == "false":
		case v[0] == '[' && emptyArray(v):
			empty(value)
		default:
			fault = fmt.Sprintf("its property %s is no schema", quote(string(key)))
		}
		return fault == ""
	})
	if err != nil {
		return err.Error()
	}
	return fault
}

// fits reports whether the value of an optional member of a tool has the type that the specification gives it.
func fits(name string, value []byte) bool {
	switch name {
	case "title", "description":
		return isString(value)
	case "icons":
		return value[0] == '[' && every(value, func(icon []byte) bool {
			f, err := rawjson.Fields(icon, "src")
			return err == nil && isString(f[0].Of(icon))
		})
	case "annotations":
		return typed(value, func(key string, v []byte) bool {
			switch key {
			case "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint":
				return string(v) == "true" || string(v) == "false"
			}
			return true
		})
	case "execution":
		return typed(value, func(key string, v []byte) bool {
			s, _ := rawjson.String(v)
			return key != "taskSupport" || s == "optional" || s == "required" || s == "forbidden"
		})
	default: // outputSchema, _meta
		return value[0] == '{'
	}
}

// typed reports whether a value is an object whose members are all right. Titles are texts everywhere.
func typed(value []byte, right func(key string, v []byte) bool) bool {
	if value[0] != '{' {
		return false
	}
	ok := true
	err := rawjson.Members(value, func(key []byte, _, v rawjson.Span) bool {
		ok = right(string(key), v.Of(value)) && (string(key) != "title" || isString(v.Of(value)))
		return ok
	})
	return err == nil && ok
}

func every(arr []byte, right func([]byte) bool) bool {
	ok := true
	err := rawjson.Elements(arr, func(v rawjson.Span) bool {
		ok = right(v.Of(arr))
		return ok
	})
	return err == nil && ok
}

// isString reports whether a raw value is a string. Half of a surrogate pair in it is no fault: servers cut texts in the middle of an emoji.
func isString(raw []byte) bool { return len(raw) > 0 && raw[0] == '"' }

func emptyArray(arr []byte) bool { return every(arr, func([]byte) bool { return false }) }

func emptyObject(obj []byte) bool { return len(bytes.TrimSpace(obj[1:len(obj)-1])) == 0 }
