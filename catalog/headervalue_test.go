package catalog

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

func TestHeaderValue(t *testing.T) {
	tests := []struct {
		path, arguments string
		want            string
		ok              bool
	}{
		{"a", `{"a":"x"}`, "x", true},
		{"a", `{"a":""}`, "", true},
		{"a", ` { "b" : {"a":1} , "a" : "x\n\u00e9\"" } `, "x\né\"", true},
		{"a", `{"\u0061":"x"}`, "x", true},
		{"a", `{"a":true}`, "true", true},
		{"a", `{"a":false}`, "false", true},
		{"a", `{"a":0}`, "0", true},
		{"a", `{"a":-0}`, "0", true},
		{"a", `{"a":-17}`, "-17", true},
		{"a", `{"a":9007199254740993}`, "9007199254740993", true},
		{"a", `{"a":42.0}`, "42", true},
		{"a", `{"a":4.20e2}`, "420", true},
		{"a", `{"a":4200E-2}`, "42", true},
		{"a", `{"a":1e+3}`, "1000", true},
		{"a", `{"a":0.0e999999999999999999999}`, "0", true},
		{"a", `{"a":1.5}`, "", false},
		{"a", `{"a":1e-1}`, "", false},
		{"a", `{"a":1e400}`, "", false},
		{"a", `{"a":1e99999999999999999999}`, "", false},
		{"a", `{"a":1e9223372036854775807}`, "", false},
		{"a", `{"a":0.1e-9223372036854775808}`, "", false},
		{"a", `{"a":1e-99999999999999999999}`, "", false},
		{"a", `{"a":` + strings.Repeat("9", 64) + `}`, strings.Repeat("9", 64), true},
		{"a", `{"a":` + strings.Repeat("9", 65) + `}`, "", false},
		{"a", `{"a":null}`, "", false},
		{"a", `{"a":{}}`, "", false},
		{"a", `{"a":["x"]}`, "", false},
		{"a", `{"b":"x"}`, "", false},
		{"a", `{"A":"x"}`, "", false},
		{"a", `{"a":"x","A":"y"}`, "x", true},
		{"a", `{"a":"x","a":"y"}`, "", false},
		{"a", `{}`, "", false},
		{"a", ``, "", false},
		{"a", `"a"`, "", false},
		{"a", `{"a":"x"`, "", false},
		{"o.p.q", `{"o":{"q":1,"p":{"q":"deep"}}}`, "deep", true},
		{"o.p.q", `{"o":{"p":null}}`, "", false},
		{"o.p.q", `{"o":["p"]}`, "", false},
		{"o.p", `{"o":{"p":1},"o":{}}`, "", false},
	}
	for _, tt := range tests {
		got, ok := (&Entry{}).HeaderValue(HeaderParam{Path: strings.Split(tt.path, ".")}, []byte(tt.arguments))
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s in %s: got %q %v, want %q %v", tt.path, tt.arguments, got, ok, tt.want, tt.ok)
		}
	}
}

func TestHeaderMatches(t *testing.T) {
	tests := []struct {
		argument, header string
		want             bool
	}{
		{`"eu"`, "eu", true},
		{`"eu"`, "EU", false},
		{`"eu"`, "", false},
		{`""`, "", true},
		{`"5"`, "5.0", false},
		{`"true"`, "true", true},
		{`42`, "42", true},
		{`42`, "42.0", true},
		{`42.0`, "42", true},
		{`4.2e1`, "420e-1", true},
		{`42`, "43", false},
		{`42`, "042", false},
		{`42`, "+42", false},
		{`42`, " 42", false},
		{`42`, "0x2a", false},
		{`42`, "42\u0660", false},
		{`0`, "-0", true},
		{`9007199254740993`, "9007199254740992", false},
		{`true`, "true", true},
		{`true`, "True", false},
		{`true`, "1", false},
		{`null`, "", false},
		{`null`, "null", false},
		{`[]`, "[]", false},
		{`1.5`, "1.5", false},
	}
	p := HeaderParam{Path: []string{"a"}}
	for _, tt := range tests {
		if got := HeaderMatches(p, tt.header, []byte(`{"a":`+tt.argument+`}`)); got != tt.want {
			t.Errorf("%q for %s: %v", tt.header, tt.argument, got)
		}
	}
	if HeaderMatches(p, "", []byte(`{}`)) || HeaderMatches(p, "", nil) {
		t.Error("a header matches an argument that is not there")
	}
}

// The canonical form is what math/big makes of the same number.
func FuzzInteger(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.50e1", "1e20", "0.001e3", "12345678901234567890", "01", "1.", "-", "1e", "e1", "1e+", "--1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := integer(text)
		isNumber := json.Valid([]byte(text)) && strings.Trim(text, "-.eE+0123456789") == ""
		if !isNumber {
			if ok {
				t.Errorf("%q is no JSON number and became %q", text, got)
			}
			return
		}
		if i := strings.IndexAny(text, "eE"); i >= 0 && len(text)-i > 5 {
			return // math/big would fill the memory
		}
		n, known := new(big.Rat).SetString(text)
		if !known {
			t.Fatalf("math/big refuses %q", text)
		}
		fits := n.IsInt() && len(new(big.Int).Abs(n.Num()).String()) <= maxDigits
		if ok != fits || ok && got != n.Num().String() {
			t.Errorf("%q: got %q %v, want %s %v", text, got, ok, n, fits)
		}
	})
}

func FuzzHeaderMatches(f *testing.F) {
	f.Add(`{"a":"x"}`, "x")
	f.Add(`{"a":1.0}`, "1")
	f.Add(`{"a":{"a":1}}`, "")
	f.Fuzz(func(t *testing.T, arguments, header string) {
		p := HeaderParam{Path: []string{"a"}}
		value, ok := (&Entry{}).HeaderValue(p, []byte(arguments))
		if ok && !HeaderMatches(p, value, []byte(arguments)) {
			t.Errorf("the value %q of %s does not match itself", value, arguments)
		}
		if !ok && HeaderMatches(p, header, []byte(arguments)) {
			t.Errorf("%q matches %s, which has no value", header, arguments)
		}
	})
}
