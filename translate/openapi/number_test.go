package openapi

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// TestCheck9_NumbersSurvive sends random 64-bit numbers through the path, the query, a body and an answer: each digit arrives.
func TestCheck9_NumbersSurvive(t *testing.T) {
	const count = 10_000
	byName := make(map[string]*tool)
	for _, x := range translateText(t, corpusFile{name: "small", text: []byte(small)}, Spec{Server: "https://h.test"}).tools {
		byName[x.Name] = x
	}
	get, put := byName["getThing"], byName["putThing"]
	random := rand.New(rand.NewPCG(9, 9))
	numbers := []int64{1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MinInt64}
	for len(numbers) < count {
		numbers = append(numbers, int64(random.Uint64()))
	}
	for _, n := range numbers {
		args, refused := get.Input.Accept(fmt.Appendf(nil, `{"id":%d,"page":"%d"}`, n, n)) // as a number, and as a text that is one
		if refused != nil {
			t.Fatalf("%d is refused", n)
		}
		out, err := get.plan.outgoing(t.Context(), nil, args, "")
		if want := fmt.Sprintf("/things/%d?page=%d", n, n); err != nil || out.url.RequestURI() != want {
			t.Fatalf("%v, %v, want %s", out, err, want)
		}
		args, refused = put.Input.Accept(fmt.Appendf(nil, `{"id__path":"a","name":"b","size":%d}`, n))
		if refused != nil {
			t.Fatalf("%d is refused", n)
		}
		out, err = put.plan.outgoing(t.Context(), nil, args, "")
		if want := fmt.Sprintf(`{"name":"b","size":%d}`, n); err != nil || string(out.body) != want {
			t.Fatalf("%s, %v, want %s", out.body, err, want)
		}
		data := fmt.Appendf(nil, `{"id":%d,"more":[%d]}`, n, n)
		v, err := schema.Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		r := get.Output.Result(translate.Reply{Data: rawjson.Compact(nil, data), Value: v, Args: schema.Map()})
		if string(r.Structured()) != string(data) {
			t.Fatalf("%s became %s", data, r.Structured())
		}
		a, err := r.Answer()
		if err != nil || !strings.Contains(string(a.Message.Data), fmt.Sprintf(`\"id\":%d,\"more\":[%d]`, n, n)) {
			t.Fatalf("%s: %v", a.Message.Data, err)
		}
	}
	t.Logf("%d numbers came through as they were", len(numbers))
}
