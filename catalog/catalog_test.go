package catalog

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCatalog(t *testing.T) {
	c := New()
	if s := c.Snapshot(); s == nil || s.Len() != 0 {
		t.Fatal("a new catalogue has no empty snapshot")
	}
	page, err := c.Snapshot().View(nil).List(Tool, Modern, "")
	if err != nil || page.Count != 0 || page.Next != "" {
		t.Errorf("%+v, %v", page, err)
	}
	var got []string
	listener := func(name string) func(old, next *Snapshot) {
		return func(old, next *Snapshot) {
			if c.Snapshot() != next {
				t.Error("a listener was told before the snapshot was current")
			}
			got = append(got, fmt.Sprintf("%s %d→%d", name, old.Len(), next.Len()))
		}
	}
	publish := func(names ...string) {
		c.Publish(Build([]*Source{{Upstream: "up", Tools: tools(names...)}}, Options{}))
	}
	publish("x")
	stop := c.OnPublish(listener("first"))
	var stopThird func()
	c.OnPublish(func(old, next *Snapshot) {
		listener("second")(old, next)
		stopThird() // a listener may unregister another
	})
	stopThird = c.OnPublish(listener("third"))
	publish("x", "y")
	stop()
	stop()
	publish()
	want := []string{"first 1→2", "second 1→2", "third 1→2", "second 2→0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Every publish is reported once, and each begins where the one before ended.
func TestPublishesAreReportedInOrder(t *testing.T) {
	c := New()
	last, n := c.Snapshot(), 0
	c.OnPublish(func(old, next *Snapshot) {
		if old != last {
			t.Error("a listener missed a snapshot")
		}
		runtime.Gosched()
		last = next
		n++
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				c.Publish(Build(nil, Options{}))
			}
		})
	}
	wg.Wait()
	if n != 200 || c.Snapshot() != last {
		t.Errorf("%d publishes were reported", n)
	}
}

// A list read during reloads is whole and of one revision: revision i has i%5+1 tools, all of which say so.
func TestR8_ReloadNeverEmptiesOrMixesTheList(t *testing.T) {
	revision := func(i int) *Snapshot {
		sources := []*Source{{Upstream: "a"}, {Upstream: "b"}}
		for j := range i%5 + 1 {
			s := sources[j%2]
			s.Tools = append(s.Tools, fmt.Appendf(nil, `{"name":"t%d","inputSchema":{"type":"object"},"rev":"<%d of %d>"}`, j, i, i%5+1))
		}
		return Build(sources, Options{})
	}
	c := New()
	c.Publish(revision(0))
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				checkRevision(t, c.Snapshot(), Era(i%2))
			}
		})
	}
	for i := range 1_000 {
		c.Publish(revision(i))
	}
	close(done)
	readers.Wait()
}

func checkRevision(t *testing.T, s *Snapshot, era Era) {
	page, err := s.View(nil).List(Tool, era, "")
	if err != nil {
		t.Error(err)
		return
	}
	start := bytes.IndexByte(page.Items, '<')
	if start < 0 {
		t.Errorf("an empty list: %q", page.Items)
		return
	}
	mark := page.Items[start : start+bytes.IndexByte(page.Items[start:], '>')+1]
	var rev, size int
	if _, err := fmt.Sscanf(string(mark), "<%d of %d>", &rev, &size); err != nil {
		t.Error(err)
	}
	if n := bytes.Count(page.Items, mark); n != size || n != page.Count || page.Next != "" {
		t.Errorf("%d of %d tools are of revision %d, want %d", n, page.Count, rev, size)
	}
}
