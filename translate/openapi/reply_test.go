package openapi

import (
	"math/rand/v2"
	"strings"
	"testing"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// replySchemas are the full schemas of the first successful JSON answer of each operation, as the mock takes them.
func replySchemas(t *testing.T, f corpusFile) (map[string]*schema.Value, *schema.Defs) {
	t.Helper()
	d, err := open("", f.text, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newConverter(d)
	all := make(map[string]*schema.Value)
	for _, o := range d.operations() {
		for _, r := range o.responses {
			for _, m := range r.media {
				if all[o.identity] == nil && strings.HasPrefix(r.status, "2") && kindOf(m.name) == mediaJSON && m.schema.value != nil {
					all[o.identity] = c.convert(m.schema, reply)
				}
			}
		}
	}
	return all, c.defs[reply]
}

// damaged is v with values of other types in random places.
func damaged(v *schema.Value, random *rand.Rand) *schema.Value {
	if random.IntN(6) == 0 {
		other := [...]*schema.Value{{}, schema.Text("x"), schema.Int(1 << 40), schema.Boolean(true), schema.List(schema.Map()), schema.Map(schema.Member{Key: "x", Value: schema.List()})}
		return other[random.IntN(len(other))]
	}
	out := &schema.Value{Kind: v.Kind, Text: v.Text, Members: make([]schema.Member, 0, len(v.Members))}
	for _, m := range v.Members {
		if random.IntN(8) > 0 { // else it is missing
			out.Members = append(out.Members, schema.Member{Key: m.Key, Value: damaged(m.Value, random)})
		}
	}
	return out
}

// TestCheck8_Replies gives every operation random answers, valid ones and damaged ones: none becomes an error, and every structuredContent is what the published
// output schema says. Valid ones come through whole.
func TestCheck8_Replies(t *testing.T) {
	each := 5
	if testing.Short() {
		each = 2
	}
	random := rand.New(rand.NewPCG(8, 8))
	operations, valid, invalid := 0, 0, 0
	for _, f := range corpus(t, "") {
		if large(f.text) {
			continue
		}
		schemas, defs := replySchemas(t, f)
		for _, x := range translateText(t, f, Spec{}).tools {
			if x.Output.Schema == nil || schemas[x.identity] == nil || strings.Contains(f.name, "separate") { // whose parts replySchemas does not read
				continue
			}
			check, err := schema.Compile(schema.Full{Root: x.Output.Schema, Defs: schema.NewDefs()}, schema.Untrusted())
			if err != nil {
				t.Errorf("%s: %s: %v", f.name, x.Name, err)
				continue
			}
			operations++
			for i := range each {
				s := schema.Sampler{Defs: defs, Optional: i > 0, Rand: random}
				v := s.Value(schemas[x.identity])
				for k, y := range []*schema.Value{v, damaged(v, random)} {
					r := x.Output.Result(translate.Reply{Data: rawjson.Compact(nil, y.Append(nil)), Value: y, Args: schema.Map()})
					structured, err := schema.Parse(r.Structured())
					if err != nil || r.Failed() {
						t.Errorf("%s: %s: %s is an error: %v", f.name, x.Name, y.JSON(), err)
						continue
					}
					whole := y
					if x.Output.Wrapped || y.Kind != schema.Object {
						whole = schema.Map(schema.Member{Key: "result", Value: y})
					}
					if k == 0 && len(y.JSON()) <= x.Output.Bound() && !structured.Equal(whole) {
						t.Errorf("%s: %s: %s became %s", f.name, x.Name, schema.Shorten(y.JSON(), 500), schema.Shorten(structured.JSON(), 500))
					}
					if faults := check.Check(structured.Plain()); len(faults) > 0 {
						t.Errorf("%s: %s: %s: %v", f.name, x.Name, schema.Shorten(structured.JSON(), 500), faults[0])
					}
				}
				valid, invalid = valid+1, invalid+1
			}
		}
	}
	t.Logf("%d operations, %d random valid answers and %d damaged ones: none is an error, all fit what is published", operations, valid, invalid)
	if operations == 0 {
		t.Error("nothing was checked")
	}
}
