package mcpstdio

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"weir/catalog"
)

// brittle is an output whose first write panics.
type brittle struct {
	bytes.Buffer
	broken bool
}

func (b *brittle) Write(p []byte) (int, error) {
	if !b.broken {
		b.broken = true
		panic("boom")
	}
	return b.Buffer.Write(p)
}

// A panic outside of the line ends its request with an error; the others are answered.
func TestR28_PanicAtTheEdge(t *testing.T) {
	o := options(t, func(context.Context, *catalog.Call) (*catalog.Answer, error) { return result(t, `{"content":[]}`), nil })
	for name, first := range map[string]string{
		"on a goroutine of its own": `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"up__echo"}}`,
		"where messages are read":   `{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			in, feed := io.Pipe()
			out := &brittle{}
			served := make(chan error, 1)
			go func() { served <- Serve(t.Context(), o, in, out) }()
			for _, line := range []string{first, `{"jsonrpc":"2.0","id":"b","method":"ping"}`} {
				if _, err := io.WriteString(feed, line+"\n"); err != nil {
					t.Fatal(err)
				}
			}
			if err := feed.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err != nil {
				t.Fatal(err)
			}
			if text := out.String(); !strings.Contains(text, "-32603") || !strings.Contains(text, "fault ") || strings.Count(text, "\n") != 2 {
				t.Errorf("%s", text)
			}
		})
	}
}

// Calls that are still open when weir stops, and the time for them is over, get an error that says so.
func TestR26_StopSaysSo(t *testing.T) {
	entered := make(chan struct{})
	o := options(t, func(ctx context.Context, _ *catalog.Call) (*catalog.Answer, error) {
		close(entered)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	o.DrainTimeout = 50 * time.Millisecond
	in, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	var out bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, o, in, &out) }()
	if _, err := io.WriteString(feed, `{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"up__echo"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	stop()
	if err := <-served; err != nil || !strings.Contains(out.String(), "weir is stopping") || !strings.Contains(out.String(), `"id":"a"`) {
		t.Errorf("%v %s", err, &out)
	}
}
