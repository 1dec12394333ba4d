package openapi

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/translate"
)

// hostileDescriptions are bombs, depth, width, cycles of every keyword, and extensions with a meaning elsewhere.
func hostileDescriptions() map[string]string {
	body := func(s string, schemas string) string {
		return `{"openapi":"3.1.0","servers":[{"url":"https://h.test"}],"paths":{"/x":{"post":{"operationId":"x","requestBody":{"content":{"application/json":{"schema":` + s + `}}},"responses":{"200":{"description":"d","content":{"application/json":{"schema":` + s + `}}}}}}},"components":{"schemas":{` + schemas + `}}}`
	}
	var doubling, enum, cycles, wide strings.Builder
	for i := range 40 {
		_, _ = fmt.Fprintf(&doubling, `"S%d":{"allOf":[{"$ref":"#/components/schemas/S%d"},{"$ref":"#/components/schemas/S%d"}]},`, i, i+1, i+1)
		_, _ = fmt.Fprintf(&wide, `"W%d":{"type":"object","properties":{"a":{"$ref":"#/components/schemas/W%d"},"b":{"$ref":"#/components/schemas/W%d"},"c":{"$ref":"#/components/schemas/W0"}}},`, i, i+1, i+1)
	}
	var fan, readOnly, alternatives, xml strings.Builder
	for i := range 12 { // each level refers to the next one thirty times
		refs := func(keyword string) string {
			part := fmt.Sprintf(`{"$ref":"#/components/schemas/%s%d"},`, keyword, i+1)
			return strings.TrimSuffix(strings.Repeat(part, 30), ",")
		}
		_, _ = fmt.Fprintf(&fan, `"F%d":{"allOf":[%s]},`, i, refs("F"))
		_, _ = fmt.Fprintf(&readOnly, `"R%d":{"allOf":[%s],"required":["id"],"properties":{"id":{"type":"string","readOnly":%v}}},`, i, refs("R"), i%2 == 0)
		_, _ = fmt.Fprintf(&alternatives, `"A%d":{"anyOf":[%s,{"type":"null"}]},`, i, refs("A"))
		_, _ = fmt.Fprintf(&xml, `"X%d":{"type":"object","properties":{`, i)
		for j := range 30 {
			_, _ = fmt.Fprintf(&xml, `"p%d":{"$ref":"#/components/schemas/X%d"},`, j, i+1)
		}
		_, _ = fmt.Fprintf(&xml, `"last":{"type":"string"}}},`)
	}
	for i := range 100_000 {
		_, _ = fmt.Fprintf(&enum, `"v%d",`, i)
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		_, _ = fmt.Fprintf(&cycles, `%q:{%q:[{"$ref":"#/components/schemas/%s"},{"type":"object"}]},`, k, k, k)
	}
	for _, k := range []string{"not", "items", "additionalProperties", "contains", "propertyNames", "if"} {
		_, _ = fmt.Fprintf(&cycles, `%q:{%q:{"$ref":"#/components/schemas/%s"}},`, k, k, k)
	}
	bomb := "openapi: 3.0.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i, i)
	}
	return map[string]string{
		"alias bomb":              bomb + "paths: {}\n",
		"deep nesting":            strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"deep YAML":               "a: " + strings.Repeat("[", 10_000),
		"doubling references":     body(`{"$ref":"#/components/schemas/S0"}`, doubling.String()+`"S40":{"type":"object"}`),
		"wide recursion":          body(`{"$ref":"#/components/schemas/W0"}`, wide.String()+`"W40":{"type":"object"}`),
		"a fan of parts":          body(`{"$ref":"#/components/schemas/F0"}`, fan.String()+`"F12":{"type":"object"}`),
		"parts that hide":         body(`{"$ref":"#/components/schemas/R0"}`, readOnly.String()+`"R12":{"type":"object"}`),
		"a fan of alternatives":   body(`{"$ref":"#/components/schemas/A0"}`, alternatives.String()+`"A12":{"type":"object"}`),
		"a wide tree":             body(`{"$ref":"#/components/schemas/X0"}`, xml.String()+`"X12":{"type":"object"}`),
		"a wide tree in XML":      strings.ReplaceAll(body(`{"$ref":"#/components/schemas/X0"}`, xml.String()+`"X12":{"type":"object"}`), "application/json", "application/xml"),
		"many values":             body(`{"type":"object","properties":{"a":{"enum":[`+strings.TrimSuffix(enum.String(), ",")+`]}}}`, ""),
		"cycles of every kind":    body(`{"anyOf":[{"$ref":"#/components/schemas/allOf"},{"$ref":"#/components/schemas/anyOf"},{"$ref":"#/components/schemas/oneOf"},{"$ref":"#/components/schemas/not"},{"$ref":"#/components/schemas/items"},{"$ref":"#/components/schemas/if"}]}`, strings.TrimSuffix(cycles.String(), ",")),
		"a header annotation":     body(`{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"Authorization"}}}`, ""),
		"a reference to a file":   body(`{"$ref":"file:///etc/passwd"}`, ""),
		"dynamic references":      body(`{"$dynamicRef":"#a","$id":"file:///etc/passwd","$anchor":"x","properties":{"a":{"$schema":"http://x"}}}`, ""),
		"a server in a parameter": `{"openapi":"3.0.0","servers":[{"url":"https://h.test"}],"paths":{"/x/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}},{"name":"Host","in":"header","schema":{"type":"string"}}],"responses":{}}}}}`,
	}
}

