package rawjson

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSplice(t *testing.T) {
	const data = `{"name":"echo","id":1}`
	whole := Span{0, len(data)}
	for _, tt := range []struct {
		name   string
		within Span
		edits  []Edit
		want   string
	}{
		{"nothing", whole, nil, data},
		{"replace", whole, []Edit{{Span{8, 14}, []byte(`"a__echo"`)}}, `{"name":"a__echo","id":1}`},
		{"two", whole, []Edit{{Span{8, 14}, []byte(`"x"`)}, {Span{20, 21}, []byte("99")}}, `{"name":"x","id":99}`},
		{"insert", whole, []Edit{{Span{1, 1}, []byte(`"a":0,`)}}, `{"a":0,"name":"echo","id":1}`},
		{"delete", whole, []Edit{{Span{1, 15}, nil}}, `{"id":1}`},
		{"adjacent", whole, []Edit{{Span{8, 9}, nil}, {Span{9, 14}, []byte("2")}}, `{"name":2,"id":1}`},
		{"within", Span{8, 14}, []Edit{{Span{9, 13}, []byte("x")}}, `"x"`},
		{"all", Span{8, 14}, []Edit{{Span{8, 14}, []byte("x")}}, `x`},
	} {
		if got := string(Splice([]byte("> "), []byte(data), tt.within, tt.edits...)); got != "> "+tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestAppendObject(t *testing.T) {
	drop := func(keys ...string) func([]byte) bool {
		return func(key []byte) bool {
			return slices.Contains(keys, string(key))
		}
	}
	one := Member{"n", []byte("1")}
	for _, tt := range []struct {
		name, obj string
		drop      func([]byte) bool
		extra     []Member
		want      string
	}{
		{"nil", "", nil, nil, `{}`},
		{"nil and extra", "", nil, []Member{one}, `{"n":1}`},
		{"empty", ` { } `, nil, []Member{one}, `{"n":1}`},
		{"keep", `{"a":1, "b" : 2}`, nil, nil, `{"a":1, "b" : 2}`},
		{"append", `{ "a":1 }`, nil, []Member{one, {"m\n", nil}}, `{"a":1,"n":1,"m\n":null}`},
		{"drop first", `{"a":1,"b":2,"c":3}`, drop("a"), nil, `{"b":2,"c":3}`},
		{"drop middle", `{"a":1,"b":2,"c":3}`, drop("b"), []Member{one}, `{"a":1,"c":3,"n":1}`},
		{"drop last", `{"a":1,"b":2,"c":3}`, drop("c"), nil, `{"a":1,"b":2}`},
		{"drop all", `{"a":1,"b":2}`, drop("a", "b"), []Member{one}, `{"n":1}`},
		{"drop escaped", `{"\u0061":1,"b":2}`, drop("a"), nil, `{"b":2}`},
		{"replace", `{"n":0,"b":2}`, nil, []Member{one}, `{"b":2,"n":1}`},
		{"not an object", `[1]`, nil, []Member{one}, `{"n":1}`},
		{"broken", `{"a":1,`, nil, []Member{one}, `{"n":1}`},
	} {
		if got := string(AppendObject([]byte("> "), []byte(tt.obj), tt.drop, tt.extra...)); got != "> "+tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Values that decoding and encoding again would change.
const fragile = `{"a":[],"b":{},"c":9007199254740993,"d":1e400,"e":-0,"f":0.10,"g":"<\/\u00e9>","h":12345678901234567890123}`

func TestR7_EditsKeepEveryByte(t *testing.T) {
	data := []byte(in(`"name":"x","arguments":` + fragile))
	m := scanned(t, string(data))
	if got := m.text(m.Arguments); got != fragile {
		t.Fatalf("Arguments = %s", got)
	}
	name := []byte(`"longer"`)
	if got, want := string(Splice(nil, data, m.Params, Edit{m.Name, name})), `{"name":"longer","arguments":`+fragile+`}`; got != want {
		t.Errorf("Splice = %s", got)
	}
	if got, want := string(AppendObject(nil, m.Params.Of(data), func(key []byte) bool { return string(key) == "name" })),
		`{"arguments":`+fragile+`}`; got != want {
		t.Errorf("AppendObject = %s", got)
	}
	if got := string(AppendObject(nil, []byte(fragile), nil)); got != fragile {
		t.Errorf("AppendObject = %s", got)
	}
	spaced := strings.NewReplacer(",", " ,\n", ":", "\t: ").Replace(fragile)
	if got := string(Compact(nil, []byte(spaced))); got != fragile {
		t.Errorf("Compact = %s", got)
	}
	var at int
	if err := Members([]byte(fragile), func(_ []byte, member, value Span) bool {
		if at++; fragile[member.Start] != '"' || !strings.HasSuffix(fragile[:member.End], fragile[value.Start:value.End]) {
			t.Errorf("member %d: %s / %s", at, fragile[member.Start:member.End], fragile[value.Start:value.End])
		}
		return true
	}); err != nil || at != 8 {
		t.Errorf("Members: %d members, %v", at, err)
	}
}

// meaning decodes one JSON value without loss of digits.
func meaning(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || !json.Valid(data) {
		t.Fatalf("%q is not JSON: %v", data, err)
	}
	return v
}

func FuzzAppendObject(f *testing.F) {
	f.Add([]byte(fragile), "b", "n", []byte(`[1]`))
	f.Add([]byte(` { "a" : { } , "b":2 } `), "a", "b\n\"", []byte(`null`))
	f.Add([]byte(`{}`), "", "\xff", []byte(`"x"`))
	f.Fuzz(func(t *testing.T, obj []byte, dropped, key string, value []byte) {
		n, ok := reference(obj)
		if _, valid := reference(value); !ok || !n.isObject() || n.ambiguous(false) || !valid {
			return
		}
		got := AppendObject(nil, obj, func(k []byte) bool { return string(k) == dropped }, Member{key, value})
		want, _ := meaning(t, obj).(map[string]any)
		delete(want, dropped)
		delete(want, key)
		want[strings.ToValidUTF8(key, "\uFFFD")] = meaning(t, value)
		if utf8.ValidString(key) {
			if diff := cmp.Diff(any(want), meaning(t, got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		var kept []string
		for _, m := range n.members {
			if m.key != dropped && m.key != key {
				kept = append(kept, string(obj[m.span.Start:m.span.End]))
			}
		}
		rest := string(got)
		for _, member := range kept {
			at := strings.Index(rest, member)
			if at < 0 {
				t.Fatalf("%s lost the bytes %s", got, member)
			}
			rest = rest[at+len(member):]
		}
	})
}

func FuzzCompact(f *testing.F) {
	f.Add([]byte(fullRequest))
	f.Add([]byte("[ \"a\\\"\\\\\" , 1 ,\n\t{ \"b\" : null } ]"))
	f.Add([]byte("\"a\nb"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Compact(nil, data)
		if bytes.ContainsAny(got, "\r\n") {
			t.Fatalf("%q has a line break", got)
		}
		if !json.Valid(data) {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, data); err != nil {
			t.Fatal(err)
		}
		if got, want := string(got), want.String(); got != want {
			t.Errorf("Compact = %s, encoding/json %s", got, want)
		}
	})
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":[2]}`), []byte(`{"x":1e400}`), uint(1), uint(3))
	f.Add([]byte(fragile), []byte(`"name"`), uint(0), uint(7))
	f.Fuzz(func(t *testing.T, obj, with []byte, first, second uint) {
		n, ok := reference(obj)
		if _, valid := reference(with); !ok || !valid || len(n.members) == 0 || n.ambiguous(false) {
			return
		}
		count := uint(len(n.members))
		a, b := min(first%count, second%count), max(first%count, second%count)
		edits := []Edit{{n.members[a].value.span, with}}
		if a != b {
			edits = append(edits, Edit{n.members[b].value.span, with})
		}
		got := Splice(nil, obj, Span{0, len(obj)}, edits...)
		want, _ := meaning(t, obj).(map[string]any)
		want[n.members[a].key], want[n.members[b].key] = meaning(t, with), meaning(t, with)
		if diff := cmp.Diff(any(want), meaning(t, got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
