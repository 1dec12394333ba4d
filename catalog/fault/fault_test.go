package fault_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"weir/catalog/fault"
)

// A panic becomes an error with an id and nothing else, and the log has that id once, with the value, the stack, and what the work was.
func TestCatch(t *testing.T) {
	var log bytes.Buffer
	l := slog.New(slog.NewTextHandler(&log, nil))
	err := fault.Catch(l, func() error { panic("boom: card 4711") }, "upstream", "bank")
	var p *fault.PanicError
	if !errors.As(err, &p) || strings.Contains(err.Error(), "4711") {
		t.Fatal(err)
	}
	p.Log(l)
	_, id, _ := strings.Cut(err.Error(), "(fault ")
	id, _, _ = strings.Cut(id, " ")
	if said := log.String(); len(id) != 8 || strings.Count(said, "fault="+id) != 1 || !strings.Contains(said, "4711") || !strings.Contains(said, "fault_test.go") || !strings.Contains(said, "upstream=bank") {
		t.Errorf("the log has no %s: %s", id, said)
	}
	other := errors.New("other")
	if err := fault.Catch(nil, func() error { return other }); !errors.Is(err, other) {
		t.Error(err)
	}
	if err := fault.Catch(nil, func() error { panic(other) }); err == nil || errors.Is(err, other) {
		t.Error(err)
	}
}
