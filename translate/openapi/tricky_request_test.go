package openapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"weir/translate"
	"weir/translate/schema"
)

func trickySameName(t *testing.T) {
	x, _ := one(t, `{"openapi":"3.0.0","paths":{"/a/{id}":{"post":{"operationId":"x","parameters":[
		{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"id","in":"query","schema":{"type":"string"}},{"name":"id","in":"header","schema":{"type":"string"}},
		{"name":"id","in":"cookie","schema":{"type":"string"}},{"name":"id__query","in":"query","schema":{"type":"string"}}],
		"requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"id":{"type":"integer"},"x__header":{"type":"string"}}}}}},"responses":{}}}}}`)
	args, refused := x.Input.Accept([]byte(`{"id":1,"id__path":"p","id__query":"q","id__header":"h","id__cookie":"c","x__header":"b"}`))
	if refused != nil {
		a, err := refused.Answer()
		t.Fatalf("%s, %v", a.Message.Data, err)
	}
	out, err := x.plan.outgoing(t.Context(), nil, args, "")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %s %s %s", out.url.RequestURI(), out.header.Get("id"), out.header.Get("Cookie"), out.body)
	if want := `/base/a/p?id=q h id=c {"id":1,"x__header":"b"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var other string // the parameter that is really called id__query
	for _, a := range x.plan.arguments {
		if a.wire == "id__query" {
			other = a.Name
		}
	}
	if other == "id__query" || !strings.HasPrefix(other, "id__query_") {
		t.Errorf("two arguments are called %s", other)
	}
	if args, refused = x.Input.Accept(fmt.Appendf(nil, `{"id__path":"p",%q:"z"}`, other)); refused != nil {
		t.Fatal("refused")
	}
	if out, err := x.plan.outgoing(t.Context(), nil, args, ""); err != nil || out.url.RawQuery != "id__query=z" {
		t.Errorf("%v, %v", out, err)
	}
}

func trickyNames(t *testing.T) {
	x, _ := one(t, asking("3.0.0", `{"name":"StartTime","in":"query","schema":{"type":"string"}},{"name":"StartTime<","in":"query","schema":{"type":"string"}},{"name":"StartTime>","in":"query","schema":{"type":"string"}},
		{"name":"filter[created]","in":"query","schema":{"type":"string"}},{"name":"X-Foo Bar","in":"query","schema":{"type":"string"}},{"name":"$top","in":"query","schema":{"type":"string"}},{"name":"é","in":"query","schema":{"type":"string"}},
		{"name":"`+strings.Repeat("long", 30)+`1","in":"query","schema":{"type":"string"}},{"name":"`+strings.Repeat("long", 30)+`2","in":"query","schema":{"type":"string"}}`))
	if err := profile(listing(t, x).Get("inputSchema"), true); err != nil {
		t.Error(err)
	}
	seen := make(map[string]string)
	for _, a := range x.plan.arguments {
		if seen[a.Name] != "" {
			t.Errorf("%q and %q are both called %s", seen[a.Name], a.wire, a.Name)
		}
		seen[a.Name] = a.wire
		args, refused := x.Input.Accept(fmt.Appendf(nil, `{%q:"v"}`, a.Name))
		if refused != nil {
			t.Fatalf("%s is refused", a.Name)
		}
		out, err := x.plan.outgoing(t.Context(), nil, args, "")
		if want := (url.Values{a.wire: {"v"}}); err != nil || out.url.Query().Encode() != want.Encode() {
			t.Errorf("%q is sent as %v, %v", a.wire, out.url.RawQuery, err)
		}
	}
	if len(seen) != 9 || seen["StartTime"] != "StartTime" || seen["filter_created"] != "filter[created]" || seen["X-Foo_Bar"] != "X-Foo Bar" || seen["top"] != "$top" {
		t.Errorf("arguments %v", seen)
	}
}

// trickyArrays is what the specification leaves open: lists inside deepObject, written as configuration says. The cells of its tables are in TestCheck7_Styles and
// TestCheck7_FormStyles.
func trickyArrays(t *testing.T) {
	text := asking("3.1.0", `{"name":"f","in":"query","style":"deepObject","schema":{"type":"object"}}`)
	for arrays, want := range map[string]string{
		"": "f[a][0]=1&f[a][1][b]=x&f[c][d]=y", "index": "f[a][0]=1&f[a][1][b]=x&f[c][d]=y", "brackets": "f[a][]=1&f[a][][b]=x&f[c][d]=y", "repeat": "f[a]=1&f[a][b]=x&f[c][d]=y",
	} {
		r, err := sent(t, text, `{"f":{"a":[1,{"b":"x"}],"c":{"d":"y"}}}`, Spec{Arrays: arrays})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := url.QueryUnescape(r.URL.RawQuery); err != nil || got != want {
			t.Errorf("%q: got %s, want %s", arrays, got, want)
		}
	}
}

func trickyPathValues(t *testing.T) {
	const text = `{"openapi":"3.0.0","paths":{"/a/{id}/b":{"get":{"operationId":"x","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"responses":{}}}}}`
	for b := range 128 {
		value := "v" + string(rune(b)) + "w"
		arguments := schema.Map(schema.Member{Key: "id", Value: schema.Text(value)}).JSON()
		r, err := sent(t, text, arguments, Spec{})
		if b < ' ' || b == 0x7f {
			if err == nil {
				t.Errorf("control character %#x is sent", b)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		escaped := strings.TrimSuffix(strings.TrimPrefix(r.URL.EscapedPath(), "/base/a/v"), "w/b")
		if want := fmt.Sprintf("%%%02X", b); escaped != want && (escaped != string(rune(b)) || !isUnreserved(byte(b))) {
			t.Errorf("%q is sent as %s", value, r.URL.EscapedPath())
		}
	}
	for _, arguments := range []string{`{}`, `{"id":""}`, `{"id":null}`, `{"id":"."}`, `{"id":".."}`, `{"id":"a/../../c"}`, `{"id":"..%2f"}`, `{"id":"%252e%252e/x"}`, `{"id":"..\\c"}`} {
		if r, err := sent(t, text, arguments, Spec{}); err == nil {
			t.Errorf("%s is sent to %s", arguments, r.URL)
		}
	}
	if r, err := sent(t, text, `{"id":"//evil.test/@?#"}`, Spec{}); err != nil || r.URL.String() != "https://api.test/base/a/%2F%2Fevil.test%2F%40%3F%23/b" || r.Host != "api.test" {
		t.Errorf("%v, %v", r, err)
	}
}

func trickyFragments(t *testing.T) {
	tr := translateText(t, corpusFile{name: "x", text: []byte(`{"openapi":"3.0.0","paths":{
		"/files/{id}":{"put":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"responses":{}}},
		"/files/{id}#add_link":{"put":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"fields","in":"query","schema":{"type":"string"}}],"responses":{}}}}}`)}, Spec{})
	if len(tr.tools) != 2 || tr.tools[0].Name != "put_files_by_id" || tr.tools[1].Name != "put_files_by_id_add_link" || tr.tools[1].identity != "PUT /files/{id}#add_link" {
		t.Fatalf("tools %+v", tr.tools)
	}
	args, refused := tr.tools[1].Input.Accept([]byte(`{"id":"1","fields":"a"}`))
	if refused != nil {
		t.Fatal("refused")
	}
	if out, err := tr.tools[1].plan.outgoing(t.Context(), nil, args, ""); err != nil || out.url.String() != "https://api.test/base/files/1?fields=a" {
		t.Errorf("%v, %v", out, err)
	}
}

func trickyHeaders(t *testing.T) {
	parameters := ""
	for _, name := range []string{"Accept", "content-type", "AUTHORIZATION"} {
		parameters += fmt.Sprintf(`{"name":%q,"in":"header","required":true,"schema":{"type":"string"}},`, name)
	}
	for _, text := range []string{
		asking("3.0.0", parameters+`{"name":"X-Kept","in":"header","schema":{"type":"string"}}`),
		`{"swagger":"2.0","info":{"title":"t","version":"1"},"host":"h.test","paths":{"/x":{"get":{"parameters":[` + strings.ReplaceAll(parameters, `"schema":{"type":"string"}`, `"type":"string"`) + `{"name":"X-Kept","in":"header","type":"string"}],"responses":{}}}}}`,
	} {
		x, warnings := one(t, text)
		if len(x.plan.arguments) != 1 || x.plan.arguments[0].wire != "X-Kept" || len(warnings) > 0 {
			t.Errorf("arguments %+v, warnings %+v", x.plan.arguments, warnings)
		}
		if args, refused := x.Input.Accept([]byte(`{}`)); refused != nil || args == nil {
			t.Error("a header that means nothing is required")
		}
		if _, refused := x.Input.Accept([]byte(`{"Authorization":"mine"}`)); refused == nil {
			t.Error("a caller can set Authorization")
		}
	}
}

func trickyReadOnly(t *testing.T) {
	const schemas = `"Id":{"type":"string","readOnly":true},"Base":{"type":"object","required":["id","name"],"properties":{"id":{"type":"string"},"name":{"type":"string"},"made":{"type":"string","readOnly":true}}},
		"Secret":{"type":"string","writeOnly":true}`
	const thing = `{"type":"object","required":["id","ref","wrapped","name","secret"],"additionalProperties":false,"properties":{"id":{"type":"string","readOnly":true},"ref":{"$ref":"#/components/schemas/Id"},
		"wrapped":{"allOf":[{"$ref":"#/components/schemas/Id"}]},"name":{"type":"string"},"secret":{"type":"string","writeOnly":true},"other":{"$ref":"#/components/schemas/Secret"},
		"inner":{"type":"array","items":{"type":"object","required":["id"],"properties":{"id":{"type":"integer","readOnly":true},"n":{"type":"integer"}},"additionalProperties":false}}}}`
	for _, version := range []string{"3.0.3", "3.1.0"} {
		x, _ := one(t, taking(version, thing, schemas))
		bodies(t, x, map[string]string{
			`{"name":"n","secret":"s","inner":[{"n":1}]}`: `{"name":"n","secret":"s","inner":[{"n":1}]}`, `{"secret":"s"}`: "",
			`{"name":"n","secret":"s","id":"1"}`: "", `{"name":"n","secret":"s","ref":"1"}`: "", `{"name":"n","secret":"s","wrapped":"1"}`: "", `{"name":"n","secret":"s","inner":[{"id":1}]}`: "",
		})
		if strings.Contains(string(x.Raw), `"id"`) || strings.Contains(string(x.Raw), `"ref"`) {
			t.Errorf("what a caller cannot write is published: %s", x.Raw)
		}
		y, _ := one(t, answering(version, thing, schemas))
		if output := listing(t, y).Get("outputSchema").JSON(); strings.Contains(output, "secret") || strings.Contains(output, "other") || !strings.Contains(output, `"id"`) {
			t.Errorf("the output schema is %s", output)
		}
		// The property is read-only in one part of an allOf and required in another.
		z, _ := one(t, taking(version, `{"allOf":[{"$ref":"#/components/schemas/Base"},{"type":"object","properties":{"id":{"type":"string","readOnly":true}}}]}`, schemas))
		bodies(t, z, map[string]string{`{"name":"n"}`: `{"name":"n"}`, `{}`: "", `{"name":"n","made":"x"}`: "", `{"name":"n","id":"x"}`: ""})
		// It is read-only in a part and required beside the allOf.
		z, _ = one(t, taking(version, `{"allOf":[{"$ref":"#/components/schemas/Base"}],"required":["made"],"properties":{"size":{"type":"integer"}}}`, schemas))
		bodies(t, z, map[string]string{`{"size":1,"id":"i","name":"n"}`: `{"size":1,"id":"i","name":"n"}`, `{"id":"i","name":"n","made":"x"}`: ""})
	}
}

func trickyOptionalBody(t *testing.T) {
	text := strings.Replace(taking("3.0.0", `{"type":"object","required":["a","b"],"properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}}}`, ""), `"required":true,`, "", 1)
	x, _ := one(t, text)
	bodies(t, x, map[string]string{`{"c":"z"}`: "", `{"a":"x"}`: "", `{"a":"x","b":"y"}`: `{"a":"x","b":"y"}`, `{"a":"x","b":"y","c":"z"}`: `{"a":"x","b":"y","c":"z"}`})
	args, refused := x.Input.Accept([]byte(`{}`))
	if refused != nil {
		t.Fatal("a call without the optional body is refused")
	}
	if out, err := x.plan.outgoing(t.Context(), nil, args, ""); err != nil || out.body != nil || out.header.Get("Content-Type") != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if words := listing(t, x).GetText("description"); !strings.Contains(words, "The body is optional; with any part of it, a, b must be given.") {
		t.Errorf("the description is %q", words)
	}
	if len(listing(t, x).Get("inputSchema").Get("required").Strings()) > 0 {
		t.Errorf("published as %s", x.Raw)
	}
}

// trickyNormalized is the table of what descriptions write in another way than JSON Schema 2020-12.
func trickyNormalized(t *testing.T) {
	for name, tt := range map[string]struct {
		version, property, published, warning string
		fine, wrong                           []string
	}{
		"boolean exclusiveMinimum":               {"3.0.0", `{"type":"integer","minimum":1,"exclusiveMinimum":true}`, `{"type":"integer","exclusiveMinimum":1}`, "", []string{"2"}, []string{"1"}},
		"boolean exclusiveMaximum that is false": {"3.0.0", `{"type":"integer","maximum":5,"exclusiveMaximum":false}`, `{"type":"integer","maximum":5}`, "", []string{"5"}, []string{"6"}},
		"type file":                              {"3.0.0", `{"type":"file"}`, `{"type":"string"}`, "", []string{`"x"`}, []string{"[]"}},
		"array without items":                    {"3.0.0", `{"type":"array"}`, `{"type":"array","items":{}}`, "", []string{`[1,"x",{}]`}, []string{`{}`}},
		"values twice":                           {"3.0.0", `{"type":"string","enum":["a","b","a"]}`, `{"type":"string","enum":["a","b"]}`, "twice", []string{`"a"`}, []string{`"c"`}},
		"numbers in texts":                       {"3.0.0", `{"type":"string","enum":[1,"b",true]}`, `{"type":"string","enum":["1","b","true"]}`, "taken as that", []string{`"1"`}, []string{`"2"`}},
		"texts in numbers":                       {"3.0.0", `{"type":"integer","enum":["1","2"]}`, `{"type":"integer","enum":[1,2]}`, "taken as that", []string{`1`}, []string{`3`}},
		"empty enumeration":                      {"3.0.0", `{"type":"string","enum":[]}`, `{"type":"string"}`, "empty", []string{`"x"`}, nil},
		"limit that is a text":                   {"3.0.0", `{"type":"integer","minimum":"2"}`, `{"type":"integer","minimum":2}`, "", []string{"2"}, []string{"1"}},
		"limit that is no number":                {"3.0.0", `{"type":"integer","maximum":"many"}`, `{"type":"integer"}`, "no number", []string{"1"}, nil},
		"length that is no number":               {"3.0.0", `{"type":"string","maxLength":"many"}`, `{"type":"string"}`, "no natural number", []string{`"x"`}, nil},
		"items that are a list":                  {"2.0", `{"type":"array","items":[{"type":"string"},{"type":"integer"}]}`, "", "items is a list", []string{`["a",1]`}, []string{`[[]]`}},
		"required that is true":                  {"2.0", `{"type":"string","required":true}`, `{"type":"string"}`, "", []string{`"x"`}, nil},
		"a type of another language":             {"3.0.0", `{"type":"int"}`, `{"type":"integer"}`, "", []string{"1"}, []string{`"x"`}},
		"a type in capitals":                     {"3.0.0", `{"type":"String"}`, `{"type":"string"}`, "", []string{`"x"`}, []string{"{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := taking(tt.version, `{"type":"object","properties":{"a":`+tt.property+`}}`, "")
			if tt.version == "2.0" {
				text = fmt.Sprintf(`{"swagger":"2.0","info":{"title":"t","version":"1"},"host":"h.test","paths":{"/x":{"post":{"operationId":"x","parameters":[{"in":"body","name":"b","required":true,"schema":{"type":"object","properties":{"a":%s}}}],"responses":{}}}}}`, tt.property)
			}
			x, warnings := one(t, text)
			want := make(map[string]string)
			for _, v := range tt.fine {
				want[`{"a":`+v+`}`] = `{"a":` + v + `}`
			}
			for _, v := range tt.wrong {
				want[`{"a":`+v+`}`] = ""
			}
			bodies(t, x, want)
			if got := argumentOf(t, x, "a").JSON(); tt.published != "" && got != tt.published {
				t.Errorf("published as %s, want %s", got, tt.published)
			}
			if told := len(warnings) > 0; told != (tt.warning != "") || told && !strings.Contains(warnings[0].Message, tt.warning) {
				t.Errorf("warnings %+v, want one that says %q", warnings, tt.warning)
			}
		})
	}
	x, _ := one(t, "openapi: 3.0.0\npaths:\n  /x:\n    post:\n      requestBody: {content: {application/json: {schema: {type: object, properties: {1: {type: integer}, true: {type: string}, null: {type: string}}}}}}\n      responses:\n        200: {description: d, content: {application/json: {schema: {type: object, properties: {7: {type: integer}}}}}}\n")
	bodies(t, x, map[string]string{`{"1":2,"true":"x","null":"y"}`: `{"1":2,"true":"x","null":"y"}`, `{"1":"x"}`: ""})
	if output := listing(t, x).Get("outputSchema").JSON(); !strings.Contains(output, `"7"`) {
		t.Errorf("the answer of status 200 is %s", output)
	}
}

func trickyUploads(t *testing.T) {
	for name, property := range map[string]string{
		"3.0 format":            `{"type":"string","format":"binary"}`,
		"3.1 content type":      `{"type":"string","contentMediaType":"application/pdf"}`,
		"3.1 without a type":    `{"contentMediaType":"image/png"}`,
		"3.1 encoded":           `{"type":"string","contentMediaType":"image/png","contentEncoding":"base64"}`,
		"a reference to a file": `{"$ref":"#/components/schemas/File"}`,
		"several":               `{"type":"array","items":{"type":"string","format":"binary"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			content := `{"schema":{"type":"object","properties":{"f":` + property + `}},"encoding":{"f":{"contentType":"image/webp"}}}`
			text := fmt.Sprintf(`{"openapi":"3.1.0","paths":{"/x":{"post":{"requestBody":{"required":true,"content":{"multipart/form-data":%s}},"responses":{}}}},"components":{"schemas":{"File":{"type":"string","format":"binary"}}}}`, content)
			x, _ := one(t, text)
			file := `{"data":"AAEC","filename":"a.png"}`
			want := "Content-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\nContent-Type: image/webp\r\n\r\n\x00\x01\x02\r\n"
			switch name {
			case "3.1 encoded": // the API wants the base64 itself
				file, want = `"AAEC"`, "Content-Disposition: form-data; name=\"f\"\r\nContent-Type: image/webp\r\n\r\nAAEC\r\n"
			case "several":
				file = `[` + file + `,` + file + `]`
			}
			args, refused := x.Input.Accept([]byte(`{"f":` + file + `}`))
			if refused != nil {
				a, err := refused.Answer()
				t.Fatalf("%s, %v", a.Message.Data, err)
			}
			out, err := x.plan.outgoing(t.Context(), nil, args, "")
			if err != nil || !strings.Contains(string(out.body), want) || strings.Count(string(out.body), "name=\"f\"") != 1+strings.Count(file, "},") {
				t.Errorf("sent %q, %v", out.body, err)
			}
		})
	}
	x, _ := one(t, `{"openapi":"3.0.0","paths":{"/x":{"post":{"requestBody":{"required":true,"content":{"application/zip":{"schema":{"type":"string","format":"binary"}}}},"responses":{}}}}}`)
	for arguments, want := range map[string]string{`{"body":{"data":"UEsDBA=="}}`: "PK\x03\x04", `{"body":{"text":"plain"}}`: "plain", `{"body":{"data":"data:application/zip;base64,UEsDBA=="}}`: "PK\x03\x04"} {
		args, refused := x.Input.Accept([]byte(arguments))
		if refused != nil {
			t.Fatalf("%s is refused", arguments)
		}
		if out, err := x.plan.outgoing(t.Context(), nil, args, ""); err != nil || string(out.body) != want || out.header.Get("Content-Type") != "application/zip" {
			t.Errorf("%s is sent as %q, %q, %v", arguments, out.body, out.header, err)
		}
	}
	if _, refused := x.Input.Accept([]byte(`{}`)); refused == nil {
		t.Error("a required file may be left out")
	}
}

func trickyServers(t *testing.T) {
	TestR18_WhereRequestsGo(t)
	const servers = `"servers":[{"url":"https://root.test"}],`
	x, _ := one(t, asking("3.0.0", `{"name":"server","in":"query","schema":{"type":"string"}}`))
	for _, name := range []string{"host", "baseUrl", "site"} {
		if _, refused := x.Input.Accept(fmt.Appendf(nil, `{%q:"https://evil.test"}`, name)); refused == nil {
			t.Errorf("a model may give %s", name)
		}
	}
	if r, err := sent(t, asking("3.0.0", `{"name":"server","in":"query","schema":{"type":"string"}}`), `{"server":"https://evil.test"}`, Spec{}); err != nil || r.URL.Host != "api.test" || r.Host != "api.test" {
		t.Errorf("%v, %v", r, err)
	}
	text := `{"openapi":"3.0.0",` + servers + `"paths":{"/p":{"servers":[{"url":"https://path.test"}],"get":{"operationId":"both","servers":[{"url":"https://operation.test"}],"responses":{}},"put":{"operationId":"path","responses":{}}},"/q":{"get":{"operationId":"root","responses":{}}}}}`
	d, err := open("", []byte(text), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
	got := make(map[string]string)
	for _, x := range b.build() {
		got[x.Name] = x.plan.server.host
	}
	if fmt.Sprint(got) != "map[both:operation.test path:path.test root:root.test]" {
		t.Errorf("servers %v", got)
	}
}

func trickyMethods(t *testing.T) {
	methods := ""
	for _, m := range []string{"get", "put", "post", "delete", "patch", "head", "options", "trace", "query"} {
		methods += fmt.Sprintf(`%q:{"operationId":"op_%s","requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"q":{"type":"string"}}}}}},"responses":{}},`, m, m)
	}
	tr := translateText(t, corpusFile{name: "x", text: []byte(`{"openapi":"3.2.0","paths":{"/x":{` + methods + `"additionalOperations":{"COPY":{"operationId":"op_copy","responses":{}},"TRACE":{"operationId":"op_t","responses":{}}}}}}`)}, Spec{})
	var names []string
	for _, x := range tr.tools {
		names = append(names, x.Name)
		args, refused := x.Input.Accept([]byte(`{"q":"v"}`))
		if x.Name == "op_copy" {
			continue
		}
		if refused != nil {
			t.Fatalf("%s refuses its body", x.Name)
		}
		out, err := x.plan.outgoing(t.Context(), nil, args, "")
		if want := strings.ToUpper(strings.TrimPrefix(x.Name, "op_")); err != nil || out.method != want || string(out.body) != `{"q":"v"}` {
			t.Errorf("%s sends %s %q, %v", x.Name, out.method, out.body, err)
		}
		if reads := x.Name == "op_get" || x.Name == "op_query"; x.Annotations.ReadOnly != reads {
			t.Errorf("%s: %+v", x.Name, x.Annotations)
		}
	}
	slices.Sort(names)
	if want := "[op_copy op_delete op_get op_patch op_post op_put op_query]"; fmt.Sprint(names) != want {
		t.Errorf("got %v, want %s", names, want)
	}
}

// trickyCrossing: a credential goes to the origin that it is for; an answer that points elsewhere is not followed.
func trickyCrossing(t *testing.T) {
	const text = `{"openapi":"3.0.0","components":{"securitySchemes":{"key":{"type":"apiKey","in":"header","name":"X-Key"}}},"security":[{"key":[]}],"paths":{"/x":{"get":{"operationId":"x","responses":{}}}}}`
	for location, want := range map[string][]string{
		"https://evil.test/x": {"h.test/x key"}, "http://h.test/x": {"h.test/x key"}, "https://h.test:444/x": {"h.test/x key"}, "//evil.test/x": {"h.test/x key"},
		"https://u:p@h.test/x": {"h.test/x key"}, "/moved": {"h.test/x key", "h.test/moved key"},
	} {
		var seen []string
		s := &secret{}
		key := "key"
		s.value.Store(&key)
		a := newAPI(t, text, Spec{Server: "https://h.test"}, translate.Options{Credentials: s, Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r.Host+r.URL.Path+" "+r.Header.Get("X-Key"))
			if r.URL.Path == "/moved" {
				w.WriteHeader(204)
				return
			}
			w.Header().Set("Location", location)
			w.WriteHeader(307)
		})}})
		got, err := call(t, a, "x", `{}`)
		if err != nil || got.True("isError") == (len(want) == 2) {
			t.Errorf("%s: %v, %v", location, got, err)
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: sent %v, want %v", location, seen, want)
		}
	}
}
