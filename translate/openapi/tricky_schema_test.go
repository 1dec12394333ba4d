package openapi

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/translate"
)

// noRef fails when anything that clients resolve differently is published.
func noRef(t *testing.T, x *tool) {
	t.Helper()
	for _, word := range []string{`"$ref"`, `"$defs"`, `"$id"`, `"$anchor"`, `"$schema"`} {
		if strings.Contains(string(x.Raw), word) {
			t.Errorf("%s is published: %s", word, x.Raw)
		}
	}
}

func trickyCycles(t *testing.T) {
	ref := func(name string) string { return `{"$ref":"#/components/schemas/` + name + `"}` }
	for name, tt := range map[string]struct{ schemas, deep, wrong string }{
		"itself": {
			`"N":{"type":"object","properties":{"v":{"type":"integer"},"next":` + ref("N") + `}}`,
			`{"v":1,"next":{"v":2,"next":{"v":3,"next":{"v":4}}}}`, `{"v":1,"next":{"v":2,"next":{"v":3,"next":{"v":"x"}}}}`,
		},
		"two by lists": {
			`"N":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":` + ref("M") + `}}},"M":{"type":"object","properties":{"up":` + ref("N") + `}}`,
			`{"kids":[{"up":{"kids":[{"up":{"v":4}}]}}]}`, `{"kids":[{"up":{"kids":[{"up":{"v":"x"}}]}}]}`,
		},
		"by other members": {
			`"N":{"type":"object","properties":{"v":{"type":"integer"}},"additionalProperties":` + ref("N") + `}`,
			`{"a":{"b":{"v":1}}}`, `{"a":{"b":{"v":"x"}}}`,
		},
		"by allOf": {
			`"N":{"allOf":[` + ref("B") + `,{"type":"object","properties":{"parent":` + ref("N") + `}}]},"B":{"type":"object","properties":{"v":{"type":"integer"},"self":` + ref("B") + `}}`,
			`{"parent":{"parent":{"self":{"v":1}}}}`, `{"parent":{"parent":{"self":{"v":"x"}}}}`,
		},
		"by anyOf with null": {
			`"N":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[` + ref("N") + `,{"type":"null"}]}}}`,
			`{"next":{"next":{"v":1,"next":null}}}`, `{"next":{"next":{"v":"x"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			x, _ := one(t, taking("3.1.0", `{"type":"object","properties":{"n":`+ref("N")+`,"plain":`+ref("P")+`}}`,
				tt.schemas+`,"P":{"type":"object","properties":{"q":`+ref("Q")+`}},"Q":{"type":"object","properties":{"r":{"type":"string","maxLength":3}}}`))
			noRef(t, x)
			bodies(t, x, map[string]string{`{"n":` + tt.deep + `}`: `{"n":` + tt.deep + `}`, `{"n":` + tt.wrong + `}`: ""})
			if argumentOf(t, x, "n").GetText("type") != "object" {
				t.Errorf("the recursive argument has no type: %s", x.Raw)
			}
			if plain := argumentOf(t, x, "plain").JSON(); plain != `{"type":"object","properties":{"q":{"type":"object","properties":{"r":{"type":"string","maxLength":3}}}}}` {
				t.Errorf("what lies outside the cycle is %s", plain)
			}
		})
	}
}

func trickyDefinitions(t *testing.T) {
	const tree = `"T":{"type":"object","properties":{"name":{"type":"string"},"left":{"$ref":"#/components/schemas/T"}}}`
	x, _ := one(t, taking("3.0.0", `{"type":"object","properties":{"t":{"$ref":"#/components/schemas/T"}}}`, tree))
	noRef(t, x)
	if got, want := argumentOf(t, x, "t").JSON(), `{"type":"object","properties":{"name":{"type":"string"},"left":{"type":"object","description":"Has: name, left"}}}`; got != want {
		t.Errorf("published as %s, want %s", got, want)
	}
	if full := x.Input.Full.Value().JSON(); !strings.Contains(full, `"left":{"$ref":"#/$defs/T"}`) {
		t.Errorf("the full schema lost the recursion: %s", full)
	}
	y, _ := one(t, answering("3.0.0", `{"$ref":"#/components/schemas/T"}`, tree))
	noRef(t, y)
}

func trickyDangling(t *testing.T) {
	const dead = `{"$ref":"#/components/schemas/Gone"}`
	x, warnings := one(t, taking("3.0.0", `{"type":"object","required":["ok"],"properties":{"ok":{"type":"integer"},"a":`+dead+`,"l":{"type":"array","items":`+dead+`},"m":{"allOf":[`+dead+`,{"type":"object"}]}}}`, ""))
	noRef(t, x)
	bodies(t, x, map[string]string{
		`{"ok":1,"a":{"anything":[1]}}`: `{"ok":1,"a":{"anything":[1]}}`, `{"ok":1,"l":[1,"x"],"m":{"k":1}}`: `{"ok":1,"l":[1,"x"],"m":{"k":1}}`,
		`{"ok":"x"}`: "", `{"ok":1,"m":3}`: "", `{"a":1}`: "",
	})
	at := "/paths/~1x/post/requestBody/content/application~1json/schema/properties/"
	for _, p := range []string{"a", "l/items", "m/allOf/0"} {
		warned(t, warnings, at+p, `$ref "#/components/schemas/Gone"`)
	}
	y, warnings := one(t, answering("3.0.0", `{"type":"object","properties":{"a":`+dead+`}}`, ""))
	noRef(t, y)
	warned(t, warnings, "/paths/~1x/get/responses/200/content/application~1json/schema/properties/a", "any value is taken")
	z, warnings := one(t, asking("3.0.0", `{"name":"q","in":"query","schema":`+dead+`}`))
	noRef(t, z)
	warned(t, warnings, "/paths/~1x/get/parameters/0/schema", "any value is taken")
}

// trickyFiles lays a description of several files, and things around it that it must not reach.
func trickyFiles(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"spec/openapi.yaml": `openapi: 3.0.0
info: {title: t, version: '1', description: {$ref: readme.md}}
paths:
  /pets:
    $ref: 'parts/paths.yaml#/pets'
  /bad:
    post:
      operationId: bad
      description: {$ref: words.md}
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                up: {$ref: '../secret.yaml#/Secret'}
                escaped: {$ref: '%2e%2e/secret.yaml#/Secret'}
                deep: {$ref: 'parts/../../secret.yaml#/Secret'}
                link: {$ref: 'link.yaml#/Secret'}
                absolute: {$ref: '/etc/hostname'}
                file: {$ref: 'file:///etc/hostname'}
                address: {$ref: 'http://169.254.169.254/latest'}
                missing: {$ref: 'parts/none.yaml'}
      responses: {}
components: {schemas: {Name: {type: string, maxLength: 5}}}
`,
		"spec/parts/paths.yaml": `pets:
  post:
    operationId: pets
    requestBody: {content: {application/json: {schema: {$ref: pet.yaml}}}}
    responses: {}
`,
		"spec/parts/pet.yaml": `type: object
properties:
  name: {$ref: '../openapi.yaml#/components/schemas/Name'}
  friend: {$ref: '#'}
`,
		"secret.yaml": "Secret: {type: object, properties: {stolen: {type: string}}}\n",
	} {
		name = filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(folder, "secret.yaml"), filepath.Join(folder, "spec", "link.yaml")); err != nil {
		t.Fatal(err)
	}
	dialed := 0
	o := translate.Options{Upstream: "api", Transport: direct{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { dialed++ })}}
	spec := Spec{OpenAPI: filepath.Join(folder, "spec", "openapi.yaml"), References: filepath.Join(folder, "spec"), Server: "https://h.test"}
	for _, references := range []bool{true, false} {
		if !references {
			spec.References = ""
		}
		a, err := New(t.Context(), spec, o)
		if err != nil {
			t.Fatal(err)
		}
		listed := ""
		for _, raw := range a.Source().Tools {
			listed += string(raw)
		}
		if strings.Contains(listed, "stolen") || dialed > 0 {
			t.Errorf("a file outside the folder or an address was read (%d dials): %s", dialed, listed)
		}
		if inside := `"name":{"type":"string","maxLength":5}`; strings.Contains(listed, inside) != references || !strings.Contains(listed, `"name":"bad"`) {
			t.Errorf("with references %v: %s", references, listed)
		}
		if references {
			for p, message := range map[string]string{
				"up": "outside", "escaped": "outside", "deep": "outside", "link": "cannot be read", "absolute": "outside", "file": "not followed", "address": "not followed", "missing": "cannot be read",
			} {
				warned(t, a.Report().Warnings, "/paths/~1bad/post/requestBody/content/application~1json/schema/properties/"+p, message)
			}
		}
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func trickyRoot(t *testing.T) {
	const part = `{"type":"object","properties":{"b":{"type":"integer"}}}`
	x, _ := one(t, taking("3.1.0", `{"allOf":[{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},{"$ref":"#/components/schemas/P"}]}`, `"P":`+part))
	bodies(t, x, map[string]string{`{"a":"x","b":1}`: `{"a":"x","b":1}`, `{"b":1}`: "", `{"a":"x","b":"y"}`: "", `{"body":{"a":"x"}}`: ""})
	for body, tt := range map[string]struct{ fine, wrong string }{
		`{"oneOf":[{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}},` + part + `]}`: {`{"a":"x"}`, `3`},
		`{"anyOf":[{"type":"string"},` + part + `]}`:                                                       {`{"b":1}`, `{"b":"x"}`},
		`{"type":"object","properties":{"a":{}},"not":{"required":["a"]}}`:                                 {`{"c":1}`, `{"a":1}`},
		`{"type":"object","if":{"required":["a"]},"then":{"required":["b"]}}`:                              {`{"a":1,"b":2}`, `{"a":1}`},
		`{"$ref":"#/components/schemas/R"}`:                                                                {`{"b":2}`, `[]`},
		`{"type":"array","items":{"type":"integer"}}`:                                                      {`[1]`, `["x"]`},
		`{"type":["object","null"],"properties":{"a":{"type":"integer"}}}`:                                 {`null`, `{"a":"x"}`},
		`{"type":"object","additionalProperties":{"type":"integer"}}`:                                      {`{"any":1}`, `{"any":"x"}`},
		`true`: {`[1,{}]`, ``},
	} {
		x, _ := one(t, taking("3.1.0", body, `"R":{"oneOf":[`+part+`]}`))
		want := map[string]string{`{"body":` + tt.fine + `}`: tt.fine}
		if tt.wrong != "" {
			want[`{"body":`+tt.wrong+`}`] = ""
		}
		bodies(t, x, want)
	}
}

func trickyOneOf(t *testing.T) {
	x, _ := one(t, taking("3.1.0", `{"type":"object","properties":{"v":{"oneOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"b":{"type":"string"}}}]},
		"tagged":{"oneOf":[{"type":"object","required":["kind","r"],"properties":{"kind":{"const":"circle"},"r":{"type":"number"}}},{"type":"object","required":["kind","w"],"properties":{"kind":{"enum":["box"]},"w":{"type":"number"}}}]}}}`, ""))
	bodies(t, x, map[string]string{
		`{"v":{"c":1}}`: `{"v":{"c":1}}`, `{"v":{"a":"x","b":"y"}}`: `{"v":{"a":"x","b":"y"}}`, // both branches take these
		`{"v":{"a":1,"b":2}}`: "", `{"tagged":{"kind":"circle","r":1}}`: `{"tagged":{"kind":"circle","r":1}}`, `{"tagged":{"kind":"circle","w":1}}`: "", `{"tagged":{"kind":"other","r":1}}`: "",
	})
	if full := x.Input.Full.Value().JSON(); strings.Contains(full, `"oneOf"`) {
		t.Errorf("oneOf stayed: %s", full)
	}
}

func trickyMapping(t *testing.T) {
	const base = `"Pet":{"type":"object","required":["kind"],"properties":{"kind":{"type":"string"}},"discriminator":{"propertyName":"kind","mapping":{%s}}}`
	sub := func(name, property string) string {
		return fmt.Sprintf(`%q:{"allOf":[{"$ref":"#/components/schemas/Pet"},{"type":"object","required":[%q],"properties":{%q:{"type":"integer"}}}]}`, name, property, property)
	}
	x, _ := one(t, taking("3.0.0", `{"type":"object","properties":{"p":{"$ref":"#/components/schemas/Pet"}}}`,
		fmt.Sprintf(base, `"cat":"#/components/schemas/Cat","dog":"Dog"`)+","+sub("Cat", "lives")+","+sub("Dog", "bark")))
	bodies(t, x, map[string]string{
		`{"p":{"kind":"cat","lives":9}}`: `{"p":{"kind":"cat","lives":9}}`, `{"p":{"kind":"dog","bark":1}}`: `{"p":{"kind":"dog","bark":1}}`,
		`{"p":{"kind":"cat","bark":1}}`: "", `{"p":{"kind":"dog","bark":"x"}}`: "", `{"p":{"lives":1}}`: "",
	})
	published := argumentOf(t, x, "p").JSON()
	for _, word := range []string{`"cat"`, `"dog"`, `"lives"`, `"bark"`} {
		if !strings.Contains(published, word) {
			t.Errorf("%s is not published: %s", word, published)
		}
	}
	var mapping, schemas []string
	for i := range 30 {
		mapping = append(mapping, fmt.Sprintf(`"kind%d":"Kind%d"`, i, i))
		schemas = append(schemas, sub(fmt.Sprintf("Kind%d", i), fmt.Sprintf("only%d", i)))
	}
	many, _ := one(t, taking("3.0.0", `{"type":"object","properties":{"p":{"$ref":"#/components/schemas/Pet"}}}`, fmt.Sprintf(base, strings.Join(mapping, ","))+","+strings.Join(schemas, ",")))
	bodies(t, many, map[string]string{`{"p":{"kind":"kind29","only29":1}}`: `{"p":{"kind":"kind29","only29":1}}`, `{"p":{"kind":"kind29","only29":"x"}}`: ""})
	published = argumentOf(t, many, "p").JSON()
	if !strings.Contains(published, "One of kind0, ") || !strings.Contains(published, "kind29\"") || strings.Contains(published, "only") {
		t.Errorf("of more variants than are published, the tag has no enumeration: %s", published)
	}
	if !strings.Contains(published, "Variants: Kind0, Kind1") {
		t.Errorf("the variants are not named: %s", published)
	}
}

func trickyNullable(t *testing.T) {
	const schemas = `"S":{"type":"string"},"E":{"type":"string","enum":["x"]}`
	for name, tt := range map[string]struct {
		version, property string
		null              bool
	}{
		"3.0 type":                       {"3.0.3", `{"type":"string","nullable":true}`, true},
		"3.0 false keeps the type":       {"3.0.3", `{"type":"string","nullable":false}`, false},
		"3.0 enumeration":                {"3.0.3", `{"type":"string","nullable":true,"enum":["x"]}`, true},
		"3.0 enumeration with null":      {"3.0.3", `{"type":"string","nullable":true,"enum":["x",null]}`, true},
		"3.0 enumeration without a type": {"3.0.3", `{"nullable":true,"enum":["x"]}`, true},
		"3.0 allOf":                      {"3.0.3", `{"nullable":true,"allOf":[{"$ref":"#/components/schemas/S"}]}`, true},
		"3.0 oneOf":                      {"3.0.3", `{"nullable":true,"oneOf":[{"$ref":"#/components/schemas/S"},{"type":"integer"}]}`, true},
		"3.0 anyOf with a type":          {"3.0.3", `{"nullable":true,"type":"string","anyOf":[{"minLength":1},{"maxLength":9}]}`, true},
		"3.0 reference":                  {"3.0.3", `{"nullable":true,"$ref":"#/components/schemas/E"}`, true},
		"3.0 reference without":          {"3.0.3", `{"$ref":"#/components/schemas/E"}`, false},
		"3.0 type array":                 {"3.0.3", `{"type":["string","null"]}`, true},
		"2.0 x-nullable":                 {"2.0", `{"type":"string","x-nullable":true}`, true},
		"2.0 without":                    {"2.0", `{"type":"string"}`, false},
		"3.1 type array":                 {"3.1.0", `{"type":["string","null"]}`, true},
		"3.1 nullable":                   {"3.1.0", `{"type":"string","nullable":true}`, false},
		"3.1 enumeration":                {"3.1.0", `{"enum":["x",null]}`, true},
		"3.1 anyOf":                      {"3.1.0", `{"anyOf":[{"$ref":"#/components/schemas/S"},{"type":"null"}]}`, true},
		"3.2 nullable":                   {"3.2.0", `{"type":"string","nullable":true}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			text := taking(tt.version, `{"type":"object","required":["a"],"properties":{"a":`+tt.property+`}}`, schemas)
			if tt.version == "2.0" {
				text = fmt.Sprintf(`{"swagger":"2.0","info":{"title":"t","version":"1"},"host":"h.test","paths":{"/x":{"post":{"operationId":"x","parameters":[{"in":"body","name":"b","required":true,"schema":{"type":"object","required":["a"],"properties":{"a":%s}}}],"responses":{}}}}}`, tt.property)
			}
			x, warnings := one(t, text)
			want := map[string]string{`{"a":"x"}`: `{"a":"x"}`, `{"a":null}`: "", `{"a":[]}`: ""}
			if tt.null {
				want[`{"a":null}`] = `{"a":null}`
			}
			bodies(t, x, want)
			if len(warnings) > 0 {
				t.Errorf("warnings for what is allowed: %+v", warnings)
			}
			// In a result null is always taken, and nothing says otherwise.
			if argumentOf(t, x, "a").Get("type") == nil {
				t.Errorf("the argument has no type: %s", x.Raw)
			}
		})
	}
}

