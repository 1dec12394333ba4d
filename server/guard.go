package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/policy/guard"
)

// The rules that the record names when a guard decided.
const (
	secretsRule = "guards.secrets"
	flowsRule   = "guards.flows"
)

// Finding is what a guard found in a request or its answer.
type Finding struct {
	Guard  string // secrets or flows
	Rule   string // that found it: the id of a secret's rule, "" for flows
	Where  string // a path below arguments or result, or what was read
	Action guard.Mode
}

// String is the finding as people read it, without the secret.
func (f Finding) String() string {
	return strings.TrimPrefix(f.Rule+" in "+f.Where, " in ") + " (" + string(f.Action) + ")"
}

// guardFlow notes what a call will read, and refuses one that would send out what its caller should not have together.
func (g *Gateway) guardFlow(r *Request, e *Event) error {
	if g.guard.Guard() == nil {
		return nil
	}
	r.use = guard.Use{Caller: r.Principal.Agent(), Trace: traceOf(e), Ref: e.Ref, Now: e.Start}
	if r.of != nil { // it is read for a call, and in its trace
		r.use.Trace, r.use.Sends = r.of.Trace, &r.of.Ref
	}
	leak := g.guard.Enter(r.use)
	if leak == nil {
		return nil
	}
	f := Finding{Guard: "flows", Where: leak.Private.String() + " and " + leak.Untrusted.String(), Action: guard.Flag}
	if leak.Block {
		f.Action = guard.Block
	}
	e.Findings = append(e.Findings, f)
	if !leak.Block {
		return nil
	}
	e.Rule = flowsRule
	return &catalog.Error{
		Code: catalog.Denied, Execution: catalog.NotExecuted,
		Msg: fmt.Sprintf("Denied: %s sends data out, and you have read private data (%s) and content that others may have written (%s).", leak.Ref, leak.Private, leak.Untrusted),
		Hint: "Whoever wrote that content may have asked for this. Tell the user what you meant to send and where. It can be sent after " +
			leak.Until.UTC().Format(time.RFC3339) + " if no more of either is read.",
	}
}

// guardIn looks for secrets in what a request takes to its upstream. The record gets it without them.
func (g *Gateway) guardIn(r *Request, e *Event) error {
	rules := g.guard.Guard()
	if rules == nil {
		return nil
	}
	m := r.Message
	var edits []rawjson.Edit
	var mode guard.Mode
	for _, part := range []struct {
		name string
		span rawjson.Span
	}{{"arguments", m.Arguments}, {"inputResponses", m.InputResponses}} {
		action, found := rules.Arguments(e.Ref, part.span.Of(m.Data))
		if found == nil {
			continue
		}
		mode = action
		e.foundSecrets(part.name, action, found)
		edits = append(edits, rawjson.Edit{Span: part.span, With: found.Value})
	}
	if edits == nil {
		return nil
	}
	slices.SortFunc(edits, func(a, b rawjson.Edit) int { return cmp.Compare(a.Start, b.Start) })
	clean, err := edited(m, edits...)
	if err != nil {
		return err
	}
	e.Request = clean
	switch mode {
	case guard.Block:
		e.Rule = secretsRule
		return &catalog.Error{
			Code: catalog.Denied, Execution: catalog.NotExecuted, Msg: fmt.Sprintf("Denied: %s: there is a secret in %s; it was not sent.", e.Ref, e.where()),
			Hint: "Call it without the secret. An operator who means " + e.Ref.String() + " to get secrets adds it to guards.secrets.except.",
		}
	case guard.Redact:
		r.Message = clean
	default:
	}
	return nil
}