// TestCheck10_HostileDescriptions are read within five seconds and 256 MiB each and end nothing; nothing that they ask for is published or read.
func TestCheck10_HostileDescriptions(t *testing.T) {
	const limit = 5 * time.Second
	tests := hostileDescriptions()
	maps.Copy(tests, wideDescriptions())
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			took, grown := hostile(t, tests[name])
			if took > limit && !testing.Short() { // others may have had the processors
				again, _ := hostile(t, tests[name])
				took = min(took, again)
			}
			t.Logf("%v, %d MiB", took.Round(time.Millisecond), grown>>20)
			if took > limit && !testing.Short() || grown > 256<<20 { // a short run has the race detector, which takes ten times as long
				t.Errorf("%v and %d MiB", took, grown>>20)
			}
		})
	}
}

// hostile translates one description, calls what it came to, and tells what that cost.
func hostile(t *testing.T, text string) (took time.Duration, grown uint64) {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	start := time.Now()
	if d, err := open("", []byte(text), nil, nil); err == nil {
		b := &builder{spec: &Spec{}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
		for i, x := range b.build() {
			if s := string(x.Raw); strings.Contains(s, "x-mcp-header") || strings.Contains(s, "$ref") || strings.Contains(s, "passwd") {
				t.Errorf("%s", s)
			}
			if i > 10 {
				continue
			}
			x.Input.Describe([]string{"body", "p1", "p2", "p3", "last"}, 16<<10)
			for _, arguments := range []string{`{"a":"v1","id":"1"}`, `{"body":{"p0":{"p1":{}}}}`, `{"body":[[[{"a":1}]]]}`} {
				if args, refused := x.Input.Accept([]byte(arguments)); refused == nil {
					_, _ = x.plan.outgoing(t.Context(), nil, args, "") // an error is an answer; a panic is not
				}
			}
		}
	}
	took = time.Since(start)
	runtime.ReadMemStats(&after)
	if after.HeapSys-after.HeapReleased > before.HeapSys-before.HeapReleased {
		grown = after.HeapSys - after.HeapReleased - (before.HeapSys - before.HeapReleased)
	}
	return took, grown
}

// TestCheck10_HostileArguments: no value of an argument adds a header, leaves the path, reaches another host, or reads a file.
func TestCheck10_HostileArguments(t *testing.T) {
	const text = `{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{"/a/{id}":{"post":{"operationId":"x","parameters":[{"name":"id","in":"path","required":true,"schema":{}},{"name":"X-H","in":"header","schema":{}},
		{"name":"c","in":"cookie","schema":{}},{"name":"q","in":"query","schema":{}}],"requestBody":{"content":{"multipart/form-data":{"schema":{"type":"object","properties":{"f":{"type":"string","format":"binary"}}}}}},"responses":{}}}}}`
	var heads []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heads = append(heads, r.Host+" "+r.RequestURI+fmt.Sprint(r.Header)+string(body))
		w.WriteHeader(204)
	}))
	defer server.Close()
	a := newAPI(t, text, Spec{Server: server.URL + "/v1"}, translate.Options{})
	values := []string{
		"a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00", "\r\n\r\nGET /evil HTTP/1.1\r\n", "../../evil", "..%2f..%2fevil", "%2e%2e/evil", "..\\evil", "http://evil.test/", "//evil.test", "@evil.test", "a;X-Evil=1",
		"file:///etc/hostname", "/etc/hostname", "http://169.254.169.254/latest",
	}
	for _, v := range values {
		for _, name := range []string{"id", "X-H", "c", "q", "f"} {
			arguments := map[string]any{"id": "1", name: v}
			if name == "f" {
				arguments[name] = map[string]string{"text": "content", "filename": v, "mimeType": v}
			}
			for _, as := range []any{arguments[name], []any{arguments[name]}, map[string]any{v: v}} {
				arguments[name] = as
				raw, err := json.Marshal(arguments)
				if err != nil {
					t.Fatal(err)
				}
				heads = nil
				got, err := call(t, a, "x", string(raw))
				if err != nil {
					t.Fatal(err)
				}
				if len(heads) == 0 && !got.True("isError") || len(heads) > 1 {
					t.Errorf("%s: %d requests, %s", raw, len(heads), got.JSON())
				}
				for _, h := range heads {
					if !strings.HasPrefix(h, strings.TrimPrefix(server.URL, "http://")+" /v1/a/") || strings.Contains(h, "X-Evil:[") || strings.Contains(strings.Split(strings.Split(h, "map[")[0], "?")[0], "..") {
						t.Errorf("%s became %s", raw, h)
					}
				}
			}
		}
	}
	// Data that is an address is neither read nor asked for.
	for _, data := range []string{"file:///etc/hostname", "http://169.254.169.254/", "/etc/hostname"} {
		heads = nil
		got, err := call(t, a, "x", fmt.Sprintf(`{"id":"1","f":{"data":%q}}`, data))
		if err != nil || len(heads) > 0 && !strings.Contains(heads[0], "\r\n\r\n") || data != "/etc/hostname" && !got.True("isError") {
			t.Errorf("%s: %v, %v, %v", data, heads, got, err)
		}
	}
}

