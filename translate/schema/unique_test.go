package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"weir/catalog/rawjson"
	"weir/translate/schema"
)

// TestParseUnique: what UniqueKeys of rawjson refuses, ParseUnique refuses too, in small objects and large ones.
func TestParseUnique(t *testing.T) {
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	large := func(last string) string { return "{" + strings.Join(many, ",") + "," + last + "}" }
	for text, twice := range map[string]bool{
		`{}`: false, `{"a":1,"b":2}`: false, `{"a":1,"a":2}`: true, `{"a":1,"A":2}`: true, `{"a":1,"\u0061":2}`: true, `[{"x":{"k":1,"K":2}}]`: true,
		`{"k":1,"\u212a":2}`: true, `{"s":1,"ſ":2}`: true, `{"ab":1,"ac":2}`: false, `[{"a":1},{"a":1}]`: false,
		large(`"z":1`): false, large(`"K7":1`): true, large(`"\u212a7":1`): true,
	} {
		_, err := schema.ParseUnique([]byte(text))
		if errors.Is(err, schema.ErrTwice) != twice || (rawjson.UniqueKeys([]byte(text)) != nil) != twice {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := schema.ParseUnique([]byte(`{"a":`)); err == nil {
		t.Error("half an object was read")
	}
}
