package openapi

import (
	"testing"

	"weir/translate"
	"weir/translate/schema"
)

// TestTokenCost tells what lists cost: of the default catalogue, where three tools stand for a large API, and of single tools, whose median is at
// most 400 tokens though no required argument is cut away.
func TestTokenCost(t *testing.T) {
	for _, prefix := range []string{"github", "stripe"} {
		if f := corpus(t, prefix)[0]; !large(f.text) {
			tokenCost(t, f)
		}
	}
}

func tokenCost(t *testing.T, f corpusFile) {
	t.Helper()
	tr := translateText(t, f, Spec{})
	listed := 0
	for _, raw := range tr.state.Source.Tools {
		listed += len(raw)
	}
	r := tr.state.Report
	t.Logf("%s: %d tools, by default %d listed for %d tokens; all would cost %d, the median %d, the largest %d", f.name, r.Tools, len(tr.state.Source.Tools),
		listed/translate.BytesPerToken, r.Tokens, r.Median/translate.BytesPerToken, r.Largest/translate.BytesPerToken)
	if r.Median > 400*translate.BytesPerToken {
		t.Errorf("%s: the median tool costs %d tokens", f.name, r.Median/translate.BytesPerToken)
	}
	if !r.Dynamic || listed > 1000*translate.BytesPerToken {
		t.Errorf("%s: the default catalogue costs %d tokens", f.name, listed/translate.BytesPerToken)
	}
	for _, x := range tr.tools {
		item, err := schema.Parse(x.Raw)
		if err != nil {
			t.Fatal(err)
		}
		published := item.Get("inputSchema")
		for _, name := range x.Input.Full.Root.Get("required").Strings() {
			if published.Get("properties").Get(name) == nil {
				t.Errorf("%s: %s: required %q is not published", f.name, x.Name, name)
			}
		}
	}
}
