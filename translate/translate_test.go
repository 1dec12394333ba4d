package translate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

func TestResult(t *testing.T) {
	r := &translate.Result{}
	r.AddText("a\"\n")
	r.AddMedia("image", "image/png", []byte{0, 1})
	r.AddBlob("blob:1", "application/pdf", []byte("x"))
	r.SetStructured([]byte(`{"n":9007199254740993}`))
	r.Fail()
	a, err := r.Answer()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"resultType":"complete","content":[{"type":"text","text":"a\"\n"},{"type":"image","data":"AAE=","mimeType":"image/png"},` +
		`{"type":"resource","resource":{"uri":"blob:1","mimeType":"application/pdf","blob":"eA=="}}],"structuredContent":{"n":9007199254740993},"isError":true}`
	if got := string(a.Message.Result.Of(a.Message.Data)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	bad := &translate.Result{}
	bad.SetStructured([]byte(`{"a":`))
	if _, err := bad.Answer(); err == nil {
		t.Error("half an object became an answer")
	}
}

// TestAnswersAreAsScanned: what is put together is what a scan of it finds.
func TestAnswersAreAsScanned(t *testing.T) {
	v, err := schema.Parse([]byte(`{"a":[1,{"b":"c\""}],"n":9007199254740993}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, failed := range []bool{false, true} {
		for _, notes := range [][]string{nil, {"a note"}} {
			r := (&translate.Output{}).Result(translate.Reply{Data: v.Append(nil), Value: v, Notes: notes})
			if failed {
				r.Fail()
			}
			a, err := r.Answer()
			if err != nil {
				t.Fatal(err)
			}
			var want rawjson.Message
			if err := rawjson.Scan(&want, a.Message.Data); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, a.Message); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestSearchPrefersTheShortResource(t *testing.T) {
	x := translate.NewIndex([]translate.Document{
		{Name: "reactions_create-for-issue", Path: "POST /repos/{owner}/{repo}/issues/{issue_number}/reactions", Summary: "Create reaction for an issue"},
		{Name: "issues_create", Path: "POST /repos/{owner}/{repo}/issues", Summary: "Create an issue"},
		{Name: "issues_list", Path: "GET /repos/{owner}/{repo}/issues", Summary: "List repository issues", Outdated: true},
		{Name: "issues_list-for-repo", Path: "GET /repos/{owner}/{repo}/issues", Summary: "List repository issues"},
	})
	all := func(int) bool { return true }
	for question, want := range map[string]int{"open a new issue": 1, "create issue": 1, "add a reaction to an issue": 0, "show all issues of a repo": 3} {
		if got := x.Search(question, 5, all); len(got) == 0 || got[0] != want {
			t.Errorf("%s: got %v, want %d first", question, got, want)
		}
	}
	if got := x.Search("create issue", 5, func(i int) bool { return i != 1 }); len(got) == 0 || got[0] == 1 {
		t.Errorf("got %v", got)
	}
	if got := x.Search("", 5, all); len(got) != 0 {
		t.Errorf("an empty question finds %v", got)
	}
}

func FuzzSearch(f *testing.F) {
	x := translate.NewIndex([]translate.Document{{Name: "a_b", Summary: "Do the thing"}, {Name: "camelCaseName", Tags: []string{"x"}}})
	f.Add("camel case")
	f.Add("\xff\x00É ing s es")
	f.Fuzz(func(t *testing.T, question string) {
		if got := x.Search(question, 1, func(int) bool { return true }); len(got) > 1 {
			t.Error(got)
		}
	})
}

// FuzzShrink cuts any value to any size and to any parts of it: what is left is JSON of at most that size.
func FuzzShrink(f *testing.F) {
	for _, s := range []string{`{"items":[{"id":1,"text":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},{"id":2}]}`, `[[[[[[[["deep"]]]]]]]]`, `"\u0000\u0001\"\\"`, `{"a":{"b":{"c":[1,2,3]}}}`} {
		f.Add([]byte(s), "items.*.id", uint16(40))
		f.Add([]byte(s), "a.b[].c", uint16(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, path string, limit uint16) {
		v, err := schema.Parse(data)
		if err != nil {
			return
		}
		size := int(limit)%2000 + 2
		out, notes := translate.Shrink(translate.Mask(v, strings.Split(path, ",")), size)
		text := out.JSON()
		if _, err := schema.Parse([]byte(text)); err != nil || len(text) > size {
			t.Errorf("%q in %d bytes became %d: %s, %v", data, size, len(text), text, err)
		}
		if same := text == translate.Mask(v, strings.Split(path, ",")).JSON(); len(notes) == 0 && !same {
			t.Errorf("%q was cut in silence to %s", data, text)
		}
	})
}
