package grpc

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/dynamicpb"

	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// A panic while the messages of a call are sent ends that call: it says which fault it was, the server hears that nothing more comes, and the next call is answered.
func TestR28_PanicWhileSending(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	var log bytes.Buffer
	a := dial(t, s, Spec{}, translate.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, d := fixture(t, "greeter.proto")
	b := &builder{description: d, spec: &a.spec, upstream: "api"}
	for _, m := range b.build() {
		if m.descriptor.Name() != "Sum" {
			continue
		}
		x := exchange{
			api: a, method: m, types: newTypes(d), call: call(t, m.Name, "{}"), args: schema.Map(), timeout: time.Minute, memory: room.Room{},
			messages: []*dynamicpb.Message{dynamicpb.NewMessage(m.descriptor.Input()), nil},
		}
		_, err := x.send(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
		text := x.failureText(t.Context(), err)
		if !strings.HasPrefix(text, "The call failed by weir's own fault: internal error (fault ") || !strings.HasSuffix(text, "It is not known whether the API carried it out.") {
			t.Errorf("the caller hears %q", text)
		}
		if said := log.String(); !strings.Contains(said, "msg=panic") || !strings.Contains(said, "exchange.go") {
			t.Errorf("the log: %s", said)
		}
		s.Wait(t, "Sum")
	}
	if got := run(t, a, "Greeter_Sum", `{"messages":[{"n":2},{"n":3}]}`); !strings.Contains(got.JSON(), "5") {
		t.Errorf("the next call: %s", got.JSON())
	}
}