func trickyNull(t *testing.T) {
	x, _ := one(t, taking("3.1.0", `{"type":"object","required":["must"],"properties":{"must":{"type":"string"},"clear":{"type":["string","null"]},"keep":{"type":"string"},"any":{},
		"in":{"type":"object","properties":{"clear":{"type":["integer","null"]},"keep":{"type":"integer"}}}}}`, ""))
	bodies(t, x, map[string]string{
		`{"must":"m","clear":null}`: `{"must":"m","clear":null}`, `{"must":"m","any":null}`: `{"must":"m","any":null}`,
		`{"must":"m","keep":null}`:                     `{"must":"m"}`,
		`{"must":"m","clear":null,"keep":null}`:        `{"must":"m","clear":null}`,
		`{"must":"m","in":{"clear":null,"keep":null}}`: `{"must":"m","in":{"clear":null}}`,
		`{"must":null}`:                                "",
	})
	y, _ := one(t, asking("3.0.0", `{"name":"a","in":"query","schema":{"type":"string"}},{"name":"b","in":"query","schema":{"type":"string","nullable":true}}`))
	args, refused := y.Input.Accept([]byte(`{"a":null,"b":null}`))
	if refused != nil {
		t.Fatal("a null for an optional parameter is refused")
	}
	if out, err := y.plan.outgoing(t.Context(), nil, args, ""); err != nil || out.url.RawQuery != "" {
		t.Errorf("%v, %v", out, err)
	}
}

