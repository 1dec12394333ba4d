package grpc

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"weir/translate"
)

// What debug_redact keeps from logs is marked in the schemas that the record of calls reads.
func TestSecretsStayMarked(t *testing.T) {
	tools, d := sourceTools(t, `syntax = "proto3"; package p;
service S { rpc Sign(In) returns (In); }
message Key { string text = 1; }
message In {
  string code = 1 [debug_redact = true];
  // d
  repeated Key keys = 2 [debug_redact = true];
  Key shown = 3 [debug_redact = false];
  Deep deep = 4;
}
message Deep { bytes code = 1 [debug_redact = true]; }`)
	a := &API{options: translate.Options{Upstream: "api"}}
	reading := translate.NewReading("api", &a.spec.Spec, a.translation(slices.Collect(maps.Values(tools)), d))
	arguments, result := reading.Source.Schemas("S_Sign")
	for side, schemas := range map[string][]byte{"arguments": arguments, "results": result} {
		text := string(schemas)
		for _, want := range []string{
			`"code":{"writeOnly":true,"type":"string"}`, `"keys":{"description":"d","writeOnly":true,"type":"array"`, `"code":{"description":"(base64)","writeOnly":true,"type":"string"`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in %s", side, want, text)
			}
		}
		if n := strings.Count(text, `"writeOnly":true`); n != 3 {
			t.Errorf("%s: %d marks in %s", side, n, text)
		}
	}
}
