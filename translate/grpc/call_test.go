package grpc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/translate"
)

func TestCall(t *testing.T) {
	s := serve(t, setup{Reflect: "both"})
	a := dial(t, s, Spec{Bidi: true, Trailers: []string{"x-request-id"}}, translate.Options{})
	tests := []struct {
		name, tool, arguments, sent, text, structured string
		failed                                        bool
	}{
		{
			"unary", "Greeter_Hello", `{"firstName":"Ann","number":"9007199254740993"}`, `/weir.test.Greeter/Hello {"firstName":"Ann","number":"9007199254740993"}`,
			`{"message":"Hello Ann","number":"9007199254740993"}` + "\nx-request-id: r-17", `{"message":"Hello Ann","number":"9007199254740993"}`, false,
		},
		{
			"numbers", "Greeter_Hello", `{"firstName":"Ann","number":9007199254740993}`, `/weir.test.Greeter/Hello {"firstName":"Ann","number":"9007199254740993"}`,
			`{"message":"Hello Ann","number":"9007199254740993"}` + "\nx-request-id: r-17", `{"message":"Hello Ann","number":"9007199254740993"}`, false,
		},
		{
			"parts of the result", "Greeter_Hello", `{"firstName":"Ann","fields":["message"]}`, `/weir.test.Greeter/Hello {"firstName":"Ann"}`,
			`{"message":"Hello Ann"}` + "\nx-request-id: r-17", `{"message":"Hello Ann"}`, false,
		},
		{"server stream", "Greeter_Count", `{"to":2}`, `/weir.test.Greeter/Count {"to":2}`, `{"messages":[{"n":1},{"n":2}],"complete":true}`, `{"messages":[{"n":1},{"n":2}],"complete":true}`, false},
		{"client stream", "Greeter_Sum", `{"messages":[{"n":1},{"n":"9007199254740992"}]}`, "/weir.test.Greeter/Sum", `{"n":"9007199254740993"}`, `{"n":"9007199254740993"}`, false},
		{"both ways", "Greeter_Echo", `{"messages":[{"n":1},{"n":2}]}`, "/weir.test.Greeter/Echo", `{"messages":[{"n":"1"},{"n":"2"}],"complete":true}`, `{"messages":[{"n":"1"},{"n":"2"}],"complete":true}`, false},
		{"request that is no object", "Greeter_Touch", `{"value":"x"}`, `/weir.test.Greeter/Touch "x"`, `"2026-01-02T03:04:05Z"`, `{"result":"2026-01-02T03:04:05Z"}`, false},
		{"fields that exclude each other", "Greeter_Hello", `{"mail":"a","phone":"b"}`, "", "The call was not sent; its arguments do not fit Greeter_Hello.\n- `phone` and `mail` exclude each other: give one of them", "", true},
		{"wrong type", "Greeter_Hello", `{"number":"x"}`, "", "- `number`: expected text that matches ^-?[0-9]+$, got text \"x\"", "", true},
		{"too large", "Greeter_Count", `{"to":3000000000}`, "", "- `to`: 3000000000 is not between -2147483648 and 2147483647", "", true},
		{"name of the description", "Greeter_Hello", `{"first_name":"Ann"}`, "", "- `first_name` is called `firstName`", "", true},
		{"unknown argument", "Greeter_Hello", `{"firstNames":"x"}`, "", "did you mean `firstName`?", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(s.Calls())
			got := run(t, a, tt.tool, tt.arguments)
			if got.True("isError") != tt.failed || !strings.Contains(textOf(got), tt.text) {
				t.Errorf("got %s", got.JSON())
			}
			if tt.structured != "" {
				if diff := cmp.Diff(tt.structured, got.Get("structuredContent").JSON()); diff != "" {
					t.Error(diff)
				}
			}
			sent := strings.Join(s.Calls()[before:], "\n")
			if sent != tt.sent {
				t.Errorf("the server saw %q, want %q", sent, tt.sent)
			}
		})
	}
}