// TestCheck16_NothingIsSentBeforeItMayBe counts requests at the API: none for an operation that the caller may not see, is not chosen, is not there, or
// whose arguments do not fit, by any of the ways to call it.
func TestCheck16_NothingIsSentBeforeItMayBe(t *testing.T) {
	var requests atomic.Int32
	o := translate.Options{Transport: transport(func(r *http.Request) (*http.Response, error) {
		requests.Add(1)
		return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	})}
	denied := func(string) bool { return false }
	tried := 0
	for mode, tries := range map[string][][2]string{
		translate.ModeDynamic: {
			{"call_api", `{"name":"deleteThing","arguments":{"id":"1"}}`},
			{"call_api", `{"name":"nothing","arguments":{}}`},
			{"deleteThing", `{"id":"1"}`},
			{"describe_api", `{"names":["deleteThing"]}`},
			{"search_api", `{"query":"delete a thing"}`},
			{"call_api", `{}`},
			{"call_api", `{"name":"deleteThing","name":"listThings"}`},
			{"call_api", `{"name":"DELETETHING","arguments":{"id":"1"}}`},
		},
		translate.ModeTools:    {{"putThing", `{"id__path":"1"}`}, {"deleteThing", `{}`}, {"deleteThing", `{"id":"1","confirm":true}`}, {"nothing", `{}`}, {"getThing", `{"id":"x"}`}},
		translate.ModeExplicit: {{"deleteThing", `{"id":"1"}`}, {"putThing", `{"id__path":"1","name":"n"}`}},
	} {
		a := newAPI(t, small, Spec{Server: "https://h.test", Spec: translate.Spec{Mode: mode, Tools: map[string]translate.Tool{"listThings": {}}}}, o)
		for _, try := range tries {
			tried++
			if got, err := callSeeing(t, a, denied, try[0], try[1]); err == nil && !got.True("isError") && try[0] != "search_api" {
				t.Errorf("%s %s was taken: %s", try[0], try[1], got.JSON())
			}
		}
	}
	t.Logf("%d calls that may not be made: %d requests", tried, requests.Load())
	if requests.Load() != 0 {
		t.Error("something was sent")
	}
}

