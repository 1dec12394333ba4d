package policy

import (
	"testing"

	"weir/catalog"
)

func TestSelection(t *testing.T) {
	match, err := Selection([]string{"bank/get_*", "files/file:///docs/*", "mail"})
	if err == nil || match != nil {
		t.Fatalf("a pattern without an upstream passes: %v", err)
	}
	if match, err = Selection(nil); match != nil || err != nil {
		t.Fatalf("no patterns: %v", err)
	}
	if match, err = Selection([]string{"bank/get_*", "files/file:///docs/*"}); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[catalog.Ref]bool{
		{Upstream: "bank", Name: "get_a"}: true, {Upstream: "bank", Name: "set_a"}: false, {Upstream: "bank2", Name: "get_a"}: false,
		{Upstream: "files", Name: "file:///docs/a"}: true, {Upstream: "files", Name: "file:///docs/a/b"}: false,
	} {
		if got := match(ref); got != want {
			t.Errorf("%s: %v, want %v", ref, got, want)
		}
	}
}
