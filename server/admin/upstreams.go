package admin

import (
	"context"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/server"
)

// Upstream is where one upstream stands. It holds no value of the configuration that could be a secret.
type Upstream struct {
	Name, Transport, State string
	Since                  time.Time // of the state
	Reason, Hint           string    // why it is not ready, and what to do
	NextTry                time.Time // zero when it is not tried again
	Era, Version           string    // of the protocol
	Server                 string    // name and version, as the server calls itself
	Calls, Errors          uint64    // since weir was started
	Restarts               int
	Stale                  bool // what it lists is what was last known
	Required               bool
	Problems               []string
}

// Endpoint is where clients reach the gateway, whole or a part.
type Endpoint struct {
	Name string // of the virtual server, "" for the gateway itself
	Path string
	// Snapshot is what it offers.
	Snapshot *catalog.Snapshot
}

// upstreamRow is an upstream in an answer. What only operators should know is left out for others.
type upstreamRow struct {
	Name      string   `json:"name"`
	Transport string   `json:"transport"`
	State     string   `json:"state"`
	Since     string   `json:"since,omitempty"`
	Tools     int      `json:"tools"` // that the caller may use
	Prompts   int      `json:"prompts,omitempty"`
	Resources int      `json:"resources,omitempty"`
	Stale     bool     `json:"stale,omitempty"`
	Required  bool     `json:"required,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	Hint      string   `json:"hint,omitempty"`
	NextTry   string   `json:"nextTry,omitempty"`
	Era       string   `json:"era,omitempty"`
	Version   string   `json:"version,omitempty"`
	Server    string   `json:"server,omitempty"`
	Calls     uint64   `json:"calls,omitempty"`
	Errors    uint64   `json:"errors,omitempty"`
	Restarts  int      `json:"restarts,omitempty"`
	Problems  []string `json:"problems,omitempty"`
}

// Bounds of answers.
const (
	mostUpstreams = 200
	mostProblems  = 5
)

// states are those of upstreams.
func states() []string {
	return []string{"starting", "ready", "idle", "failed", "sign_in", "disabled", "stopped"}
}

// aboutUpstreams are the tools that tell of upstreams.
func (t *Tools) aboutUpstreams() []tool {
	type none struct{}
	type which struct {
		State string `json:"state"`
	}
	return []tool{
		define("list_upstreams", "Lists the servers and APIs behind the gateway (upstreams, services): whether each is up, since when, why not, and how many tools it has.",
			func(_ context.Context, c server.Caller, a which) (any, error) {
				return t.listUpstreams(c, a.State), nil
			},
			upstreamExamples(), mcp.WithString("state", mcp.Description("only upstreams in this state"), mcp.Enum(states()...))),
		define("topology", "Shows how the gateway is laid out: its endpoints and virtual servers, and which upstreams each of them offers.",
			func(_ context.Context, c server.Caller, _ none) (any, error) { return t.topology(c), nil }, topologyExamples()),
	}
}

// visible counts the entries that a caller may use, by upstream and kind.
func visible(c server.Caller) map[string]*[4]int {
	counts := make(map[string]*[4]int)
	for _, e := range c.Profile.View.Snapshot().Entries() {
		if e.Unlisted && !e.Hidden || !c.Profile.View.Visible(e) {
			continue
		}
		if counts[e.Ref.Upstream] == nil {
			counts[e.Ref.Upstream] = new([4]int)
		}
		counts[e.Ref.Upstream][e.Kind]++
	}
	return counts
}

type upstreamList struct {
	Upstreams []upstreamRow `json:"upstreams"`
	Cut       string        `json:"cut,omitempty"`
}

func (t *Tools) listUpstreams(c server.Caller, state string) upstreamList {
	counts, all := visible(c), seesOthers(c)
	list := upstreamList{Upstreams: []upstreamRow{}}
	for _, u := range t.o.Upstreams() {
		n := counts[u.Name]
		if n == nil && !all || state != "" && u.State != state {
			continue
		}
		if len(list.Upstreams) == mostUpstreams {
			list.Cut = "there are more upstreams; ask for one state"
			break
		}
		list.Upstreams = append(list.Upstreams, u.row(n, all))
	}
	return list
}

// row is what a caller is told; counts is nil when the caller may use nothing of it.
func (u *Upstream) row(counts *[4]int, all bool) upstreamRow {
	r := upstreamRow{Name: u.Name, Transport: u.Transport, State: u.State, Since: moment(u.Since), Stale: u.Stale}
	if counts != nil {
		r.Tools, r.Prompts, r.Resources = counts[catalog.Tool], counts[catalog.Prompt], counts[catalog.Resource]+counts[catalog.Template]
	}
	if !all {
		return r
	}
	r.Reason, r.Hint, r.NextTry, r.Required = u.Reason, u.Hint, moment(u.NextTry), u.Required
	r.Era, r.Version, r.Server = u.Era, u.Version, u.Server
	r.Calls, r.Errors, r.Restarts = u.Calls, u.Errors, u.Restarts
	r.Problems = u.Problems[:min(len(u.Problems), mostProblems)]
	return r
}

type endpointRow struct {
	Server    string   `json:"server,omitempty"` // virtual
	Path      string   `json:"path"`
	Upstreams []string `json:"upstreams"`
}

type layout struct {
	Gateway   string        `json:"gateway"`
	Policy    string        `json:"policy,omitempty"` // digest of the one in force
	Endpoints []endpointRow `json:"endpoints"`
	Upstreams []upstreamRow `json:"upstreams"`
	Cut       string        `json:"cut,omitempty"`
}

// topology shows endpoints, and of each the upstreams that the caller may use something of there.
func (t *Tools) topology(c server.Caller) layout {
	all := seesOthers(c)
	listed := t.listUpstreams(c, "")
	l := layout{Gateway: "weir " + t.o.Version, Endpoints: []endpointRow{}, Upstreams: listed.Upstreams, Cut: listed.Cut}
	if all {
		l.Policy = t.o.Policy().Digest()
	}
	for _, p := range t.o.Endpoints() {
		if !all && p.Snapshot != c.Profile.View.Snapshot() {
			continue // another endpoint is another tenant, where the caller may not be let in
		}
		if len(l.Endpoints) == mostUpstreams {
			l.Cut = "there are more endpoints and upstreams"
			break
		}
		row := endpointRow{Server: p.Name, Path: p.Path, Upstreams: []string{}}
		for _, e := range p.Snapshot.Entries() {
			if name := e.Ref.Upstream; !slices.Contains(row.Upstreams, name) && (all || c.Profile.View.Visible(e)) {
				row.Upstreams = append(row.Upstreams, name)
			}
		}
		l.Endpoints = append(l.Endpoints, row)
	}
	return l
}
