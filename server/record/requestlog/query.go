package requestlog

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Filter says which requests are meant; empty members mean all.
type Filter struct {
	Since, Until                           time.Time // Until is exclusive
	Who, Method, Upstream, Name, Trace, ID string
	// Outcome is one outcome; Failed are all but ok and input_required; Denied are denied and not_found ones, which is how a denial looks to those who may
	// not know.
	Outcome        string
	Failed, Denied bool
}

// Failed reports whether an outcome is an error; failing says the same in SQL.
func Failed(outcome string) bool { return outcome != "ok" && outcome != "input_required" }

const failing = "outcome NOT IN ('ok', 'input_required')"

// MaxRows bounds one answer of List and Count.
const MaxRows = 1000

// List returns requests, the newest first, from behind cursor ("" is the beginning). next is the cursor of the rest, "" at the end.
func (l *Log) List(ctx context.Context, f Filter, cursor string, limit int) (rows []Row, next string, err error) {
	where, args := f.where()
	if cursor != "" {
		where = append(where, fmt.Sprintf("id < $%d", len(args)+1))
		args = append(args, cursor)
	}
	limit = min(max(limit, 1), MaxRows)
	query := "SELECT " + columns + " FROM requests" + clause(where) + " ORDER BY id DESC LIMIT " + strconv.Itoa(limit+1) //nolint:gosec // values are arguments
	found, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, "", fmt.Errorf("request log: %w", bare(err))
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		r, err := scan(found)
		if err != nil {
			return nil, "", fmt.Errorf("request log: %w", err)
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, "", fmt.Errorf("request log: %w", bare(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	return rows, next, nil
}

func scan(rows *sql.Rows) (Row, error) {
	var r Row
	var at int64
	err := rows.Scan(&r.ID, &at, &r.Who, &r.Method, &r.Upstream, &r.Name, &r.Kind, &r.Era, &r.Rule, &r.Outcome, &r.Execution, &r.Reason,
		&r.Millis, &r.Upstreams, &r.In, &r.Out, &r.Trace, &r.Address, &r.Arguments)
	r.At = time.UnixMilli(at).UTC()
	return r, err
}

// where is the filter as SQL, with its arguments.
func (f *Filter) where() (conditions []string, args []any) {
	add := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	if !f.Since.IsZero() {
		add("id >= ?", ID(f.Since, ""))
	}
	if !f.Until.IsZero() {
		add("id < ?", ID(f.Until, ""))
	}
	for _, c := range []struct{ column, value string }{
		{"who", f.Who}, {"method", f.Method}, {"upstream", f.Upstream}, {"name", f.Name}, {"trace", f.Trace}, {"id", f.ID}, {"outcome", f.Outcome},
	} {
		if c.value != "" {
			add(c.column+" = ?", c.value)
		}
	}
	if f.Failed {
		conditions = append(conditions, failing)
	}
	if f.Denied {
		conditions = append(conditions, "outcome IN ('denied', 'not_found', 'unauthenticated')")
	}
	return conditions, args
}

func clause(where []string) string {
	if len(where) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(where, " AND ")
}

// Dimension is what requests are counted by.
type Dimension string

// Dimensions are all of them.
func Dimensions() []Dimension {
	return []Dimension{"upstream", "name", "who", "method", "outcome", "era", "rule", "hour", "day"}
}

// expression is a dimension as SQL. Hours and days are those of UTC, as Unix milliseconds of their beginning.
func (d Dimension) expression() string {
	switch d {
	case "hour":
		return "at - at % 3600000"
	case "day":
		return "at - at % 86400000"
	default:
		return string(d)
	}
}

// MaxDimensions bounds what one count is by: tables that people can read have two.
const MaxDimensions = 2

// Count is the requests of one combination of values.
type Count struct {
	By                                []string // the values, in the order of the dimensions
	Requests, Failed                  int64
	MeanMillis, MaxMillis, UpstreamMs float64 // means but for the maximum
	In, Out                           int64
}

// Measure is what combinations are ordered by, the most of it first.
type Measure string

// Measures are all of them; requests is the default.
func Measures() []Measure {
	return []Measure{"requests", "failed", "mean_ms", "max_ms", "in", "out"}
}

// expression is a measure as SQL.
func (m Measure) expression() string {
	switch m {
	case "failed":
		return "COALESCE(SUM(CASE WHEN " + failing + " THEN 1 ELSE 0 END), 0)"
	case "mean_ms":
		return "COALESCE(AVG(ms), 0)"
	case "max_ms":
		return "COALESCE(MAX(ms), 0)"
	case "in":
		return "COALESCE(SUM(size_in), 0)"
	case "out":
		return "COALESCE(SUM(size_out), 0)"
	default:
		return "COUNT(*)"
	}
}

// Count counts requests by at most two dimensions, those with the most of order first; cut says that there are more combinations than limit.
func (l *Log) Count(ctx context.Context, f Filter, by []Dimension, order Measure, limit int) (counts []Count, cut bool, err error) {
	if len(by) > MaxDimensions {
		return nil, false, fmt.Errorf("request log: count by at most %d dimensions, not %d", MaxDimensions, len(by))
	}
	for _, d := range by {
		if !slices.Contains(Dimensions(), d) {
			return nil, false, fmt.Errorf("request log: there is no dimension %q", d)
		}
	}
	if order != "" && !slices.Contains(Measures(), order) {
		return nil, false, fmt.Errorf("request log: there is no measure %q", order)
	}
	limit = min(max(limit, 1), MaxRows)
	query, args := countQuery(f, by, order)
	rows, err := l.db.QueryContext(ctx, query+" LIMIT "+strconv.Itoa(limit+1), args...)
	if err != nil {
		return nil, false, fmt.Errorf("request log: %w", bare(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		c, err := scanCount(rows, by)
		if err != nil {
			return nil, false, fmt.Errorf("request log: %w", err)
		}
		counts = append(counts, c)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("request log: %w", bare(err))
	}
	if len(counts) > limit {
		return counts[:limit], true, nil
	}
	return counts, false, nil
}

func countQuery(f Filter, by []Dimension, order Measure) (query string, args []any) {
	var groups []string
	for _, d := range by {
		groups = append(groups, d.expression())
	}
	where, args := f.where()
	columns := slices.Clone(groups)
	for _, m := range [...]Measure{"requests", "failed", "mean_ms", "max_ms"} {
		columns = append(columns, m.expression())
	}
	columns = append(columns, "COALESCE(AVG(upstream_ms), 0)", Measure("in").expression(), Measure("out").expression())
	query = "SELECT " + strings.Join(columns, ", ") + " FROM requests" + clause(where)
	if len(groups) > 0 {
		query += " GROUP BY " + strings.Join(groups, ", ")
	}
	return query + " ORDER BY " + strings.Join(append([]string{order.expression() + " DESC"}, groups...), ", "), args
}

func scanCount(rows *sql.Rows, by []Dimension) (Count, error) {
	c := Count{By: make([]string, len(by))}
	var into []any
	for i := range by {
		into = append(into, &c.By[i])
	}
	var in, out float64 // PostgreSQL adds integers up to a numeric
	err := rows.Scan(append(into, &c.Requests, &c.Failed, &c.MeanMillis, &c.MaxMillis, &c.UpstreamMs, &in, &out)...)
	c.In, c.Out = int64(math.Round(in)), int64(math.Round(out))
	for i, d := range by {
		if d == "hour" || d == "day" {
			if millis, err := strconv.ParseInt(c.By[i], 10, 64); err == nil {
				c.By[i] = time.UnixMilli(millis).UTC().Format("2006-01-02T15:04Z")
			}
		}
	}
	return c, err
}
