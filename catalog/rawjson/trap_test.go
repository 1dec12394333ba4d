package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Each message calls one tool for a reader that takes the first of equal keys and another for encoding/json.
func TestTrap4_2_1_DuplicateAndCaseVariantKeysAreRefused(t *testing.T) {
	const echo = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}`
	for _, tt := range []struct {
		name, text string
		path       string // where gjson looks
	}{
		{"duplicate name", in(`"name":"echo","name":"secret"`), "params.name"},
		{"upper-case name", in(`"name":"echo","NAME":"secret"`), "params.name"},
		{"escaped duplicate", in(`"name":"echo","na\u006de":"secret"`), "params.name"},
		{"escaped variant", in(`"name":"echo","\u004eame":"secret"`), "params.name"},
		{"second params", echo + `,"params":{"name":"secret"}}`, "params.name"},
		{"Params", echo + `,"Params":{"name":"secret"}}`, "params.name"},
		{"params with a long s", echo + `,"param` + "\u017f" + `":{"name":"secret"}}`, "params.name"},
		{"second method", `{"jsonrpc":"2.0","id":1,"method":"echo","method":"secret"}`, "method"},
		{"Method", `{"jsonrpc":"2.0","id":1,"method":"echo","Method":"secret"}`, "method"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, executed := gjson.Get(tt.text, tt.path).String(), executedByGo(t, tt.text)
			if first != "echo" || executed != "secret" {
				t.Fatalf("not an attack: gjson reads %q, encoding/json executes %q", first, executed)
			}
			refused(t, tt.text)
		})
	}
}

// executedByGo is what an upstream written with encoding/json calls: the tool's name, or the method when there is none.
func executedByGo(t *testing.T, text string) string {
	t.Helper()
	var m struct {
		Method string `json:"method"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if m.Params.Name != "" {
		return m.Params.Name
	}
	return m.Method
}

func refused(t *testing.T, text string) {
	t.Helper()
	var m Message
	var se *SyntaxError
	err := Scan(&m, []byte(text))
	if !errors.As(err, &se) || se.Code != CodeInvalidRequest || !strings.Contains(se.Reason, "only in case") {
		t.Errorf("Scan(%s) = %v, want a refusal for its keys", text, err)
	}
}

// A variant that stands alone is as bad: the scanner sees no name, the upstream does.
func TestTrap4_2_1_LoneCaseVariantsOfKnownKeysAreRefused(t *testing.T) {
	variants := func(name string) []string {
		out := []string{strings.ToUpper(name[:len(name)-1]) + name[len(name)-1:], fmt.Sprintf(`\u%04x`, name[0]^0x20) + name[1:]}
		if name[0] == '_' {
			out = out[:1]
		}
		if at := strings.IndexAny(name, "sS"); at >= 0 {
			out = append(out, name[:at]+"\u017f"+name[at+1:], name[:at]+`\u017F`+name[at+1:])
		}
		if at := strings.IndexAny(name, "kK"); at >= 0 {
			out = append(out, name[:at]+"\u212a"+name[at+1:], name[:at]+`\u212A`+name[at+1:])
		}
		return out
	}
	for _, tt := range []struct {
		names []string
		wrap  string
	}{
		{knownMessage(), `{"jsonrpc":"2.0","id":1,"method":"x",%s}`},
		{knownParams(), in(`%s`)},
		{[]string{"type", "name", "uri"}, in(`"ref":{%s}`)},
		{knownMeta(), meta(`%s`)},
		{[]string{"_meta", "resultType"}, `{"jsonrpc":"2.0","id":1,"result":{%s}}`},
		{knownMeta(), `{"jsonrpc":"2.0","id":1,"result":{"_meta":{%s}}}`},
	} {
		for _, name := range tt.names {
			for _, variant := range variants(name) {
				var decodedKey string
				if err := json.Unmarshal([]byte(`"`+variant+`"`), &decodedKey); err != nil {
					t.Fatal(err)
				}
				if decodedKey == name || !strings.EqualFold(decodedKey, name) {
					t.Fatalf("%q is no variant of %q", decodedKey, name)
				}
				refused(t, fmt.Sprintf(tt.wrap, `"`+variant+`":{}`))
			}
		}
	}
}

func TestTrap4_2_1_DuplicatesOfUnknownKeysAreRefused(t *testing.T) {
	many := func(last string) string {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, `"key%d":%d,`, i, i)
		}
		return b.String() + last
	}
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"x","v":1,"v":2}`,
		`{"jsonrpc":"2.0","id":1,"result":{"v":1,"\u0076":2}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"v":1,"v":2}}}`,
		in(`"v":1,"v":2`), in(`"v":1,"V":2`), in(`"ä":1,"Ä":2`), in(`"ä":1,"\u00c4":2`), in("\"to\u212aen\":1,\"token\":2"),
		in(`"ref":{"v":1,"v":2}`), meta(`"v":1,"v":2`), meta(`"":1,"":2`),
		in(many(`"KEY7":1`)), in(many(`"key\u0037":1`)), in(many(`"\u212aey199":1`)),
		meta(many(`"key150":1`)), meta(many(`"k\u0065y3":1`)),
	} {
		refused(t, text)
	}
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"x","v":1,"V":2}`, meta(`"v":1,"V":2`), meta(many(`"KEY7":1`)), in(many(`"key200":1`)),
		in(`"ref":{"v":1,"V":2},"v":{"v":1}`), `{"jsonrpc":"2.0","id":1,"result":{"v":1,"V":2}}`,
	} {
		scanned(t, text)
	}
}

