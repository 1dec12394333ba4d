package requestlog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/catalog/rawjson"
)

// Dimension is what requests are counted by.
type Dimension string

// Dimensions are all of them.
func Dimensions() []Dimension {
	return []Dimension{"upstream", "name", "who", "method", "outcome", "era", "rule", "hour", "day"}
}

// member is where a row has a dimension; hours and days, which are those of UTC, are beginnings of its time.
func (d Dimension) member() (member, length int) {
	switch d {
	case "hour":
		return inAt, len(`"2006-01-02T15`)
	case "day":
		return inAt, len(`"2006-01-02`)
	default:
		names := names()
		return slices.Index(names[:], string(d)), 0
	}
}

// text is a value of the dimension for people, from its raw form.
func (d Dimension) text(raw []byte) string {
	switch d {
	case "hour":
		return string(raw[1:]) + ":00Z"
	case "day":
		return string(raw[1:]) + "T00:00Z"
	default:
		text, _ := rawjson.String(raw)
		return text
	}
}

// MaxDimensions bounds what one count is by: tables that people can read have two.
const MaxDimensions = 2

// mostCounts bounds the combinations that one count looks at.
const mostCounts = 100_000

// Count is the requests of one combination of values.
type Count struct {
	By                                []string // the values, in the order of the dimensions
	Requests, Failed                  int64
	MeanMillis, MaxMillis, UpstreamMs float64 // means but for the maximum
	In, Out                           int64
}

// add counts a row; means are sums until mean.
func (c *Count) add(l *line) {
	millis := l.number(inMillis)
	c.Requests++
	if Failed(string(unquoted(l.member[inOutcome]))) {
		c.Failed++
	}
	c.MeanMillis += millis
	c.MaxMillis = max(c.MaxMillis, millis)
	c.UpstreamMs += l.number(inUpstreamMillis)
	c.In += int64(l.number(inIn))
	c.Out += int64(l.number(inOut))
}

// mean makes means of sums.
func (c *Count) mean() {
	if n := float64(c.Requests); n > 0 {
		c.MeanMillis, c.UpstreamMs = c.MeanMillis/n, c.UpstreamMs/n
	}
}

// Measure is what combinations are ordered by, the most of it first.
type Measure string

// Measures are all of them; requests is the default.
func Measures() []Measure {
	return []Measure{"requests", "failed", "mean_ms", "max_ms", "in", "out"}
}

// of is the measure of a count.
func (m Measure) of(c *Count) float64 {
	switch m {
	case "failed":
		return float64(c.Failed)
	case "mean_ms":
		return c.MeanMillis
	case "max_ms":
		return c.MaxMillis
	case "in":
		return float64(c.In)
	case "out":
		return float64(c.Out)
	default:
		return float64(c.Requests)
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
	found, err := l.group(ctx, f, by)
	if err != nil {
		return nil, false, err
	}
	for _, c := range found {
		c.mean()
		counts = append(counts, *c)
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(order.of(&b), order.of(&a)), slices.Compare(a.By, b.By))
	})
	limit = min(max(limit, 1), MaxRows)
	return counts[:min(len(counts), limit)], len(counts) > limit, nil
}

// group counts requests by each combination of values; without dimensions there is one.
func (l *Log) group(ctx context.Context, f Filter, by []Dimension) (map[string]*Count, error) {
	type place struct{ member, length int }
	places := make([]place, len(by))
	for i, d := range by {
		places[i].member, places[i].length = d.member()
	}
	counts := make(map[string]*Count)
	if len(by) == 0 {
		counts[""] = &Count{By: []string{}}
	}
	var key []byte
	parts := make([][]byte, len(by))
	err := l.scan(ctx, matcherOf(f, ""), func(int64) error { return nil }, func(one *line) error {
		for i, p := range places {
			parts[i] = one.member[p.member]
			if p.length > 0 {
				parts[i] = parts[i][:min(p.length, len(parts[i]))]
			}
		}
		key = append(key[:0], bytes.Join(parts, []byte{'\n'})...)
		c := counts[string(key)]
		if c == nil {
			if len(counts) == mostCounts {
				return errors.New("request log: there are too many combinations to count; ask for fewer requests")
			}
			c = &Count{By: make([]string, len(by))}
			for i, d := range by {
				c.By[i] = d.text(parts[i])
			}
			counts[string(key)] = c
		}
		c.add(one)
		return nil
	})
	return counts, err
}
