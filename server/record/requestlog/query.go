package requestlog

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/catalog/rawjson"
)

// Filter says which requests are meant; empty members mean all.
type Filter struct {
	Since, Until                           time.Time // Until is exclusive
	Who, Method, Upstream, Name, Trace, ID string
	// Outcome is one outcome; Failed are all but ok and input_required; Denied are denied and not_found ones, which is how a denial looks to those who may
	// not know.
	Outcome        string
	Failed, Denied bool
	// Known leaves out requests whose callers were told that there is no such thing: rows say what it was all the same.
	Known bool
}

// Failed reports whether an outcome is an error.
func Failed(outcome string) bool { return outcome != "ok" && outcome != "input_required" }

// MaxRows bounds one answer of List and Count.
const MaxRows = 1000

// matcher is a filter in the terms of rows as they are kept.
type matcher struct {
	Filter
	before       string // ids are smaller; "" for all
	since, until string // in the form of their times
	equal        [members][]byte
}

// matcherOf is the matcher of a filter, for rows behind cursor.
func matcherOf(f Filter, cursor string) *matcher {
	m := &matcher{Filter: f, before: cursor}
	if !f.Since.IsZero() {
		m.since = f.Since.UTC().Format(moment)
	}
	if !f.Until.IsZero() {
		m.until = f.Until.UTC().Format(moment)
	}
	for _, e := range [...]struct {
		member int
		value  string
	}{{inID, f.ID}, {inWho, f.Who}, {inMethod, f.Method}, {inUpstream, f.Upstream}, {inName, f.Name}, {inTrace, f.Trace}, {inOutcome, f.Outcome}} {
		if e.value != "" {
			m.equal[e.member] = rawjson.AppendString(nil, e.value)
		}
	}
	return m
}

// clause chooses chunks in SQL, with its arguments: those of the time.
func (m *matcher) clause() (where string, args []any) {
	var conditions []string
	add := func(condition string, micros int64) {
		args = append(args, micros)
		conditions = append(conditions, condition+" $"+strconv.Itoa(len(args)))
	}
	if !m.Since.IsZero() {
		add("last >=", m.Since.UnixMicro())
	}
	if !m.Until.IsZero() {
		add("first <=", m.Until.UnixMicro())
	}
	if at, ok := idTime(m.before); ok {
		add("first <=", at)
	}
	if at, ok := idTime(m.ID); ok {
		add("first <=", at)
		add("last >=", at)
	}
	if len(conditions) > 0 {
		where = " WHERE " + strings.Join(conditions, " AND ")
	}
	return where, args
}

// may reports whether any row of a chunk may match: what is looked for must be there somewhere.
func (m *matcher) may(rows []byte) bool {
	for _, raw := range m.equal {
		if len(raw) > 0 && !bytes.Contains(rows, raw) {
			return false
		}
	}
	return true
}

// matches reports whether a row is meant.
func (m *matcher) matches(l *line) bool {
	for i, raw := range m.equal {
		if !l.is(i, raw) {
			return false
		}
	}
	at, outcome := unquoted(l.member[inAt]), unquoted(l.member[inOutcome])
	switch {
	case m.since != "" && string(at) < m.since, m.until != "" && string(at) >= m.until:
		return false
	case m.before != "" && string(unquoted(l.member[inID])) >= m.before:
		return false
	case m.Known && string(outcome) == "not_found":
		return false
	case m.Failed && !Failed(string(outcome)):
		return false
	case m.Denied:
		return string(outcome) == "denied" || string(outcome) == "not_found" || string(outcome) == "unauthenticated"
	}
	return true
}

// unquoted is a raw string without its quotes; what is escaped in it stays so.
func unquoted(raw []byte) []byte {
	if len(raw) < 2 {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// errEnough ends a scan.
var errEnough = errors.New("enough")

// scan calls f with each row that matches, chunk by chunk, those with the latest first; in a chunk rows have no order. Before each chunk it calls chunk with the time
// of its latest row, in Unix microseconds; an error of it ends the scan.
func (l *Log) scan(ctx context.Context, m *matcher, chunk func(last int64) error, f func(*line) error) error {
	where, args := m.clause()
	found, err := l.db.QueryContext(ctx, "SELECT last, rows FROM request_chunks"+where+" ORDER BY last DESC", args...) //nolint:gosec // values are arguments
	if err != nil {
		return fmt.Errorf("request log: %w", bare(err))
	}
	defer func() { _ = found.Close() }()
	keys := names()
	for found.Next() {
		var last int64
		var rows sql.RawBytes
		if err := found.Scan(&last, &rows); err != nil {
			return fmt.Errorf("request log: %w", err)
		}
		if err := chunk(last); err != nil {
			return err
		}
		if !m.may(rows) {
			continue
		}
		var one line
		for text := range bytes.Lines(bytes.Trim(rows, "[]")) {
			if err := one.parse(bytes.TrimRight(text, ",\n"), &keys); err != nil {
				return fmt.Errorf("request log: a row cannot be read: %w", err)
			}
			if !m.matches(&one) {
				continue
			}
			if err := f(&one); err != nil {
				return err
			}
		}
	}
	if err := found.Err(); err != nil {
		return fmt.Errorf("request log: %w", bare(err))
	}
	return nil
}

// List returns requests, the newest first, from behind cursor ("" is the beginning). next is the cursor of the rest, "" at the end.
func (l *Log) List(ctx context.Context, f Filter, cursor string, limit int) (rows []Row, next string, err error) {
	limit = min(max(limit, 1), MaxRows)
	newest := func() {
		slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(b.ID, a.ID) })
		rows = rows[:min(len(rows), limit+1)]
	}
	err = l.scan(ctx, matcherOf(f, cursor), func(last int64) error {
		if newest(); len(rows) > limit && rows[limit].At.UnixMicro() > last {
			return errEnough
		}
		return nil
	}, func(one *line) error {
		if len(rows) >= 2*MaxRows {
			newest()
		}
		r, err := one.row()
		rows = append(rows, r)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", err
	}
	if newest(); len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].ID
	}
	return rows, next, nil
}
