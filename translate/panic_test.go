package translate

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
)

// A description over which weir panics is one that is not used: the last one stays, the report says why, and the next one is read. One that cannot be read at a start is an
// error.
func TestR28_PanicOverADescription(t *testing.T) {
	var log bytes.Buffer
	broken := false
	d := Description{Fetch: func(context.Context, string) (*Text, error) {
		if broken {
			panic("boom: card 4711")
		}
		return &Text{Translate: func() (*Translation, error) { return &Translation{}, nil }}, nil
	}}
	o := Options{Upstream: "shop", Log: slog.New(slog.NewTextHandler(&log, nil))}
	var a API
	if err := a.Start(t.Context(), d, &Spec{}, o); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	before := a.Source()
	broken = true
	if why := a.Report().Outdated; a.Reload(t.Context()) || a.Source() != before || why != "" {
		t.Errorf("reloaded, %q", why)
	}
	if why := a.Report().Outdated; !strings.Contains(why, "internal error (fault ") || strings.Contains(why, "4711") {
		t.Errorf("the report says %q", why)
	}
	if said := log.String(); !strings.Contains(said, "msg=panic upstream=shop fault=") || !strings.Contains(said, "panic_test.go") {
		t.Errorf("the log: %s", said)
	}
	var other API
	if err := other.Start(t.Context(), d, &Spec{}, o); err == nil || !strings.Contains(err.Error(), "internal error (fault ") {
		t.Errorf("a start: %v", err)
	}
	broken = false
	a.Reload(t.Context())
	if why := a.Report().Outdated; why != "" {
		t.Errorf("afterwards: %q", why)
	}
}
