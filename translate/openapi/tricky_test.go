package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir/translate"
	"weir/translate/schema"
)

// TestTricky has one row for each thing in real descriptions that translators are known to fail on.
func TestTricky(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(*testing.T)
	}{
		{"reference cycles", trickyCycles},
		{"clients that drop $defs", trickyDefinitions},
		{"dangling references", trickyDangling},
		{"external references and several files", trickyFiles},
		{"combinator at the root", trickyRoot},
		{"oneOf that overlaps", trickyOneOf},
		{"discriminator mapping without oneOf", trickyMapping},
		{"nullable and type arrays", trickyNullable},
		{"explicit null", trickyNull},
		{"replies that break their own schema", trickyReplies},
		{"same name in two places", trickySameName},
		{"argument names that providers refuse", trickyNames},
		{"style, explode and deepObject", trickyArrays},
		{"path values", trickyPathValues},
		{"fragments in path keys", trickyFragments},
		{"header parameters that mean nothing", trickyHeaders},
		{"readOnly and writeOnly", trickyReadOnly},
		{"optional body with required properties", trickyOptionalBody},
		{"required names without a property", trickyRequired},
		{"schemas written another way", trickyNormalized},
		{"patterns that RE2 cannot compile", trickyPatterns},
		{"multipart and files", trickyUploads},
		{"binary replies", trickyBinary},
		{"names that are too long or alike", trickyToolNames},
		{"cost of the whole list", trickyCost},
		{"reply too large", trickyLarge},
		{"OAuth client credentials", trickyOAuth},
		{"credentials crossing APIs", trickyCrossing},
		{"servers", trickyServers},
		{"webhooks, callbacks, links", trickyWebhooks},
		{"deprecated", trickyDeprecated},
		{"methods", trickyMethods},
	} {
		t.Run(row.name, row.test)
	}
}

// taking is a description of one operation, POST /x, with a required JSON body of a schema; schemas are components.
func taking(version, body, schemas string) string {
	return fmt.Sprintf(`{"openapi":%q,"info":{"title":"t","version":"1"},"paths":{"/x":{"post":{"operationId":"x","requestBody":{"required":true,"content":{"application/json":{"schema":%s}}},"responses":{"204":{"description":"d"}}}}},"components":{"schemas":{%s}}}`,
		version, body, schemas)
}

// answering is a description of one operation, GET /x, with a JSON answer of a schema.
func answering(version, answer, schemas string) string {
	return fmt.Sprintf(`{"openapi":%q,"info":{"title":"t","version":"1"},"paths":{"/x":{"get":{"operationId":"x","responses":{"200":{"description":"d","content":{"application/json":{"schema":%s}}}}}}},"components":{"schemas":{%s}}}`,
		version, answer, schemas)
}

// asking is a description of one operation, GET /x, with parameters.
func asking(version, parameters string) string {
	return fmt.Sprintf(`{"openapi":%q,"info":{"title":"t","version":"1"},"paths":{"/x":{"get":{"operationId":"x","parameters":[%s],"responses":{"204":{"description":"d"}}}}}}`, version, parameters)
}

// one translates a description with one operation.
func one(t *testing.T, text string) (*tool, []translate.Warning) {
	t.Helper()
	tr := translateText(t, corpusFile{name: "tricky", text: []byte(text)}, Spec{})
	if len(tr.tools) != 1 {
		t.Fatalf("%d tools, %+v", len(tr.tools), tr.state.Report.Warnings)
	}
	return tr.tools[0], tr.state.Report.Warnings
}

// listing is a tool as it is listed.
func listing(t *testing.T, x *tool) *schema.Value {
	t.Helper()
	item, err := schema.Parse(x.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// argumentOf is the published schema of an argument.
func argumentOf(t *testing.T, x *tool, name string) *schema.Value {
	t.Helper()
	v := listing(t, x).Get("inputSchema").Get("properties").Get(name)
	if v == nil {
		t.Fatalf("there is no argument %q: %s", name, x.Raw)
	}
	return v
}

// bodies gives a tool arguments one after the other: want is the body that is sent, "" for a refusal. Each time the full schema takes them, the
// published one does.
func bodies(t *testing.T, x *tool, want map[string]string) {
	t.Helper()
	published, err := schema.Compile(schema.Full{Root: listing(t, x).Get("inputSchema"), Defs: schema.NewDefs()}, schema.Untrusted())
	if err != nil {
		t.Fatalf("%s: %v", x.Raw, err)
	}
	if err := profile(listing(t, x).Get("inputSchema"), true); err != nil {
		t.Errorf("%s: %v", x.Raw, err)
	}
	for arguments, body := range want {
		args, refused := x.Input.Accept([]byte(arguments))
		if refused != nil {
			if body != "" {
				a, err := refused.Answer()
				t.Errorf("%s is refused: %s, %v", arguments, a.Message.Data, err)
			}
			continue
		}
		if faults := published.Check(args.Plain()); len(faults) > 0 {
			t.Errorf("%s: what is published refuses it: %+v: %s", arguments, faults, x.Raw)
		}
		out, err := x.plan.outgoing(t.Context(), nil, args, "")
		if err != nil {
			t.Errorf("%s: %v", arguments, err)
		} else if string(out.body) != body {
			t.Errorf("%s is sent as %q, want %q", arguments, out.body, body)
		}
	}
}

// warned fails unless a warning has a pointer and says something.
func warned(t *testing.T, warnings []translate.Warning, pointer, message string) {
	t.Helper()
	if !slices.ContainsFunc(warnings, func(w translate.Warning) bool {
		return w.Pointer == pointer && strings.Contains(w.Message, message)
	}) {
		t.Errorf("no warning at %s says %q: %+v", pointer, message, warnings)
	}
}

// answered calls the operation x of a description; answer writes what the API says.
func answered(t *testing.T, text string, spec Spec, arguments string, answer http.HandlerFunc) *schema.Value {
	t.Helper()
	spec.Server = "https://h.test"
	a := newAPI(t, text, spec, translate.Options{Transport: direct{answer}})
	got, err := call(t, a, "x", arguments)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
