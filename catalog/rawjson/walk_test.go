package rawjson

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestFields(t *testing.T) {
	const obj = ` {"name":"a","n\u0061me2":[1, 2],"Other":{"a":1,"a":2},"other2":null} `
	got, err := Fields([]byte(obj), "name2", "missing", "name", "other2")
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, s := range got {
		text = append(text, string(s.Of([]byte(obj))))
	}
	if diff := cmp.Diff([]string{"[1, 2]", "", `"a"`, "null"}, text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{
		``, `[]`, `1`, `{"a":1`, `{"a":1}x`, `{"name":1,"name":2}`, `{"x":1,"x":2}`, `{"Name":1}`, `{"n\u0061ME":1}`,
		"{\"tas\u212a\":1}", `{"a":1,"name":2,"NAME":3}`, "{\"a\":\"\xff\"}",
	} {
		var se *SyntaxError
		if _, err := Fields([]byte(bad), "name", "task"); !errors.As(err, &se) {
			t.Errorf("Fields(%s) = %v", bad, err)
		}
	}
}

func TestMembersAndElements(t *testing.T) {
	const obj = ` { "a" : 1 , "\u0062\n" : [ 2 ] ,"":{} } `
	var got []string
	if err := Members([]byte(obj), func(key []byte, member, value Span) bool {
		got = append(got, string(key), obj[member.Start:member.End], obj[value.Start:value.End])
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"a", `"a" : 1`, "1", "b\n", `"\u0062\n" : [ 2 ]`, "[ 2 ]", "", `"":{}`, "{}"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Members (-want +got):\n%s", diff)
	}
	got = nil
	const arr = ` [ 1 , {"a":[]},"x" ] `
	each := func(v Span) bool { got = append(got, arr[v.Start:v.End]); return len(got) < 3 }
	if err := Elements([]byte(arr), each); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1", `{"a":[]}`, `"x"`}, got); diff != "" {
		t.Errorf("Elements (-want +got):\n%s", diff)
	}
}

func TestWalkStopsAndRefuses(t *testing.T) {
	calls := 0
	stop := func([]byte, Span, Span) bool { calls++; return false }
	if err := Members([]byte(`{"a":1,"b":2,`), stop); err != nil || calls != 1 {
		t.Errorf("stopped walk: %d calls, %v", calls, err)
	}
	calls = 0
	if err := Elements([]byte(`[1,2,`), func(Span) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("stopped walk: %d calls, %v", calls, err)
	}
	for _, bad := range []string{``, ` `, `1`, `[`, `{`, `[1`, `{"a":1`, `[1,]`, `{"a":1,}`, `[1}`, `{"a":1]`, `[] 1`, `{} 1`, `[01]`, `{1:2}`} {
		all := func([]byte, Span, Span) bool { return true }
		var se *SyntaxError
		if err := Members([]byte(bad), all); !errors.As(err, &se) {
			t.Errorf("Members(%q) = %v", bad, err)
		}
		if err := Elements([]byte(bad), func(Span) bool { return true }); !errors.As(err, &se) {
			t.Errorf("Elements(%q) = %v", bad, err)
		}
	}
}

func TestString(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00e9\ud83d\ude00x"`: "é😀x", `"日本 \u0000"`: "日本 \x00",
	} {
		if got, ok := String([]byte(raw)); !ok || got != want {
			t.Errorf("String(%s) = %q, %v", raw, got, ok)
		}
	}
	for _, raw := range []string{``, `a`, `"`, `"a`, `"a" `, ` "a"`, `"a"b"`, `"\ud800"`, `"\x"`, "\"\xff\"", "\"\n\"", `1`, `null`} {
		if got, ok := String([]byte(raw)); ok || got != "" {
			t.Errorf("String(%q) = %q, %v", raw, got, ok)
		}
	}
}

func TestAppendString(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a<b>&c/\u2028\x7f": "\"a<b>&c/\u2028\x7f\"", "\"\\\b\f\n\r\t\x00\x1f": `"\"\\\b\f\n\r\t\u0000\u001f"`, "é\xffx\xed\xa0\x80": "\"é\uFFFDx\uFFFD\uFFFD\uFFFD\"",
	} {
		if got := string(AppendString([]byte("> "), s)); got != "> "+want {
			t.Errorf("AppendString(%q) = %s, want %s", s, got, want)
		}
	}
}