// guardOut looks for secrets in what an upstream answered; the answer that it returns is the one to give. The record gets it without them.
func (g *Gateway) guardOut(r *Request, e *Event, a *catalog.Answer) (*catalog.Answer, error) {
	e.Answer = a.Message
	rules := g.guard.Guard()
	if rules == nil {
		return a, nil
	}
	m := a.Message
	name, span := "result", m.Result
	if m.Kind == rawjson.Error {
		name, span = "error", m.Error
	}
	mode, found := rules.Results(e.Ref, span.Of(m.Data))
	if found == nil {
		return a, nil
	}
	e.foundSecrets(name, mode, found)
	clean, err := edited(m, rawjson.Edit{Span: span, With: found.Value})
	if e.Answer = clean; err != nil {
		a.Release()
		return nil, err
	}
	switch mode {
	case guard.Block:
		a.Release()
		e.Rule, r.withheld = secretsRule, true
		return nil, &catalog.Error{
			Code: catalog.Denied, Execution: catalog.Executed, Msg: fmt.Sprintf("Denied: %s was executed, but there is a secret in %s; the answer is withheld.", e.Ref, e.where()),
			Hint: "Do not repeat the call for the answer's sake. An operator who means " + e.Ref.String() + " to give secrets adds it to guards.secrets.except.",
		}
	case guard.Redact:
		return catalog.NewAnswer(clean, a.Era, a.Release), nil
	default:
		return a, nil
	}
}

// guardBetween takes the secrets out of what goes to and fro in the middle of a call.
func (g *Gateway) guardBetween(c *catalog.Call, ref catalog.Ref) *catalog.Call {
	s := g.sieve(ref)
	if s == nil {
		return c
	}
	if notify := c.Notify; notify != nil {
		c.Notify = func(n catalog.Notification) {
			n.Params = s.clean(s.rules.Results, n.Method, n.Params)
			notify(n)
		}
	}
	if c.Ask != nil {
		c.Ask = s.ask(c.Ask)
	}
	return c
}

// sieve takes secrets out of what belongs to a call whose end is not reached, or to none: also where they would block one. It is safe for concurrent use.
type sieve struct {
	rules *guard.Guard
	ref   catalog.Ref
	log   *slog.Logger
	told  sync.Once
}

// sieve returns one for what has to do with ref, nil where there are no guards.
func (g *Gateway) sieve(ref catalog.Ref) *sieve {
	rules := g.guard.Guard()
	if rules == nil {
		return nil
	}
	return &sieve{rules: rules, ref: ref, log: g.log}
}

// clean is a value, a part of what, as it may pass.
func (s *sieve) clean(look func(catalog.Ref, []byte) (guard.Mode, *guard.Found), what string, value []byte) []byte {
	mode, found := look(s.ref, value)
	if found == nil {
		return value
	}
	s.told.Do(func() {
		s.log.Warn("a secret in the middle of a call", "ref", s.ref.String(), "in", what, "rule", found.Secrets[0].Rule, "action", string(mode))
	})
	if mode == guard.Flag {
		return value
	}
	return found.Value
}

// ask is an Ask whose questions and answers have no secrets.
func (s *sieve) ask(ask func(context.Context, catalog.Request) ([]byte, error)) func(context.Context, catalog.Request) ([]byte, error) {
	return func(ctx context.Context, q catalog.Request) ([]byte, error) {
		q.Params = s.clean(s.rules.Results, q.Method, q.Params)
		answer, err := ask(ctx, q)
		return s.clean(s.rules.Arguments, "the answer to "+q.Method, answer), err
	}
}

// NewSession returns the session of a client of this gateway: what upstreams ask it between its requests passes the guards, too.
func (g *Gateway) NewSession(p policy.Principal, c catalog.Client) *Session {
	s := NewSession(p, c)
	s.sieve = g.sieve
	return s
}

// edited is a message with edits.
func edited(m *rawjson.Message, edits ...rawjson.Edit) (*rawjson.Message, error) {
	clean := new(rawjson.Message)
	err := rawjson.Scan(clean, rawjson.Splice(make([]byte, 0, len(m.Data)), m.Data, rawjson.Span{End: len(m.Data)}, edits...))
	return clean, err
}

// foundSecrets notes secrets that were found.
func (e *Event) foundSecrets(below string, action guard.Mode, found *guard.Found) {
	for _, s := range found.Secrets {
		where := below + "." + s.Path
		if s.Path == "" || s.Path[0] == '[' {
			where = below + s.Path
		}
		e.Findings = append(e.Findings, Finding{"secrets", s.Rule, where, action})
	}
}

// where names the newest finding.
func (e *Event) where() string {
	f := e.Findings[len(e.Findings)-1]
	return f.Where + " (" + f.Rule + ")"
}

// traceOf is the id of the trace (W3C Trace Context) that a request says it belongs to, "" for none.
func traceOf(e *Event) string {
	parent, _ := e.TraceContext()
	if parts := strings.Split(parent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
		return parts[1]
	}
	return ""
}
