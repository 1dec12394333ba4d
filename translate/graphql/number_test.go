package graphql

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"weir/translate"
)

// TestInt64Survives sends 64-bit numbers at random to both servers and back, as digits and as texts. The variables that reach the server and the value
// that the caller gets have the digits that were sent. The server on Node gets texts: JavaScript would round digits.
func TestInt64Survives(t *testing.T) {
	for _, l := range libraries(t) {
		a := newAPI(t, Spec{GraphQL: l.url, Mutations: true}, translate.Options{})
		random := rand.New(rand.NewPCG(53, 1))
		numbers, kept := 0, 0
		for range 200 {
			n := int64(1)<<(53+random.IntN(10)) + random.Int64N(7) - 3
			if random.IntN(2) == 0 {
				n = -n
			}
			digits := strconv.FormatInt(n, 10)
			given := `"` + digits + `"`
			if l.name == "graphql-go" && random.IntN(2) == 0 {
				given = digits
			}
			l.ledger()
			got := call(t, a, "number", `{"value":`+given+`}`)
			seen := l.ledger()
			numbers++
			var variables struct{ Value json.RawMessage }
			if len(seen) == 1 {
				_ = json.Unmarshal(seen[0].Variables, &variables)
			}
			if strings.Trim(at(got, "/data/number"), `"`) != digits || string(variables.Value) != given {
				t.Errorf("%s became %s; the server saw %+v", given, got.JSON(), seen)
				continue
			}
			kept++
		}
		t.Logf("%s: %d of %d numbers came back as they were sent", l.name, kept, numbers)
	}
}