// wideDescriptions have a hundred thousand of what others have ten of.
func wideDescriptions() map[string]string {
	const n = 100_000
	list := func(format string) string {
		var b strings.Builder
		for i := range n {
			_, _ = fmt.Fprintf(&b, format+",", i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	operation := func(s string) string {
		return `{"openapi":"3.1.0","servers":[{"url":"https://h.test"}],"paths":{"/x":{"post":{"operationId":"x",` + s + `,"responses":{}}}}}`
	}
	body := func(s string) string {
		return operation(`"requestBody":{"required":true,"content":{"application/json":{"schema":` + s + `}}}`)
	}
	return map[string]string{
		"many required names":         body(`{"type":"object","required":[` + list(`"n%d"`) + `]}`),
		"many properties":             body(`{"type":"object","properties":{` + list(`"n%d":{"type":"string"}`) + `}}`),
		"many required properties":    body(`{"type":"object","required":[` + list(`"n%d"`) + `],"properties":{` + list(`"n%d":{"type":"string"}`) + `}}`),
		"many nested properties":      body(`{"type":"array","items":{"type":"object","required":[` + list(`"n%d"`) + `],"properties":{` + list(`"n%d":{"type":"string"}`) + `}}}`),
		"many optional groups":        strings.Replace(body(`{"type":"object","required":[`+list(`"n%d"`)+`],"properties":{`+list(`"n%d":{"type":"string"}`)+`}}`), `"required":true,`, "", 1),
		"many parameters":             operation(`"parameters":[` + list(`{"name":"n%d","in":"query","schema":{"type":"string"}}`) + `]`),
		"many headers of one name":    operation(`"parameters":[` + list(`{"name":"n%d","in":"cookie","schema":{"type":"string"}}`) + `]`),
		"many alternatives":           body(`{"anyOf":[` + list(`{"type":"object","properties":{"kind":{"const":%d}}}`) + `]}`),
		"many parts":                  body(`{"allOf":[` + list(`{"type":"object","properties":{"n%d":{"type":"string","readOnly":true}}}`) + `]}`),
		"many faults":                 body(`{"type":"object","properties":{` + list(`"n%d":{"$ref":"#/nowhere"}`) + `}}`),
		"many operations of one name": `{"openapi":"3.0.0","paths":{` + list(`"/p%d":{"get":{"operationId":"same"}}`) + `}}`,
		"many tags":                   operation(`"tags":[` + list(`"t%d"`) + `]`),
		"many media types":            operation(`"requestBody":{"content":{` + list(`"application/x%d":{}`) + `}}`),
		"many answers":                `{"openapi":"3.0.0","paths":{"/x":{"get":{"operationId":"x","responses":{` + list(`"%d":{"description":"d","content":{"application/json":{"schema":{"type":"string"}}}}`) + `}}}}}`,
		"many servers":                `{"openapi":"3.0.0","servers":[` + list(`{"url":"http://h%d.test"}`) + `],"paths":{"/x":{"get":{"responses":{}}}}}`,
		"many alternatives of many":   `{"openapi":"3.0.0","servers":[` + list(`{"url":"http://h%d.test"}`) + `],"security":[` + list(`{"k%d":[]}`) + `],"paths":{` + strings.Join(strings.Split(list(`"/p%d":{"get":{"responses":{}}}`), ",")[:2000], ",") + `}}`,
		"many path parameters":        `{"openapi":"3.0.0","servers":[{"url":"https://h.test"}],"paths":{"/` + strings.ReplaceAll(list(`{n%d}`), ",", "/") + `":{"get":{"responses":{}}}}}`,
	}
}