func trickyRequired(t *testing.T) {
	x, _ := one(t, taking("3.0.0", `{"type":"object","required":["a","ghost"],"properties":{"a":{"type":"string"},"o":{"type":"object","required":["ghost"],"properties":{"b":{"type":"string"}},"additionalProperties":false}}}`, ""))
	noRef(t, x)
	bodies(t, x, map[string]string{
		`{"a":"x","ghost":{"any":1}}`: `{"a":"x","ghost":{"any":1}}`, `{"a":"x"}`: "",
		`{"a":"x","ghost":1,"o":{"ghost":[1]}}`: `{"a":"x","o":{"ghost":[1]},"ghost":1}`, `{"a":"x","ghost":1,"o":{"b":"y"}}`: "",
	})
	argumentOf(t, x, "ghost")
}

func trickyPatterns(t *testing.T) {
	const pattern = `^(?!aws)[a-z]+$`
	for _, text := range []string{
		taking("3.0.0", `{"type":"object","properties":{"a":{"type":"string","description":"A name.","pattern":"`+pattern+`"}}}`, ""),
		asking("3.0.0", `{"name":"a","in":"query","description":"A name.","schema":{"type":"string","pattern":"`+pattern+`"}}`),
	} {
		x, warnings := one(t, text)
		if strings.Contains(x.Input.Full.Value().JSON(), `"pattern"`) || strings.Contains(string(x.Raw), `"pattern"`) {
			t.Errorf("the pattern is in a schema: %s", x.Raw)
		}
		if got := argumentOf(t, x, "a").GetText("description"); !strings.Contains(got, "A name.") || !strings.Contains(got, pattern) {
			t.Errorf("the description is %q", got)
		}
		if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "RE2") {
			t.Errorf("warnings %+v", warnings)
		}
		if _, refused := x.Input.Accept([]byte(`{"a":"aws"}`)); refused != nil {
			t.Error("a pattern that cannot be checked was")
		}
	}
}
