package translate_test

import (
	"testing"

	"weir/translate"
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
