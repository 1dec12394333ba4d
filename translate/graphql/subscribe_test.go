package graphql

import (
	"fmt"
	"strings"
	"testing"

	"weir/translate"
)

// TestSubscriptionCredential: whoever needs a credential for a subscription gets it where servers look for it: over SSE in the header, over a
// WebSocket in the first message of the session. One that is refused is renewed once, and it never comes back.
func TestSubscriptionCredential(t *testing.T) {
	for _, l := range lockedLibraries(t, "Bearer fresh-secret") {
		for _, over := range []string{overSSE, overWebSocket} {
			t.Run(l.name+" over "+over, func(t *testing.T) {
				for first, renewals := range map[string]int32{"fresh-secret": 0, "stale-secret": 1} {
					k := &key{}
					k.value.Store(&first)
					a := newAPI(t, Spec{GraphQL: l.url, Schema: "graphqltest/library.graphql", Subscriptions: over}, translate.Options{Credentials: k})
					got := call(t, a, "ticks", `{"count":2}`)
					if at(got, "/events") != `[{"data":{"ticks":1}},{"data":{"ticks":2}}]` || k.renewed.Load() != renewals {
						t.Errorf("%s: %d renewals, got %s", first, k.renewed.Load(), textOf(got))
					}
				}
				wrong := "another-secret"
				k := &key{}
				k.value.Store(&wrong)
				k.renewed.Store(1) // nothing better can be had
				a := newAPI(t, Spec{GraphQL: l.url, Schema: "graphqltest/library.graphql", Subscriptions: over}, translate.Options{Credentials: k})
				l.ledger()
				got := call(t, a, "ticks", `{"count":2}`)
				if text := textOf(got); !got.True("isError") || !strings.Contains(text, "refused") && !strings.Contains(text, "401") || strings.Contains(fmt.Sprint(got.JSON()), "secret") {
					t.Errorf("got %s", got.JSON())
				}
				if seen := l.ledger(); len(seen) > 0 {
					t.Errorf("the server saw %+v", seen)
				}
			})
		}
	}
}
