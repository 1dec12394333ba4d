package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	"weir/catalog"
)

// onceInMemory is an Once that does not last.
type onceInMemory struct {
	mu    sync.Mutex
	calls map[Digest]*Earlier
}

func (o *onceInMemory) Claim(_ context.Context, key, arguments Digest) (*Earlier, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.calls[key]; e != nil {
		return e, nil
	}
	o.calls[key] = &Earlier{Arguments: arguments}
	return nil, nil //nolint:nilnil // as the interface has it
}

func (o *onceInMemory) Settle(key Digest, e *Earlier) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls[key].Answered || o.calls[key].Unsure {
		return nil
	}
	kept := *e
	kept.Arguments, kept.Answer = o.calls[key].Arguments, append([]byte(nil), e.Answer...)
	o.calls[key] = &kept
	return nil
}

func (o *onceInMemory) Forget(key Digest) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.calls, key)
	return nil
}

// A call with a key that waits for its user is under way until the answer came, and what became of it is kept then.
func TestKeyOfAParkedCall(t *testing.T) {
	calls := 0
	ask := asking(t)
	g := gateway(t, func(ctx context.Context, c *catalog.Call) (*catalog.Answer, error) {
		calls++
		return ask(ctx, c)
	})
	g.once = &onceInMemory{calls: map[Digest]*Earlier{}}
	const key = `,"progressToken":1,"` + OnceKey + `":"a"`
	token := state(t, call(t.Context(), t, g, "ask", "", key))
	if got := call(t.Context(), t, g, "ask", "", key); !strings.Contains(got, "is under way") {
		t.Error("while it waits:", got)
	}
	if got := call(t.Context(), t, g, "ask", `,"inputResponses":{"q1":`+accept+`},"requestState":"nonsense"`, key); !strings.Contains(got, "requestState is not valid here") {
		t.Error("with a state of nobody:", got)
	}
	if got := call(t.Context(), t, g, "ask", `,"inputResponses":{"q1":`+accept+`},"requestState":"`+token+`"`, key); !strings.Contains(got, `"structuredContent":`+accept) || strings.Contains(got, "weir/repeated") {
		t.Error("with the answer:", got)
	}
	if got := call(t.Context(), t, g, "ask", "", key); !strings.Contains(got, `"structuredContent":`+accept) || !strings.Contains(got, `"weir/repeated":true`) {
		t.Error("again:", got)
	}
	if calls != 1 {
		t.Errorf("%d calls reached the upstream", calls)
	}
}
