package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/catalog"
	"weir/server"
	"weir/server/record/requestlog"
)

// Bounds of answers.
const (
	mostCounts    = 200
	someCounts    = 20
	mostRequests  = 100
	someRequests  = 20
	argumentRunes = 500
	defaultSince  = "24h"
)

// filter are the arguments that query_analytics and query_requests share.
type filter struct {
	Since    string `json:"since"`
	Until    string `json:"until"`
	Who      string `json:"who"`
	Method   string `json:"method"`
	Upstream string `json:"upstream"`
	Tool     string `json:"tool"`
	Outcome  string `json:"outcome"`
	Failed   bool   `json:"failed"`
	Denied   bool   `json:"denied"`
	Trace    string `json:"trace"`
	ID       string `json:"id"`
}

type countArguments struct {
	filter
	By    []requestlog.Dimension `json:"by"`
	Order requestlog.Measure     `json:"order"`
	Limit int                    `json:"limit"`
}

type listRequests struct {
	filter
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

// aboutRequests are the tools that tell of what was called.
func (t *Tools) aboutRequests() []tool {
	filters := []mcp.ToolOption{
		mcp.WithString("since", mcp.Description("only requests since then: how long ago (90m, 24h, 7d) or a time (RFC 3339)"), mcp.DefaultString(defaultSince)),
		mcp.WithString("until", mcp.Description("only requests before then, in the same forms")),
		mcp.WithString("who", mcp.Description("only requests of this caller, such as user:ana; me are your own")),
		mcp.WithString("method", mcp.Description("only requests of this method, such as tools/call")),
		mcp.WithString("upstream", mcp.Description("only requests to this upstream")),
		mcp.WithString("tool", mcp.Description("only requests of this tool or prompt: its name, or upstream/name")),
		mcp.WithString("outcome", mcp.Description("only requests with this outcome: ok, tool_error, rpc_error, input_required, invalid, not_found, denied, unavailable, timeout, limited, …")),
		mcp.WithBoolean("failed", mcp.Description("only requests that failed, whatever the reason")),
		mcp.WithBoolean("denied", mcp.Description("only requests that were refused")),
	}
	var dimensions, measures []string
	for _, d := range requestlog.Dimensions() {
		dimensions = append(dimensions, string(d))
	}
	for _, m := range requestlog.Measures() {
		measures = append(measures, string(m))
	}
	return []tool{
		define("analytics_fields", "Names what query_analytics can count requests by, order them by, and filter by, and what the fields mean.",
			func(context.Context, server.Caller, struct{}) (any, error) { return fields(), nil }, fieldExamples()),
		define("query_analytics", "Counts requests: how many, how many failed (errors), how long they took, how large they were; by at most two dimensions, in the order of one measure.",
			func(ctx context.Context, c server.Caller, a countArguments) (any, error) { return t.count(ctx, c, a) }, countExamples(),
			append(slices.Clip(filters),
				mcp.WithArray("by", mcp.Description("what to count by; one line in all when left out"), mcp.WithStringEnumItems(dimensions), mcp.MaxItems(requestlog.MaxDimensions)),
				mcp.WithString("order", mcp.Description("the measure of which the most comes first"), mcp.Enum(measures...), mcp.DefaultString(measures[0])),
				mcp.WithInteger("limit", mcp.Description("how many lines"), mcp.DefaultNumber(someCounts), mcp.Max(mostCounts)))...),
		define("query_requests", "Lists single requests (calls) out of the request log, the newest first: who, what, when, outcome, error message, duration, trace.",
			func(ctx context.Context, c server.Caller, a listRequests) (any, error) { return t.requests(ctx, c, a) }, requestExamples(),
			append(slices.Clip(filters),
				mcp.WithString("trace", mcp.Description("only the requests of this trace id")),
				mcp.WithString("id", mcp.Description("only the request with this id")),
				mcp.WithString("cursor", mcp.Description("next of the page before")),
				mcp.WithInteger("limit", mcp.Description("how many requests"), mcp.DefaultNumber(someRequests), mcp.Max(mostRequests)))...),
	}
}

type field struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
}

type fieldList struct {
	Dimensions []field `json:"dimensions"`
	Measures   []field `json:"measures"`
	Filters    []field `json:"filters"`
	Bounds     string  `json:"bounds"`
}

func fields() fieldList {
	return fieldList{
		Dimensions: []field{
			{"upstream", "the server or API that was called; empty for requests that none was for"},
			{"name", "the tool, prompt or resource, as its upstream calls it"},
			{"who", "the caller"},
			{"method", "of MCP, such as tools/call"},
			{"outcome", "ok, tool_error, rpc_error, input_required, or why weir refused or failed"},
			{"era", "legacy or modern protocol of the client"},
			{"rule", "of the policy, that decided"},
			{"hour", "beginning of the hour, UTC"},
			{"day", "beginning of the day, UTC"},
		},
		Measures: []field{
			{"requests", "how many"},
			{"failed", "how many of them failed"},
			{"mean_ms", "mean duration in milliseconds"},
			{"max_ms", "longest duration"},
			{"in", "bytes of requests"},
			{"out", "bytes of answers"},
		},
		Filters: []field{
			{"since, until", "how long ago, such as 24h or 7d, or a time; the last 24 hours when left out"},
			{"who, method, upstream, tool, outcome", "one value"},
			{"failed", "every outcome but ok and input_required"},
			{"denied", "refused, also where the caller only heard that there is no such tool"},
		},
		Bounds: fmt.Sprintf("at most %d dimensions and %d lines; answers say when there are more", requestlog.MaxDimensions, mostCounts),
	}
}

