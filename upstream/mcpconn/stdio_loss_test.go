package mcpconn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/catalog"
	"weir/upstream/process"
)

func TestStdioLoss(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, mode, method string
		want               failureOf
		facts              process.Facts
	}{
		{
			name: "dies before hello", mode: "dies",
			want:  failureOf{Code: catalog.Unavailable, Msg: "up: exited with code 1 after 0.0s, before it said hello"},
			facts: process.Facts{{Name: "stderr", Text: "Error: JIRA_URL is required"}, {Name: "stdout", Text: "Starting the server …"}},
		},
		{
			name: "crashes in a call", mode: "serve", method: "crash",
			want:  failureOf{Code: catalog.Unavailable, Msg: "up: exited with code 3 after 0.0s"},
			facts: process.Facts{{Name: "stderr", Text: "panic: out of cheese"}},
		},
		{name: "closes stdout", mode: "serve", method: "mute", want: failureOf{Code: catalog.Unavailable, Msg: "up: closed its stdout and went on running"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newRaw(t, tt.mode)
			if tt.method != "" {
				c.must(t, "ok", "")
				_, err := c.call(t.Context(), tt.method, "")
				if f := failed(t, err); f.Code != catalog.Unavailable || f.Execution != catalog.Unknown {
					t.Errorf("the call: %+v", f)
				}
			}
			<-c.done()
			got := failed(t, c.err())
			got.Msg = afterDigits(got.Msg)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			var facts process.Facts
			errors.As(c.err(), &facts)
			if d := cmp.Diff(tt.facts, facts); d != "" {
				t.Error(d)
			}
			_, err := c.call(t.Context(), "ok", "")
			if f := failed(t, err); f.Code != catalog.Unavailable || f.Execution != catalog.NotExecuted {
				t.Errorf("a call afterwards: %+v", f)
			}
			<-c.p.Done()
		})
	}
}

// afterDigits makes durations below ten seconds comparable.
func afterDigits(msg string) string {
	before, rest, ok := strings.Cut(msg, " after ")
	if !ok {
		return msg
	}
	return before + " after 0.0" + rest[strings.IndexByte(rest, 's'):]
}

func TestStdioChildThatClosesItsStdin(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	c.must(t, "unhear", "")
	var f failureOf
	eventually(t, "a failure", func() bool {
		_, err := c.call(t.Context(), "ok", "")
		if err != nil {
			f = failed(t, err)
		}
		return err != nil
	})
	if f.Code != catalog.Unavailable || f.Execution != catalog.NotExecuted {
		t.Errorf("%+v", f)
	}
	<-c.done()
}

func TestStdioClose(t *testing.T) {
	t.Parallel()
	c := newRaw(t, "serve")
	result := make(chan error, 1)
	go func() {
		_, err := c.call(context.Background(), "silent", "")
		result <- err
	}()
	eventually(t, "the request to arrive", func() bool {
		return slices.ContainsFunc(c.seen(t), func(l string) bool { return strings.Contains(l, "silent") })
	})
	if err := c.close(t.Context()); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(failureOf{Code: catalog.Unavailable, Msg: "up: the connection was closed"}, failed(t, <-result)); d != "" {
		t.Error(d)
	}
	if !errors.Is(c.err(), errClosed) {
		t.Errorf("the end's reason is %v", c.err())
	}
	if _, ended := c.p.Exit(); !ended {
		t.Error("the child still runs")
	}
}
