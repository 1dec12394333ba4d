package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"weir/catalog"
)

const (
	// readRest is how long a lazy upstream that was started only to have its lists read waits for its first call.
	readRest = 10 * time.Second
	// owedFor is how long a question or a task that a call left open keeps its server running: it is the server's until it is over, and nothing says when.
	owedFor = 30 * time.Minute
	// looks is how often use is looked for while an upstream may be without.
	looks = 8
)

// errUnused ends a connection that nobody uses.
var errUnused = errors.New("unused")

// vigil watches whether an upstream that may be stopped is in use. It belongs to the goroutine of its member.
type vigil struct {
	timer *time.Timer // the next look
	since time.Time   // when a look found no use for the first time, or of the connection
	busy  bool        // at the last look
	used  bool        // since the connection was made
}

// watchUse begins a vigil. Its timer must be stopped.
func (m *member) watchUse() *vigil {
	v := &vigil{since: time.Now(), timer: time.NewTimer(math.MaxInt64)}
	m.lookLater(v)
	return v
}

// lookLater sets the timer of a vigil. An upstream that is never stopped is not looked at.
func (m *member) lookLater(v *vigil) {
	if limit := m.mayRest(v); limit > 0 {
		v.timer.Reset(limit / looks)
	}
}

// mayRest is how long the upstream may be without use; 0 means for ever.
func (m *member) mayRest(v *vigil) time.Duration {
	spec := m.spec.Load()
	if spec.Lazy && !v.used && (spec.IdleStop == 0 || spec.IdleStop > readRest) {
		return readRest
	}
	return spec.IdleStop
}

// unused looks whether the upstream was without use for so long that it is to be stopped, and if so lets no call in any more. Calls that come from then
// on wait until it is started again.
func (m *member) unused(l *live, v *vigil) bool {
	calls, before := m.calls.Load(), v.busy
	v.busy = calls != m.seen || l.busy() || m.subs.some() || time.Now().UnixNano() < m.owes.Load()
	if m.seen = calls; v.busy || before {
		v.since, v.used = time.Now(), true
	}
	limit := m.mayRest(v)
	if limit == 0 || time.Since(v.since) < limit {
		m.lookLater(v)
		return false
	}
	drop(m.wakes)
	if !l.shut() {
		m.lookLater(v)
		return false
	}
	m.live.Store(nil)
	m.closeSessions()
	reason := "stopped, it was not used for " + limit.String()
	if !v.used {
		reason = "not started"
	}
	m.idle(reason)
	return true
}

// idle makes the upstream idle: its entries stay listed, and the next call starts it.
func (m *member) idle(reason string) {
	m.set.o.Log.Info("upstream is idle", "upstream", m.name, "reason", reason)
	m.turn(Idle, catalog.Errorf(catalog.Unavailable, "%s: %s; the next call starts it", m.name, reason))
}

// shut lets no call in any more if none is in, which it reports.
func (l *live) shut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = l.open == 0
	return l.closing
}

// doze waits until somebody wants the upstream. It reports whether ctx is still open.
func (m *member) doze(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-m.wakes:
	}
	m.mu.Lock()
	m.waking = true
	m.mu.Unlock()
	m.turn(Starting, nil)
	return true
}

// owe notes that an answer leaves something open at the server: a question to the user, or a task.
func (m *member) owe(a *catalog.Answer) {
	if kind := a.Message.ResultType.Of(a.Message.Data); len(kind) > 0 && string(kind) != `"complete"` {
		m.owes.Store(time.Now().Add(owedFor).UnixNano())
	}
}

// lists is what is kept of a lazy upstream from one run of weir to the next.
type lists struct {
	Tools, Prompts, Resources, Templates [][]byte
	Capabilities                         []byte
	Instructions                         string
	Legacy                               bool
}

// kept names the lists of a server in the cache: by all that says what is started, as it is configured. What variables resolve to is not part of it.
func (m *member) kept() string {
	s := m.spec.Load()
	return fmt.Sprintf("lists %q %q %q %q %q %q %q %+v", m.name, s.Command, s.Args, s.Env, s.EnvFile, s.Cwd, s.Era, s.Sandbox)
}

// remember keeps the lists of a lazy upstream.
func (m *member) remember(src *catalog.Source) {
	if !m.spec.Load().Lazy || m.set.o.Cache == nil {
		return
	}
	data, err := json.Marshal(lists{src.Tools, src.Prompts, src.Resources, src.Templates, src.Capabilities, src.Instructions, src.Legacy})
	if err == nil {
		m.set.o.Cache.Put(m.kept(), data)
	}
}

// recall makes a lazy upstream idle whose lists are known, and reports whether they are.
func (m *member) recall() bool {
	if !m.spec.Load().Lazy || m.set.o.Cache == nil {
		return false
	}
	data, ok := m.set.o.Cache.Get(m.kept())
	var k lists
	if !ok || json.Unmarshal(data, &k) != nil {
		return false
	}
	m.mu.Lock()
	m.source = &catalog.Source{
		Upstream: m.name, Tools: k.Tools, Prompts: k.Prompts, Resources: k.Resources, Templates: k.Templates,
		Capabilities: k.Capabilities, Instructions: k.Instructions, Legacy: k.Legacy,
	}
	m.mu.Unlock()
	m.idle("not started")
	return true
}