// countRow is a line of query_analytics.
type countRow struct {
	By         map[string]string `json:"by,omitempty"`
	Requests   int64             `json:"requests"`
	Failed     int64             `json:"failed"`
	MeanMillis float64           `json:"mean_ms"`
	MaxMillis  float64           `json:"max_ms"`
	Upstream   float64           `json:"upstream_ms"` // of the mean, with the upstream
	In         int64             `json:"in"`
	Out        int64             `json:"out"`
}

type countList struct {
	Since string     `json:"since"`
	Until string     `json:"until,omitempty"`
	Of    string     `json:"of,omitempty"` // whose requests, when not everyone's
	Rows  []countRow `json:"rows"`
	Cut   string     `json:"cut,omitempty"`
}

// count answers query_analytics.
func (t *Tools) count(ctx context.Context, c server.Caller, a countArguments) (any, error) {
	f, err := a.of(c)
	if err != nil {
		return nil, err
	}
	f.Known = f.Known || !seesOthers(c) && slices.ContainsFunc(a.By, tells)
	limit := someCounts
	if a.Limit > 0 {
		limit = min(a.Limit, mostCounts)
	}
	counts, cut, err := t.o.Requests.Count(ctx, f, a.By, a.Order, limit)
	if err != nil {
		return nil, err
	}
	list := countList{Since: moment(f.Since), Until: moment(f.Until), Of: f.Who, Rows: []countRow{}}
	for _, n := range counts {
		row := countRow{
			Requests: n.Requests, Failed: n.Failed, MeanMillis: round(n.MeanMillis), MaxMillis: round(n.MaxMillis), Upstream: round(n.UpstreamMs), In: n.In, Out: n.Out,
		}
		for i, d := range a.By {
			if row.By == nil {
				row.By = make(map[string]string)
			}
			row.By[string(d)] = shorten(n.By[i], summaryRunes)
		}
		list.Rows = append(list.Rows, row)
	}
	if cut {
		list.Cut = fmt.Sprintf("only the first %d lines are here; narrow the filter, or raise limit (up to %d)", limit, mostCounts)
	}
	return list, nil
}

// tells reports whether a dimension says what a request was about, or what was decided about it, even where its caller was told that there is no such thing.
func tells(d requestlog.Dimension) bool { return d == "upstream" || d == "name" || d == "rule" }

func round(ms float64) float64 { return float64(int64(ms*1000+0.5)) / 1000 }

type requestList struct {
	Since    string           `json:"since"`
	Of       string           `json:"of,omitempty"`
	Requests []requestlog.Row `json:"requests"`
	Next     string           `json:"next,omitempty"` // cursor
	Cut      string           `json:"cut,omitempty"`
}

// requests answers query_requests.
func (t *Tools) requests(ctx context.Context, c server.Caller, a listRequests) (any, error) {
	if a.Since == "" && (a.Trace != "" || a.ID != "") {
		a.Since = "3650d" // there are few of them, however old
	}
	f, err := a.of(c)
	if err != nil {
		return nil, err
	}
	limit := someRequests
	if a.Limit > 0 {
		limit = min(a.Limit, mostRequests)
	}
	rows, next, err := t.o.Requests.List(ctx, f, a.Cursor, limit)
	if err != nil {
		return nil, err
	}
	list := requestList{Since: moment(f.Since), Of: f.Who, Requests: make([]requestlog.Row, 0, len(rows)), Next: next}
	others := seesOthers(c)
	for _, r := range rows {
		if r.Outcome == string(catalog.NotFound) && !others {
			r.Upstream, r.Name, r.Kind, r.Rule, r.Execution = "", "", "", "", "" // of a thing that its caller may not hear of
		}
		for _, text := range []*string{&r.Name, &r.Reason, &r.Arguments, &r.Result} {
			*text = shorten(*text, argumentRunes)
		}
		list.Requests = append(list.Requests, r)
	}
	if next != "" {
		list.Cut = "there are older ones; ask again with cursor: next"
	}
	return list, nil
}

// of is the filter in the request log's terms, bounded to what the caller may see.
func (a *filter) of(c server.Caller) (requestlog.Filter, error) {
	f := requestlog.Filter{
		Who: a.Who, Method: a.Method, Upstream: a.Upstream, Outcome: a.Outcome, Failed: a.Failed, Denied: a.Denied, Trace: a.Trace, ID: a.ID,
	}
	me := c.Principal.String()
	if f.Who == "me" {
		f.Who = me
	}
	if !seesOthers(c) {
		if f.Who != "" && f.Who != me {
			return f, needOthers("who")
		}
		f.Who = me
		f.Known = a.Upstream != "" || a.Tool != "" // or who asks about what is hidden would hear that it is there
	}
	if a.Tool != "" {
		if e, err := lookUp(c, a.Tool); err == nil {
			f.Upstream, f.Name = e.Ref.Upstream, e.Ref.Name
		} else if up, name, ok := strings.Cut(a.Tool, "/"); ok {
			f.Upstream, f.Name = up, name // it may be gone
		} else {
			return f, err
		}
	}
	var err error
	now := time.Now()
	if a.Since == "" {
		a.Since = defaultSince
	}
	if f.Since, err = ago(a.Since, now); err != nil {
		return f, fmt.Errorf("since: %w", err)
	}
	if a.Until != "" {
		if f.Until, err = ago(a.Until, now); err != nil {
			return f, fmt.Errorf("until: %w", err)
		}
	}
	return f, nil
}

// ago reads a time: RFC 3339, or how long before now, in Go's form or in days.
func ago(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("want a span such as 90m, 24h or 7d, or a time such as 2026-11-20T12:00:00Z, got %.40q", text)
}
