package grpc

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeepMessages: a method whose request is nested too deep to check it is lost with a warning, and no tool that nobody can call is listed.
func TestDeepMessages(t *testing.T) {
	for levels, callable := range map[int]bool{90: true, 120: true, 300: false, 3000: false} {
		var b strings.Builder
		b.WriteString("syntax = \"proto3\"; package p; service S { rpc Deep(D0) returns (D0); rpc Flat(Leaf) returns (D0); }\nmessage Leaf { Leaf again = 1; }\n")
		for i := range levels {
			fmt.Fprintf(&b, "message D%d { D%d a = 1; D0 back = 2; map<string, D%d> m = 3; }\n", i, i+1, i+1)
		}
		fmt.Fprintf(&b, "message D%d { int32 x = 1; }\n", levels)
		tools, d := sourceTools(t, b.String())
		for name, m := range tools {
			if _, refused := m.Input.Accept([]byte(`{}`)); refused != nil {
				t.Errorf("%d levels: %s is listed and cannot be called", levels, name)
			}
		}
		said := fmt.Sprint(d.warnings)
		if (tools["S_Deep"] != nil) != callable || tools["S_Flat"] == nil || strings.Contains(said, "nested too deep") == callable {
			t.Errorf("%d levels: %d tools, %s", levels, len(tools), said)
		}
	}
}
