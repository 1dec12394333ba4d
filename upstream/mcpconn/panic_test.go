package mcpconn

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/upstream/upstreamtest"
)

// explosive is a log that panics over one message, once.
type explosive struct {
	slog.Handler
	over string
	done *atomic.Bool
}

func (h explosive) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.over && !h.done.Swap(true) {
		panic("boom: card 4711")
	}
	return h.Handler.Handle(ctx, r)
}

// A panic of the goroutine that reads what a child says ends the child: its calls end with the fault, and so does the connection.
func TestR28_PanicOfTheReader(t *testing.T) {
	up := upstreamtest.Stdio(t, upstreamtest.Config{Script: []upstreamtest.Act{{On: "tools/call", Junk: []upstreamtest.Raw{"junk"}, Fault: upstreamtest.Hang}}})
	var log bytes.Buffer
	var over atomic.Bool
	h := explosive{slog.NewTextHandler(&log, nil), "a line on stdout is no message", &over}
	c := dial(t, child(family(t), up.Command, up.Args, func(c *Config) { c.Log = slog.New(h) }))
	_, err := c.Call(t.Context(), (&caller{era: catalog.Modern}).call(t, "tools/call", "echo", "", ""))
	var own *catalog.Error
	if !errors.As(err, &own) || own.Code != catalog.Internal || own.Execution != catalog.Unknown || !strings.HasPrefix(own.Msg, "up: internal error (fault ") {
		t.Errorf("%+v", err)
	}
	select {
	case <-c.Done():
		if !errors.As(c.Err(), &own) || own.Code != catalog.Internal {
			t.Errorf("the connection: %v", c.Err())
		}
	case <-time.After(10 * time.Second):
		t.Error("the connection goes on")
	}
	if said := log.String(); !strings.Contains(said, "msg=panic upstream=up fault=") || !strings.Contains(said, "stdio_read.go") {
		t.Errorf("the log: %s", said)
	}
}

// A panic over a question of the server, which runs beside the call, is the answer to that question: the connection and other calls go on.
func TestR28_PanicOverAQuestion(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			up := serve(t, upstreamtest.Config{Era: era, Tools: []upstreamtest.Raw{`{"name":"asks","inputSchema":{"type":"object"}}`, `{"name":"echo","inputSchema":{"type":"object"}}`}, Script: []upstreamtest.Act{
				{On: "tools/call asks", Ask: []upstreamtest.Ask{{Method: "roots/list", Params: `{}`}}},
			}})
			var log bytes.Buffer
			c := dial(t, config(up.URL, func(c *Config) {
				c.Log, c.Capabilities = slog.New(slog.NewTextHandler(&log, nil)), []byte(`{"roots":{}}`)
			}))
			who := &caller{era: catalog.Legacy, caps: `{"roots":{}}`}
			asks := who.call(t, "tools/call", "asks", "", "")
			asks.Ask = func(context.Context, catalog.Request) ([]byte, error) { panic("boom: card 4711") }
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			a, err := c.Call(ctx, asks)
			if era == upstreamtest.Modern {
				if _, ok := errors.AsType[*fault.PanicError](err); !ok || strings.Contains(err.Error(), "4711") {
					t.Errorf("the caller hears %v", err)
				}
			} else if err == nil { // the server was told, and answered as it likes
				a.Release()
			}
			if ctx.Err() != nil || c.Err() != nil {
				t.Errorf("%v, the connection: %v", ctx.Err(), c.Err())
			}
			if said := result(t, c, who.call(t, "tools/call", "echo", "", "")); !strings.Contains(said, "content") {
				t.Errorf("the next call: %s", said)
			}
			if said := log.String(); !strings.Contains(said, "msg=panic upstream=up fault=") {
				t.Errorf("the log: %s", said)
			}
		})
	}
}
