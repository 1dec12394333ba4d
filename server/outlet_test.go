package server

import (
	"fmt"
	"strings"
	"testing"
)

// TestOutletIsBounded in messages and in bytes; what waits already is not queued twice.
func TestOutletIsBounded(t *testing.T) {
	o := NewOutlet()
	for i := range maxPending {
		for range 2 {
			if !o.Put(fmt.Appendf(nil, "%d", i)) {
				t.Fatalf("message %d does not fit", i)
			}
		}
	}
	if o.Put([]byte("one more")) {
		t.Error("a message too many fits")
	}
	if n := len(o.Take()); n != maxPending {
		t.Errorf("%d messages waited", n)
	}
	half := strings.Repeat("x", maxPendingBytes/2)
	if !o.Put([]byte(half)) || o.Put([]byte(half+"y")) {
		t.Error("the bound in bytes does not hold")
	}
	next := NewOutlet()
	o.Forward(next)
	if !o.Put([]byte("later")) || len(next.Take()) != 2 {
		t.Error("what waited was not passed on")
	}
}