func FuzzString(f *testing.F) {
	f.Add("plain", []byte(`"\ud83d\ude00 é"`))
	f.Add("\x00\"\\\xff\u2028", []byte(`"\ud800"`))
	f.Fuzz(func(t *testing.T, s string, raw []byte) {
		quoted := AppendString(nil, s)
		if got, ok := String(quoted); !ok || got != strings.ToValidUTF8(s, "\uFFFD") && utf8.ValidString(s) {
			t.Errorf("String(AppendString(%q)) = %q, %v", s, got, ok)
		}
		if want := decoded(quoted); want != string([]rune(s)) {
			t.Errorf("AppendString(%q) means %q", s, want)
		}
		got, ok := String(raw)
		valid := len(raw) > 0 && raw[0] == '"' && raw[len(raw)-1] == '"' && json.Valid(raw) && utf8.Valid(raw) && !loneSurrogate(raw)
		if ok != valid || ok && got != decoded(raw) {
			t.Errorf("String(%q) = %q, %v", raw, got, ok)
		}
	})
}

func FuzzValid(f *testing.F) {
	for _, text := range []string{
		fragile, ` [1, -0.5e+9, "a\u0062", null, true, false, {"a":{"b":[]}}] `, `"\udc00"`, "\"\xff\"", `{"a":1,"A":2}`,
		`[{"b":1},{"b":1,"\u0062":2}]`, strings.Repeat("[", 600),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, ok := reference(data)
		if err := Valid(data); (err == nil) != ok {
			t.Fatalf("Valid: %v, reference: %v", err, ok)
		}
		if err := UniqueKeys(data); (err == nil) != (ok && !n.ambiguousAnywhere()) {
			t.Fatalf("UniqueKeys: %v", err)
		}
		var members []refMember
		err := Members(data, func(key []byte, member, value Span) bool {
			members = append(members, refMember{string(key), member, &node{span: value}})
			return true
		})
		if (err == nil) != (ok && n.isObject()) {
			t.Fatalf("Members: %v", err)
		}
		for i := range members {
			if err != nil {
				break
			}
			want := n.members[i]
			if members[i].key != want.key || members[i].span != want.span || members[i].value.span != want.value.span {
				t.Fatalf("member %d: %v, want %v", i, members[i], want)
			}
		}
	})
}

// TestWalksSeeTheirOwnKeys: the keys of nested objects are not taken for those of the object that is walked.
func TestWalksSeeTheirOwnKeys(t *testing.T) {
	obj := []byte(`{"a":{"inner":1,"bb":[{"ccc":2}]},"longerKey":{"a":{}},"z":0}`)
	f, err := Fields(obj, "longerKey", "a", "z", "inner")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(f[0].Of(obj)), string(f[1].Of(obj)), string(f[2].Of(obj)), string(f[3].Of(obj))}
	if want := []string{`{"a":{}}`, `{"inner":1,"bb":[{"ccc":2}]}`, "0", ""}; !slices.Equal(got, want) {
		t.Errorf("Fields: %q, want %q", got, want)
	}
	var members []string
	if err := Members(obj, func(key []byte, member, value Span) bool {
		members = append(members, string(key)+"="+string(value.Of(obj))+"|"+string(member.Of(obj)))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{`a={"inner":1,"bb":[{"ccc":2}]}|"a":{"inner":1,"bb":[{"ccc":2}]}`, `longerKey={"a":{}}|"longerKey":{"a":{}}`, `z=0|"z":0`}
	if !slices.Equal(members, want) {
		t.Errorf("Members: %q, want %q", members, want)
	}
	object := AppendObject(nil, obj, func(key []byte) bool { return string(key) == "longerKey" || string(key) == "inner" })
	if want := `{"a":{"inner":1,"bb":[{"ccc":2}]},"z":0}`; string(object) != want {
		t.Errorf("AppendObject: %s, want %s", object, want)
	}
}

func TestStringEnd(t *testing.T) {
	for _, s := range []string{`""`, `"a"`, `"\""`, `"\\"`, `"\\\""`, `"a\"b\\\\"`, `"\u0022"`, `"é\/"`} {
		for _, around := range []string{"", " ", `,"x"`, `:"\""`} {
			data := []byte("[" + s + around)
			if end := StringEnd(data, 1); end != 1+len(s) {
				t.Errorf("%s ends at %d, want %d", data, end, 1+len(s))
			}
		}
	}
}
