package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"weir/policy"
	"weir/server"
	"weir/server/admin"
	"weir/upstream"
)

// condition is how a gateway, or a part of it, stands.
type condition string

const (
	good     condition = "ready"
	degraded condition = "degraded"  // requests are answered, some worse than usual
	unready  condition = "not ready" // send requests elsewhere
)

// fault is why a gateway is not simply ready.
type fault struct {
	State  condition `json:"state"`
	Reason string    `json:"reason"`
}

// readiness is what the operator gets; others get the state alone.
type readiness struct {
	State   condition `json:"state"`
	Reasons []fault   `json:"reasons,omitempty"`
}

// faultf makes a fault.
func faultf(state condition, format string, args ...any) fault {
	return fault{state, fmt.Sprintf(format, args...)}
}

// faults are the reasons why the gateway is not simply ready, the worse ones first. None has a secret in it.
func (r *router) faults() []fault {
	all := r.own()
	for _, s := range r.app.set.Status() {
		switch {
		case s.State == upstream.Ready || s.State == upstream.Idle || s.State == upstream.Disabled || s.State == upstream.SignIn && !s.Required:
		case s.Required:
			all = append(all, faultf(unready, "%s (%s, and it is required)", s.Reason, s.State))
		default:
			all = append(all, faultf(degraded, "%s (%s)", s.Reason, s.State))
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(b.State, a.State) }) // "not ready" comes after "degraded" in the alphabet
	return all
}

// Faults says what is wrong with the gateway itself while it serves, for its operator; with upstreams it is in Status.
func (a *App) Faults() []string {
	var all []string
	if r := a.router.Load(); r != nil {
		for _, f := range r.own() {
			all = append(all, fmt.Sprintf("%s (%s)", f.Reason, f.State))
		}
	}
	if l := a.observation.requests; l != nil && l.Lost() > 0 {
		all = append(all, fmt.Sprintf("request log: %d rows could not be written and are lost", l.Lost()))
	}
	return all
}

// own are the faults that are no upstream's.
func (r *router) own() []fault {
	var all []fault
	add := func(state condition, format string, args ...any) { all = append(all, faultf(state, format, args...)) }
	if r.stopping.Load() {
		add(unready, "weir is stopping")
	}
	if auth := r.signIn.auth.Load(); auth != nil {
		switch err := auth.Ready(); {
		case err == nil:
		case auth.Verifies():
			add(degraded, "sign-in: %v", err)
		default:
			add(unready, "sign-in: %v", err)
		}
	}
	if l := r.app.observation.audit; l != nil && l.Failing() {
		why := "the log cannot be written"
		if cause := l.Cause(); cause != "" {
			why += " (" + cause + ")"
		}
		if l.Blocks() {
			add(unready, "audit: %s, and no call goes unrecorded", why)
		} else {
			add(degraded, "audit: %s", why)
		}
	}
	if used, most := openFiles(); most > 0 && used*10 >= most*9 {
		add(unready, "files: %d of the %d that the process may open are open", used, most)
	}
	if r.app.memory.Short() {
		add(unready, "memory: too little is left for new calls")
	}
	return all
}

// ready says whether requests should be sent here: 200, or 503. The reasons are for callers who may see what belongs to others.
func (r *router) ready(w http.ResponseWriter, q *http.Request) {
	if !reads(w, q) {
		return
	}
	now := readiness{State: good, Reasons: r.faults()}
	if len(now.Reasons) > 0 {
		now.State = now.Reasons[0].State
	}
	if !r.operates(q) {
		now.Reasons = nil
	}
	status := http.StatusOK
	if now.State == unready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(now) // the client may be gone
}

// operates reports whether a request is of somebody who may see what belongs to others.
func (r *router) operates(q *http.Request) bool {
	caller, err := r.main.Identify(q)
	if err != nil {
		return false
	}
	snapshot := r.app.catalog.Snapshot()
	entry, err := policy.Find(snapshot, policy.Call, server.OwnUpstream+"/"+admin.Others)
	return err == nil && r.app.policy.Profile(caller.Principal, snapshot).Decide(policy.Call, entry).Allowed
}

// alive answers.
func alive(w http.ResponseWriter, q *http.Request) {
	if reads(w, q) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the client may be gone
	}
}

// reads reports whether a request only reads, and answers it otherwise.
func reads(w http.ResponseWriter, q *http.Request) bool {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if q.Method == http.MethodGet || q.Method == http.MethodHead {
		return true
	}
	h.Set("Allow", "GET, HEAD")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}
