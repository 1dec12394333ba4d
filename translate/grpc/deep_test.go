package grpc

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeepMessages: messages may be nested deeper than any wire format goes, and each method is listed and can be called.
func TestDeepMessages(t *testing.T) {
	for _, levels := range []int{90, 120, 300, 3000} {
		var b strings.Builder
		b.WriteString("syntax = \"proto3\"; package p; service S { rpc Deep(D0) returns (D0); rpc Flat(Leaf) returns (D0); }\nmessage Leaf { Leaf again = 1; }\n")
		for i := range levels {
			fmt.Fprintf(&b, "message D%d { D%d a = 1; D0 back = 2; map<string, D%d> m = 3; }\n", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "message D%d { int32 x = 1; }\n", levels)
		tools, d := sourceTools(t, b.String())
		for _, name := range []string{"S_Deep", "S_Flat"} {
			m := tools[name]
			if m == nil {
				t.Fatalf("%d levels: %s is no tool: %v", levels, name, d.warnings)
			}
			for arguments, want := range map[string]bool{`{}`: true, `{"a":{"a":{"m":{"k":{"a":{}}}}}}`: name == "S_Deep", `{"a":{"a":{"b":1}}}`: false} {
				if _, refused := m.Input.Accept([]byte(arguments)); (refused == nil) != want {
					t.Errorf("%d levels: %s %s: taken %t", levels, name, arguments, refused == nil)
				}
			}
		}
	}
}
