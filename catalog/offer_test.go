package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOffer: a part of the namespace, by Ref, under other names and words; what it is a part of stays as it was.
func TestOffer(t *testing.T) {
	raw := func(items ...string) (out [][]byte) {
		for _, s := range items {
			out = append(out, []byte(s))
		}
		return out
	}
	whole := Build([]*Source{
		{
			Upstream: "bank", Capabilities: []byte(`{"resources":{}}`),
			Tools:     raw(`{"name":"pay","description":"Pays. Long text.","inputSchema":{"type":"object"},"x":1}`, `{"name":"see","inputSchema":{"type":"object"}}`),
			Resources: raw(`{"name":"a","uri":"bank://open/a"}`, `{"name":"v","uri":"bank://vault/v"}`), Templates: raw(`{"name":"t","uriTemplate":"bank://{area}/{id}"}`),
		},
		{Upstream: "mail", Tools: raw(`{"name":"send","inputSchema":{"type":"object"}}`, `{"name":"see","inputSchema":{"type":"object"}}`)},
	}, Options{Rules: map[string]Rules{"bank": {Alias: map[string]string{"see": "look"}}}})
	part := whole.Offer(Offer{
		Naming:  Bare,
		Include: func(r Ref) bool { return r.Upstream == "bank" || r.Name == "send" },
		Exclude: func(r Ref) bool { return strings.HasPrefix(r.Name, "bank://vault") },
		Tools: map[Ref]Overlay{
			{"bank", "pay"}:  {Name: "send_money", Description: "Send money."},
			{"mail", "send"}: {Title: "Mail"},
			{"mail", "see"}:  {Title: "not offered"},
			{"mail", "sing"}: {Name: "sing"},
			{"away", "x"}:    {Title: "its upstream is not there yet"},
		},
	})
	var got []string
	for _, e := range part.Entries() {
		got = append(got, e.Ref.String()+" "+string(e.Raw(Modern)))
	}
	for _, p := range part.Problems() {
		got = append(got, p.Reason)
	}
	want := []string{
		`bank/see {"name":"look","inputSchema":{"type":"object"}}`,
		`mail/send {"name":"send","inputSchema":{"type":"object"},"title":"Mail"}`,
		`bank/pay {"name":"send_money","inputSchema":{"type":"object"},"x":1,"description":"Send money."}`,
		`bank/bank://open/a {"name":"a","uri":"bank://open/a"}`,
		`bank/bank://{area}/{id} {"name":"t","uriTemplate":"bank://{area}/{id}"}`,
		`mail: alias for "sing" names no tool or prompt that it lists`,
		`mail/see: is changed, but nothing of this name is offered`,
		`mail/sing: is changed, but nothing of this name is offered`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got):", diff)
	}
	for uri, found := range map[string]bool{"bank://open/a": true, "bank://open/b": true, "bank://vault/v": false, "bank://vault/w": false} {
		if _, _, err := part.ResolveURI(uri, nil); (err == nil) != found {
			t.Errorf("%s: %v, want found %v", uri, err, found)
		}
	}
	if e, err := part.Resolve(Tool, "pay", nil); err != nil || e.Ref != (Ref{"bank", "pay"}) {
		t.Errorf("a unique bare name: %v, %v", e, err)
	}
	if _, err := part.Resolve(Tool, "mail__see", nil); err == nil {
		t.Error("what is not offered resolves")
	}
	if e, err := whole.Resolve(Tool, "bank__pay", nil); err != nil || !strings.Contains(string(e.Raw(Legacy)), "Long text") {
		t.Errorf("the whole changed: %v", err)
	}
}
