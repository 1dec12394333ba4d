package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const argumentSchema = `{"type":"object","required":["name"],"properties":{
	"name":{"type":"string"},"n":{"type":"number"},"i":{"type":"integer"},"b":{"type":"boolean"},"l":{"type":"array"},"o":{"type":"object"},
	"any":{},"si":{"type":["string","integer"]},"maybe":{"anyOf":[{"type":"integer"},{"type":"null"}]},"a.b":{"type":"integer"}}}`

func TestParseArguments(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ args, want, err string }{
		{`name=x`, `{"name":"x"}`, ""},
		{`name=5`, `{"name":"5"}`, ""},
		{`name=true`, `{"name":"true"}`, ""},
		{`name=`, `{"name":""}`, ""},
		{`name=a=b`, `{"name":"a=b"}`, ""},
		{`name=say"hi"`, `{"name":"say\"hi\""}`, ""},
		{`name=x n=1.5e3`, `{"name":"x","n":1.5e3}`, ""},
		{`name=x i=12345678901234567890`, `{"name":"x","i":12345678901234567890}`, ""},
		{`name=x i=-0`, `{"name":"x","i":-0}`, ""},
		{`name=x b=false`, `{"name":"x","b":false}`, ""},
		{`name=x l=[1,"2"]`, `{"name":"x","l":[1,"2"]}`, ""},
		{`name=x o={"a":{}}`, `{"name":"x","o":{"a":{}}}`, ""},
		{`name=x any=5`, `{"name":"x","any":5}`, ""},
		{`name=x any=five`, `{"name":"x","any":"five"}`, ""},
		{`name=x any="5"`, `{"name":"x","any":"\"5\""}`, ""},
		{`name=x si=5`, `{"name":"x","si":5}`, ""},
		{`name=x si=five`, `{"name":"x","si":"five"}`, ""},
		{`name=x maybe=null`, `{"name":"x","maybe":null}`, ""},
		{`name=x a.b=5`, `{"name":"x","a.b":5}`, ""},
		{`name=x unlisted=5`, `{"name":"x","unlisted":5}`, ""},
		{`name=x i=1.5`, "", `i: want integer, got "1.5"`},
		{`name=x i="5"`, "", `i: want integer`},
		{`name=x n=NaN`, "", `n: want number, got "NaN"`},
		{`name=x b=yes`, "", `b: want boolean, got "yes"`},
		{`name=x l={}`, "", `l: want array`},
		{`name=x o=[`, "", `o: want object`},
		{`name=x maybe=5x`, "", `maybe: want integer or null`},
		{`nam=x`, "", `unknown argument "nam"; did you mean "name"?`},
		{`b=true`, "", `name is required (string)`},
		{`name=x name=y`, "", `name is given twice`},
		{`name`, "", `want key=value, got "name"`},
		{`=x`, "", `want key=value`},
	} {
		got, err := parseArguments(gjson.Parse(argumentSchema), strings.Fields(tc.args))
		switch {
		case tc.err == "" && (err != nil || string(got) != tc.want):
			t.Errorf("%s: %s, %v; want %s", tc.args, got, err, tc.want)
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: %s, %v; want error %s", tc.args, got, err, tc.err)
		}
	}
	closed := gjson.Parse(`{"additionalProperties":false,"properties":{"first":{}}}`)
	if _, err := parseArguments(closed, []string{"other=1"}); err == nil || !strings.Contains(err.Error(), "there are first") {
		t.Errorf("an argument that a closed schema does not name: %v", err)
	}
	if got, err := parseArguments(gjson.Result{}, nil); err != nil || string(got) != "{}" {
		t.Errorf("no schema, no arguments: %s, %v", got, err)
	}
}

// FuzzParseArguments holds that what is accepted is one JSON object with the given key, whatever schema and value are.
func FuzzParseArguments(f *testing.F) {
	f.Add(argumentSchema, "i", "5")
	f.Add(`{"properties":{"x":{"type":["array",{}]}}}`, "x", "[")
	f.Add(`[`, "a\x00", "\xff")
	f.Fuzz(func(t *testing.T, schema, key, value string) {
		got, err := parseArguments(gjson.Parse(schema), []string{key + "=" + value})
		if err != nil {
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(got, &object); err != nil || len(object) != 1 {
			t.Errorf("%q=%q became %q: %v", key, value, got, err)
		}
	})
}
