package schema_test

import (
	"testing"

	"weir/translate/schema"
)

// TestPlainly compares with the validator: what is taken without it is valid, and the everyday schemas are taken without it.
func TestPlainly(t *testing.T) {
	schemas := []string{
		`{}`, `true`, `false`, `{"type":"integer"}`, `{"type":"number"}`, `{"type":"string"}`, `{"type":["string","null"]}`, `{"type":"array"}`, `{"type":"object"}`, `{"type":"boolean"}`,
		`{"type":"integer","minimum":1,"maximum":100}`, `{"minimum":1.5}`, `{"maximum":1e2}`, `{"exclusiveMinimum":1}`, `{"multipleOf":2}`,
		`{"type":"string","minLength":2,"maxLength":3}`, `{"pattern":"^a"}`, `{"format":"date-time"}`, `{"enum":["a","ab",1,null]}`, `{"const":"a"}`,
		`{"type":"array","items":{"type":"integer"}}`, `{"items":false}`, `{"minItems":1}`, `{"uniqueItems":true}`, `{"prefixItems":[{"type":"string"}]}`,
		`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}`,
		`{"properties":{"a":false}}`, `{"additionalProperties":{"type":"integer"}}`, `{"additionalProperties":false}`, `{"properties":{"a":true},"additionalProperties":{"type":"string"}}`, `{"patternProperties":{"^a":false}}`, `{"dependentRequired":{"a":["b"]}}`, `{"propertyNames":{"maxLength":1}}`,
		`{"$ref":"#/$defs/Tree"}`, `{"$ref":"#/$defs/Tree","required":["b"]}`, `{"$ref":"#/$defs/Self"}`,
		`{"allOf":[{"type":"integer"},{"minimum":2}]}`, `{"anyOf":[{"type":"integer"},{"type":"string"}]}`, `{"oneOf":[{"type":"integer"},{"type":"number"}]}`, `{"not":{"type":"string"}}`,
		`{"unevaluatedProperties":false}`, `{"if":{"type":"string"},"then":false}`, `{"type":"integer","description":"d","title":"t","default":"x","examples":[1],"deprecated":true}`,
	}
	values := []string{
		`null`, `true`, `0`, `1`, `-1`, `2`, `100`, `101`, `1.0`, `1.5`, `1e2`, `-0`, `9223372036854775807`, `9223372036854775808`, `""`, `"a"`, `"ab"`, `"éé"`, `"abcd"`, `[]`, `[1]`, `["a"]`, `[1,1]`, `[1,"a"]`,
		`{}`, `{"a":1}`, `{"a":"x"}`, `{"a":1,"b":"x"}`, `{"a":1,"b":2}`, `{"b":"x"}`, `{"a":1,"c":1}`, `{"a":{"a":{"a":1}}}`, `{"a":{"a":"x"}}`, `{"long":1}`,
	}
	tree := parse(t, `{"type":"object","properties":{"a":{"anyOf":[{"type":"integer"},{"$ref":"#/$defs/Tree"}]},"b":{"type":"string"}},"additionalProperties":false}`)
	sure, valid := 0, 0
	for _, s := range schemas {
		defs := schema.NewDefs()
		defs.Add("Tree", tree)
		defs.Add("Self", parse(t, `{"anyOf":[{"$ref":"#/$defs/Self"},{"type":"string"}]}`))
		f := schema.Full{Root: parse(t, s), Defs: defs}
		check, err := schema.Compile(f, schema.Described())
		if err != nil { // refers to itself: nothing is sent without a check, but what fits plainly fits
			continue
		}
		for _, text := range values {
			v := parse(t, text)
			plainly := f.Plainly(v)
			faults := check.Check(v.Plain())
			if len(faults) == 0 {
				valid++
			}
			if plainly {
				sure++
			}
			if plainly && len(faults) > 0 {
				t.Errorf("%s is taken by %s: %v", text, s, faults)
			}
		}
	}
	if valid < 500 || sure*3 < valid {
		t.Errorf("only %d of %d valid values are taken without the validator", sure, valid)
	}
}

func BenchmarkPlainly(b *testing.B) {
	f := schema.Full{Root: parse(b, `{"type":"object","properties":{"id":{"type":"integer"},"lang":{"type":"string"}},"required":["id"],"additionalProperties":false}`), Defs: schema.NewDefs()}
	v := parse(b, `{"id":7,"lang":"en"}`)
	check, err := schema.Compile(f, schema.Described())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("plainly", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !f.Plainly(v) {
				b.Fatal("doubt")
			}
		}
	})
	b.Run("validator", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if len(check.Check(v.Plain())) > 0 {
				b.Fatal("faults")
			}
		}
	})
}