func TestTrap4_2_1_UniqueKeysReadsEveryDepth(t *testing.T) {
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`, true},
		{`{}`, true},
		{`[]`, true},
		{`7`, true},
		{`{"a":1,"a":2}`, false},
		{`{"path":1,"PATH":2}`, false},
		{`{"x":{"y":[0,{"a":1,"\u0061":2}]}}`, false},
		{`[[{"a":{},"b":{"c":1},"a":2}]]`, false},
		{`{"a":1`, false},
	} {
		if err := UniqueKeys([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("UniqueKeys(%s) = %v", tt.text, err)
		}
	}
}

// Comparing keys pairwise would take minutes here.
func TestTrap4_2_1_ManyKeysAreNotQuadratic(t *testing.T) {
	var b bytes.Buffer
	for i := range MaxKeys {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	full := b.String() + `"x":0`
	for _, text := range []string{in(full), meta(full), `{"jsonrpc":"2.0","id":1,"result":{` + full + `}}`} {
		var m Message
		var se *SyntaxError
		if err := Scan(&m, []byte(text)); !errors.As(err, &se) || !strings.Contains(se.Reason, "65536 keys") {
			t.Errorf("%d keys: %v", MaxKeys+1, err)
		}
	}
	scanned(t, in(strings.TrimSuffix(b.String(), ",")))
	if err := UniqueKeys([]byte("{" + strings.TrimSuffix(b.String(), ",") + "}")); err != nil {
		t.Errorf("UniqueKeys: %v", err)
	}
}

// gjson.ValidBytes kills the process on the first of these. The stack limit makes a recursive reader fail here too.
func TestTrap4_2_2_DeepNestingCostsNoStack(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(1 << 20))
	const size = 8 << 20
	for _, unit := range []string{`[`, `{"a":`, `[{"a":`, "[ \n", `[1,`} {
		deep := strings.Repeat(unit, size/len(unit))
		for _, text := range []string{
			deep, in(`"arguments":{"a":` + deep), `{"jsonrpc":"2.0","id":1,"result":` + deep, in(`"_meta":{"a":` + deep),
		} {
			var m Message
			if err := Scan(&m, []byte(text)); err == nil {
				t.Errorf("Scan accepts %.40s…", text)
			}
		}
		data := []byte(deep)
		for name, err := range map[string]error{
			"Valid":      Valid(data),
			"UniqueKeys": UniqueKeys(data),
			"Members":    Members([]byte(`{"a":`+deep), func([]byte, Span, Span) bool { return true }),
			"Elements":   Elements(data, func(Span) bool { return true }),
		} {
			if err == nil {
				t.Errorf("%s accepts %.40s…", name, deep)
			}
		}
		if _, err := Fields([]byte(`{"a":`+deep), "a"); err == nil {
			t.Errorf("Fields accepts %.40s…", deep)
		}
		if got := AppendObject(nil, data, nil); string(got) != "{}" {
			t.Errorf("AppendObject = %.40s…", got)
		}
		if got := Compact(nil, data); bytes.ContainsAny(got, " \n") {
			t.Errorf("Compact left white space")
		}
	}
}

func TestTrap4_2_2_DepthLimit(t *testing.T) {
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	object := func(n int) string { return strings.Repeat(`{"a":`, n) + "0" + strings.Repeat("}", n) }
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{nest(MaxDepth), true}, {nest(MaxDepth + 1), false}, {object(MaxDepth), true}, {object(MaxDepth + 1), false},
	} {
		if err := Valid([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("Valid at depth %d: %v", len(tt.text)/2, err)
		}
		if err := UniqueKeys([]byte(tt.text)); (err == nil) != tt.ok {
			t.Errorf("UniqueKeys at depth %d: %v", len(tt.text)/2, err)
		}
	}
	for _, tt := range []struct {
		wrap  string
		level int // how many containers stand around %s
	}{
		{in(`"arguments":%s`), 2},
		{in(`"_meta":{"x":%s}`), 3},
		{in(`"ref":{"x":%s}`), 3},
		{`{"jsonrpc":"2.0","id":1,"result":%s}`, 1},
		{`{"jsonrpc":"2.0","id":1,"result":{"_meta":{"x":%s}}}`, 3},
		{`{"jsonrpc":"2.0","method":"x","x":%s}`, 1},
	} {
		scanned(t, fmt.Sprintf(tt.wrap, object(MaxDepth-tt.level)))
		var m Message
		var se *SyntaxError
		if err := Scan(&m, fmt.Appendf(nil, tt.wrap, object(MaxDepth-tt.level+1))); !errors.As(err, &se) || se.Reason != tooDeep {
			t.Errorf("one level too deep in %s: %v", tt.wrap, err)
		}
	}
}

// A pretty-printed message must leave as one line: a line is a frame on stdio.
func TestTrap4_2_4_CompactLeavesNoNewline(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"{\r\n\t\"a\" : [ 1 ,\n 2 ] ,\n\"b\\n\" : \"x\\ny z\"\n}\n", `{"a":[1,2],"b\n":"x\ny z"}`},
		{" \n ", ""},
		{`"a\\" `, `"a\\"`},
		{`{"a":"\"\n"}`, `{"a":"\"\n"}`},
		// Not JSON, and still one line.
		{"\"a\nb\"", `"a\nb"`},
		{"\"a\r\n", `"a\r\n`},
		{"\"a\\\n\"\n", `"a\\n"`},
		{"a\nb", "ab"},
		{"\"\\", "\"\\"},
	} {
		if got := string(Compact(nil, []byte(tt.in))); got != tt.want {
			t.Errorf("Compact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	pretty, err := json.MarshalIndent(json.RawMessage(fullRequest), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, pretty); err != nil {
		t.Fatal(err)
	}
	if got := Compact([]byte("> "), pretty); string(got) != "> "+want.String() {
		t.Errorf("Compact = %s, want %s", got, want.String())
	}
}
