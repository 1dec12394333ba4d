package upstream

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/upstream/mcpconn"
	"weir/upstream/process"
)

// State is where an upstream stands.
type State string

// The states. An upstream that is down is Failed between attempts and Starting during one.
const (
	Starting State = "starting" // connecting, or reading the first lists
	Ready    State = "ready"
	Failed   State = "failed"  // down; it is tried again, see Status.NextTry
	Idle     State = "idle"    // not running for want of calls; the next one starts it
	SignIn   State = "sign_in" // it wants credentials that weir does not have
	Disabled State = "disabled"
	Stopped  State = "stopped" // removed, or weir is stopping
)

// Status is one upstream at a moment, as weir ls shows it. It holds no value of the configuration that could be a secret.
type Status struct {
	Name      string
	Transport string // stdio, http, sse, or the kind of an API: openapi
	State     State
	Since     time.Time // of the state
	Reason    string    // why it is not ready, "" otherwise; starts with the name
	Hint      string    // one thing to type or do, may be empty
	NextTry   time.Time // when a Failed upstream is tried again, zero otherwise

	Era        string // legacy or modern, "" before the first handshake
	OtherEra   bool   // the server is known to speak the other era as well
	Version    string // protocol revision
	ServerName string // as the server calls itself
	ServerVer  string

	Tools, Prompts, Resources, Templates int // listed by the upstream, filters not applied
	Stale                                bool
	Problems                             []catalog.Problem // lists and descriptions that could not be read, and calls that are held back

	Calls, Errors uint64 // calls but those that were held back or given up before they were sent, and of these those to which no answer came
	Restarts      int    // connections lost after the upstream was ready
	Junk          uint64 // lines on a child's standard output that were no messages
	Stderr        []string
	Facts         process.Facts // what else is known about why it is not ready, for the operator only
	Required      bool
	Endpoints     []Status          // of one that has several, in the order of the configuration
	Address       string            // of an endpoint: scheme and host of its URL; its number where those stand in a reference
	Report        *translate.Report // what the description of an API came to, nil for an MCP server or before it was read
}

// conversation is what a connection over MCP can say about itself.
type conversation interface {
	Transport() string
	Era() catalog.Era
	Eras() mcpconn.Eras
	Version() string
	ServerInfo() []byte
}

// parent is a connection that may be one to a child process.
type parent interface{ Child() *mcpconn.Child }

// child is what the connection knows about its child process, nil when there is none.
func (l *live) child() *mcpconn.Child {
	if p, ok := l.backend.(parent); ok {
		return p.Child()
	}
	return nil
}

// Status returns all upstreams in the order of the configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	order, members := s.space.Order, *s.members.Load()
	s.mu.Unlock()
	all := make([]Status, 0, len(order))
	for _, name := range order {
		if m := members[name]; m != nil {
			all = append(all, m.status())
		}
	}
	return all
}

func (m *member) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.facts
	st.Name, st.Required = m.name, m.spec.Load().Required
	if st.Transport == "" {
		st.Transport = m.spec.Load().Kind()
	}
	st.State, st.Since, st.Reason, st.Hint, st.Facts, st.NextTry = m.state, m.since, m.reason, m.hint, m.known, m.nextTry
	if m.starved != nil {
		st.Reason, st.Hint = m.starved.Msg, m.starved.Hint
	}
	held := m.held.Load() // first: each of them is one of the calls
	st.Calls, st.Errors, st.Restarts, st.Problems = m.calls.Load()-held, m.errors.Load(), m.lost, slices.Concat(m.problems, m.breakers.problems())
	if src := m.source; src != nil {
		st.Tools, st.Prompts, st.Resources, st.Templates = len(src.Tools), len(src.Prompts), len(src.Resources), len(src.Templates)
		st.Stale = src.Stale
	}
	if l := m.live.Load(); l != nil {
		l.describe(&st)
	}
	if m.pool != nil {
		m.pool.describe(&st)
	}
	return st
}

// describe fills in how the endpoints stand; the best one speaks for the server.
func (p *pool) describe(st *Status) {
	for i, e := range p.ends {
		one := e.status()
		one.Address = fmt.Sprintf("endpoint %d", i+1)
		if u, err := url.Parse(e.spec.Load().URL); err == nil && u.Host != "" {
			one.Address = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
		}
		st.Endpoints = append(st.Endpoints, one)
	}
	if first := p.first(); first != nil {
		s := first.status()
		st.Era, st.OtherEra, st.Version, st.ServerName, st.ServerVer = s.Era, s.OtherEra, s.Version, s.ServerName, s.ServerVer
	}
}

// describe fills in what the connection says about itself.
func (l *live) describe(st *Status) {
	if c, ok := l.backend.(conversation); ok {
		st.Transport, st.Era, st.Version = c.Transport(), c.Era().String(), c.Version()
		eras := c.Eras()
		st.OtherEra = eras.Legacy && eras.Modern
		info := c.ServerInfo()
		if found, err := rawjson.Fields(info, "name", "version"); err == nil {
			st.ServerName, _ = rawjson.String(found[0].Of(info))
			st.ServerVer, _ = rawjson.String(found[1].Of(info))
		}
	}
	if a, ok := l.backend.(*api); ok {
		report := a.Report()
		st.Report = &report
		if report.Outdated != "" {
			st.Problems = append(st.Problems, catalog.Problem{Upstream: st.Name, Reason: st.Name + ": the new description is not used, the last one stays: " + report.Outdated})
		}
	}
	if c := l.child(); c != nil {
		st.Junk, st.Stderr = c.Junk, c.Stderr
	}
}
