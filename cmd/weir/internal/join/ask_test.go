//go:build unix

package join

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// sharing runs a gateway that answers questions and speaks MCP.
func sharing(t *testing.T, s side, answer func(ctx context.Context, question []byte) []byte, drain time.Duration) (stop func()) {
	t.Helper()
	o := s.options(answering)
	o.Answer, o.Drain = answer, drain
	return run(t, s, o)
}

// find connects to the gateway of a side.
func (s side) find(t *testing.T) *Conn {
	t.Helper()
	c, err := Find(t.Context(), s.place)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAsk(t *testing.T) {
	dir := folder(t)
	s := in(t, dir, configuration, "TOKEN=one")
	sharing(t, s, func(_ context.Context, q []byte) []byte {
		if bytes.Equal(q, []byte("panic")) {
			panic("boom")
		}
		return append([]byte("you asked "), q...)
	}, time.Second)
	changed := in(t, dir, "# changed\n"+configuration, "TOKEN=two")
	c := changed.find(t)
	if c.Runs(changed.read) || !c.Runs(s.read) {
		t.Error("what the gateway runs with is mixed up")
	}
	long := strings.Repeat("x", 200_000)
	if got, err := c.Ask(t.Context(), []byte(long)); err != nil || string(got) != "you asked "+long {
		t.Errorf("%.40q, %v", got, err)
	}
	if got, err := changed.find(t).Ask(t.Context(), []byte("panic")); err == nil {
		t.Errorf("a panic answered %q", got)
	}
	var out bytes.Buffer // what only looks like a question is a message, for the gateway to refuse
	if err := s.find(t).Relay(t.Context(), strings.NewReader("asking\n"+`{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"), &out, 1<<20); err != nil || !strings.Contains(out.String(), `"id":1,"result"`) {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestAskTheOld: a gateway that knows no questions takes one for a message and refuses it.
func TestAskTheOld(t *testing.T) {
	s := in(t, folder(t), configuration)
	share(t, s, answering)
	o := s.find(t)
	o.reader.Reset(strings.NewReader(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}` + "\n"))
	if _, err := o.Ask(t.Context(), []byte("x")); err == nil || !strings.Contains(err.Error(), "weir 1.2.3, which cannot be asked") {
		t.Error(err)
	}
}

// TestAskers: who hangs up is not answered any more; a gateway that is told to stop answers first, and waits for no one who is silent.
func TestAskers(t *testing.T) {
	s := in(t, folder(t), configuration)
	entered, ended := make(chan struct{}), make(chan error, 1)
	stop := sharing(t, s, func(ctx context.Context, _ []byte) []byte {
		entered <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return []byte("late")
	}, 50*time.Millisecond)
	ctx, hangUp := context.WithCancel(t.Context())
	go func() { <-entered; hangUp() }()
	if _, err := s.find(t).Ask(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	silent := s.find(t)
	defer func() { _ = silent.Close() }()
	answered := make(chan string, 1)
	c := s.find(t)
	go func() {
		got, err := c.Ask(t.Context(), []byte("x"))
		if err != nil {
			got = []byte(err.Error())
		}
		answered <- string(got)
	}()
	<-entered
	stop()
	if got := <-answered; got != "late" {
		t.Error(got)
	}
}
