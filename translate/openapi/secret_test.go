package openapi

import (
	"fmt"
	"strings"
	"testing"
)

// What a description marks as secret is marked in the schemas that the record of calls reads, at any depth, also where what is listed is cut; there, a model
// has no use for it.
func TestSecretsStayMarked(t *testing.T) {
	const deep = `{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"object","properties":{"c":{"type":"object","properties":{"d":{"type":"object","properties":{"code":{"type":"string","format":"password"}}}}}}}}}}}`
	for _, version := range []string{"3.0.3", "3.1.0"} {
		both := strings.NewReplacer(`"get"`, `"post"`, `"responses"`, `"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{`+
			`"code":{"type":"string","format":"password"},"once":{"type":"string","writeOnly":true},"by":{"$ref":"#/components/schemas/Key"},"shown":{"type":"string","writeOnly":false},"deep":`+deep+`}}}}},"responses"`).
			Replace(answering(version, deep, `"Key":{"type":"string","writeOnly":true}`))
		reading := translateText(t, corpusFile{name: "secret", text: []byte(both)}, Spec{}).state
		arguments, result := reading.Source.Schemas("x")
		for text, want := range map[string]int{
			`"code":{"type":"string","format":"password"}`: 2, `"once":{"writeOnly":true,"type":"string"}`: 1, `"Key":{"writeOnly":true,"type":"string"}`: 1, `"shown":{"type":"string"}`: 1,
		} {
			if n := strings.Count(string(arguments), text); n != want {
				t.Errorf("%s: %d times %s in %s", version, n, text, arguments)
			}
		}
		if !strings.Contains(string(result), `"code":{"type":"string","format":"password"}`) {
			t.Errorf("%s: the result is %s", version, result)
		}
		if listed := fmt.Sprintf("%s", reading.Source.Tools); strings.Contains(listed, "writeOnly") || strings.Contains(listed, "password") {
			t.Errorf("%s: listed is %s", version, listed)
		}
	}
}
