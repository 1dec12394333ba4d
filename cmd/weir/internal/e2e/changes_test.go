package e2e

import (
	"slices"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

// watchedEvery is how often the go-sdk's fixture says that its watched resource changed.
const (
	watchedEvery = 3 * time.Second
	watchedURI   = "test://watched-resource"
)

// hearer is a client that listens to the fixture through weir on one way.
type hearer struct {
	way
	peer  fullPeer
	since time.Time
}

// newHearer listens for all that the fixture tells, and then makes it change its tools and its prompts.
func newHearer(t *testing.T, w way) *hearer {
	t.Helper()
	up := object{"command": everythingServer}
	if w.serverOver == "http" {
		up = object{"url": fixture(t, w.server)}
	}
	up["era"], up["required"] = string(w.server), true // a list that is there at the start does not change when it comes
	config := object{"naming": "bare", "mcpServers": object{"fixture": up}}
	h := &hearer{way: w}
	if w.clientOver == "stdio" {
		h.peer = dialStdio(t, config, w.client)
	} else {
		h.peer = dialHTTP(t, serve(t, config).url, w.client)
	}
	upstreamtest.Eventually(t, func() bool {
		names, err := toolNames(h.peer)
		return err == nil && len(names) >= 20
	}, "%s: the fixture is not listed", w)
	h.since = time.Now()
	h.peer.listen(t, object{"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": []string{watchedURI}})
	if w.client == legacy {
		h.must(t, "resources/subscribe", object{"uri": watchedURI})
	}
	h.must(t, "tools/call", object{"name": "test_trigger_tool_change", "arguments": object{}})
	h.must(t, "tools/call", object{"name": "test_trigger_prompt_change", "arguments": object{}})
	return h
}

func (h *hearer) must(t *testing.T, method string, params object) {
	t.Helper()
	events, err := h.peer.call(method, params)
	must(t, err)
	if answer := events[len(events)-1]; answer.Error != nil {
		t.Fatalf("%s: %s: %s", h.way, method, answer.Error)
	}
}

// heard counts the notifications of a method.
func (h *hearer) heard(method string) int {
	n := 0
	for _, m := range h.peer.strays() {
		if m.Method == method {
			n++
		}
	}
	return n
}

// Changes of a real server arrive on every way, each once. All clients listen at the same time, because the fixture takes its time.
func TestChangesArriveOnce(t *testing.T) {
	const toolsChanged, promptsChanged, updated = "notifications/tools/list_changed", "notifications/prompts/list_changed", "notifications/resources/updated"
	var all []*hearer
	for _, w := range ways() {
		all = append(all, newHearer(t, w))
	}
	enough := func(h *hearer) bool {
		return h.heard(toolsChanged) > 0 && h.heard(promptsChanged) > 0 && h.heard(updated) > 1
	}
	for deadline := time.Now().Add(5 * watchedEvery); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !slices.ContainsFunc(all, func(h *hearer) bool { return !enough(h) }) {
			break
		}
	}
	for _, h := range all {
		t.Run(h.String(), func(t *testing.T) {
			for _, method := range []string{toolsChanged, promptsChanged} {
				if n := h.heard(method); n != 1 {
					t.Errorf("%d × %s for one change", n, method)
				}
			}
			ticks := int(time.Since(h.since)/watchedEvery) + 1
			if n := h.heard(updated); n < 2 || n > ticks {
				t.Errorf("%d × %s where there were at most %d changes", n, updated, ticks)
			}
			names, err := toolNames(h.peer)
			must(t, err)
			if !slices.Contains(names, "__transient_tool_for_list_changed") {
				t.Errorf("the new tool is not on the list: %q", names)
			}
		})
	}
}
