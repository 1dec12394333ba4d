package requestlog

import (
	"context"
	"database/sql"
	"errors"
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

// MaxRows bounds one answer of List and Count.
const MaxRows = 1000

// List returns requests, the newest first, from behind cursor ("" is the beginning). next is the cursor of the rest, "" at the end.
func (l *Log) List(ctx context.Context, f Filter, cursor string, limit int) (rows []Row, next string, err error) {
	where, args := f.where()
	if cursor != "" {
		at, id, ok := strings.Cut(cursor, "_")
		millis, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil {
			return nil, "", errors.New("request log: the cursor is not one of this log")
		}
		where = append(where, fmt.Sprintf("(at < $%d OR at = $%d AND id < $%d)", len(args)+1, len(args)+1, len(args)+2))
		args = append(args, millis, id)
	}
	limit = min(max(limit, 1), MaxRows)
	query := "SELECT " + columns + " FROM requests" + clause(where) + " ORDER BY at DESC, id DESC LIMIT " + strconv.Itoa(limit+1) //nolint:gosec // values are arguments
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
		last := rows[limit-1]
		next = strconv.FormatInt(last.At.UnixMilli(), 10) + "_" + last.ID
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
		add("at >= ?", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		add("at < ?", f.Until.UnixMilli())
	}
	for _, c := range []struct{ column, value string }{
		{"who", f.Who}, {"method", f.Method}, {"upstream", f.Upstream}, {"name", f.Name}, {"trace", f.Trace}, {"id", f.ID}, {"outcome", f.Outcome},
	} {
		if c.value != "" {
			add(c.column+" = ?", c.value)
		}
	}
	if f.Failed {
		conditions = append(conditions, "outcome NOT IN ('ok', 'input_required')")
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

// Count counts requests by at most two dimensions, the most frequent first; cut says that there are more combinations than limit.
func (l *Log) Count(ctx context.Context, f Filter, by []Dimension, limit int) (counts []Count, cut bool, err error) {
	if len(by) > MaxDimensions {
		return nil, false, fmt.Errorf("request log: count by at most %d dimensions, not %d", MaxDimensions, len(by))
	}
	for _, d := range by {
		if !slices.Contains(Dimensions(), d) {
			return nil, false, fmt.Errorf("request log: there is no dimension %q", d)
		}
	}
	limit = min(max(limit, 1), MaxRows)
	query, args := countQuery(f, by)
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

func countQuery(f Filter, by []Dimension) (query string, args []any) {
	var groups []string
	for _, d := range by {
		groups = append(groups, d.expression())
	}
	where, args := f.where()
	query = "SELECT " + strings.Join(append(slices.Clone(groups), "COUNT(*)", "COALESCE(SUM(CASE WHEN outcome IN ('ok', 'input_required') THEN 0 ELSE 1 END), 0)",
		"COALESCE(AVG(ms), 0)", "COALESCE(MAX(ms), 0)", "COALESCE(AVG(upstream_ms), 0)", "COALESCE(SUM(size_in), 0)", "COALESCE(SUM(size_out), 0)"), ", ") +
		" FROM requests" + clause(where)
	if len(groups) > 0 {
		query += " GROUP BY " + strings.Join(groups, ", ")
	}
	return query + " ORDER BY " + strings.Join(append([]string{"COUNT(*) DESC"}, groups...), ", "), args
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
