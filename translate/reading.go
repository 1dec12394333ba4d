package translate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate/schema"
)

// The ways of offering many operations: see [Spec].
const (
	ModeAuto     = "auto"
	ModeTools    = "tools"
	ModeDynamic  = "dynamic"
	ModeExplicit = "explicit"
)

const (
	defaultBudget      = 20_000
	defaultSchemaBytes = 4096
)

// CheckMode says that a mode is none.
func CheckMode(mode string) error {
	switch mode {
	case "", ModeAuto, ModeTools, ModeDynamic, ModeExplicit:
		return nil
	}
	return fmt.Errorf("mode %q is none of auto, tools, dynamic, explicit", mode)
}

// Entry is one operation of an API as a tool.
type Entry struct {
	Name, Key   string // Key is what the description calls it, which configuration may use as well
	Words       string // description
	Raw         []byte // as listed; see Publish
	Input       *Input
	Output      *Output
	Annotations Annotations
	Document    Document // what the search knows of it
	Timeout     time.Duration
	// Run sends a call whose arguments were checked. ctx ends after timeout.
	Run func(ctx context.Context, c *catalog.Call, args *schema.Value, timeout time.Duration) *Result
	// Open makes the whole entry, for one that holds only what lists and searches need; it is nil for a whole one.
	Open func() (*Entry, error)
}

// Entry is the tool of an operation with what configuration says about it, before the description fills in the rest.
func (s *Spec) Entry(name, key string, change Tool) Entry {
	t := Entry{Name: name, Key: key, Timeout: change.Timeout, Output: &Output{Shape: change.Result, MaxText: s.MaxText}}
	if t.Timeout <= 0 {
		t.Timeout = s.Timeout
	}
	return t
}

// whole is the entry with everything that a call needs.
func (t *Entry) whole() (*Entry, error) {
	if t.Open == nil {
		return t, nil
	}
	return t.Open()
}

// Publish writes the tool as it is listed, within budget bytes for its input schema.
func (t *Entry) Publish(budget int) {
	if budget <= 0 {
		budget = defaultSchemaBytes
	}
	input, _ := schema.Publish(t.Input.Full, budget)
	item := make([]byte, 0, len(input)+len(t.Words)+512)
	item = append(item, `{"name":`...)
	item = rawjson.AppendString(item, t.Name)
	if t.Words != "" {
		item = append(item, `,"description":`...)
		item = rawjson.AppendString(item, t.Words)
	}
	item = append(item, `,"inputSchema":`...)
	item = append(item, input...)
	if t.Output.Schema != nil {
		item = append(item, `,"outputSchema":`...)
		item = t.Output.Schema.Append(item)
	}
	item = append(item, `,"annotations":`...)
	item = t.Annotations.Append(item)
	t.Raw = append(item, '}')
}

// Reading is what one reading of a description came to. It is immutable.
type Reading struct {
	Source  *catalog.Source
	Report  Report
	tools   map[string]*Entry
	dynamic *Dynamic // nil when the tools are listed
}

// NewReading decides how the tools of a translation are offered.
func NewReading(upstream string, spec *Spec, t *Translation) *Reading {
	tools := t.Tools
	s := &Reading{tools: make(map[string]*Entry, len(tools)), Report: report(tools, t.Warnings)}
	for _, t := range tools {
		s.tools[t.Name] = t
	}
	budget := spec.Budget
	if budget <= 0 {
		budget = defaultBudget
	}
	s.Report.Dynamic = spec.Mode == ModeDynamic || (spec.Mode == "" || spec.Mode == ModeAuto) && s.Report.Tokens > budget
	s.Source = &catalog.Source{Upstream: upstream, Capabilities: []byte(`{"tools":{"listChanged":true}}`), Instructions: t.Instructions, Schemas: s.schemas}
	if s.Report.Dynamic {
		s.dynamic = s.threeTools(upstream, spec.Pinned, tools)
		s.Source.Tools, s.Source.Doors = s.dynamic.Items(), s.dynamic.Doors()
	}
	for _, t := range tools {
		if s.dynamic == nil || s.dynamic.Pinned(t.Name) {
			s.Source.Tools = append(s.Source.Tools, t.Raw)
		}
		if s.dynamic != nil {
			s.Source.Hidden = append(s.Source.Hidden, t.Raw)
		}
	}
	return s
}

// schemas are those of a tool before they were cut to size, for [catalog.Source.Schemas].
func (s *Reading) schemas(tool string) (arguments, result []byte) {
	t, ok := s.tools[tool]
	if !ok {
		return nil, nil // one of those that lead to the others
	}
	t, err := t.whole()
	if err != nil {
		return nil, nil
	}
	return t.Input.Full.Value().Append(nil), t.Output.secrets()
}

func report(tools []*Entry, warnings []Warning) Report {
	r := Report{Tools: len(tools), Warnings: warnings}
	sizes := make([]int, 0, len(tools))
	for _, t := range tools {
		r.Bytes += len(t.Raw)
		sizes = append(sizes, len(t.Raw))
		r.Costs = append(r.Costs, Cost{Tool: t.Name, Operation: t.Key, Tokens: len(t.Raw) / BytesPerToken})
	}
	slices.Sort(sizes)
	if n := len(sizes); n > 0 {
		r.Median, r.Largest = sizes[n/2], sizes[n-1]
	}
	for _, w := range warnings {
		if w.Lost {
			r.Lost++
		}
	}
	r.Operations, r.Tokens = r.Tools+r.Lost, r.Bytes/BytesPerToken
	return r
}

// threeTools makes the tools that stand for all.
func (s *Reading) threeTools(upstream string, pinnedTools []string, tools []*Entry) *Dynamic {
	operations := make([]Operation, len(tools))
	for i, t := range tools {
		pinned := slices.Contains(pinnedTools, t.Name) || slices.Contains(pinnedTools, t.Key)
		operations[i] = Operation{Document: t.Document, Hints: t.Annotations.Letters(), Pinned: pinned}
	}
	return NewDynamic(upstream, operations, DynamicOptions{
		Describe: func(name string, path []string, budget int) ([]byte, bool) {
			t, err := s.tools[name].whole()
			if err != nil {
				return nil, false
			}
			return t.Input.Describe(path, budget)
		},
		Call: func(ctx context.Context, c *catalog.Call, name string, raw []byte) (*Result, error) {
			return s.tools[name].call(ctx, c, raw)
		},
	})
}

// Call runs a tool of the reading.
func (s *Reading) Call(ctx context.Context, c *catalog.Call) (*Result, error) {
	raw := c.Message.Arguments.Of(c.Message.Data)
	if s.dynamic != nil && s.dynamic.Has(c.Target) {
		return s.dynamic.Call(ctx, c, c.Target, raw)
	}
	t, ok := s.tools[c.Target]
	if !ok || s.dynamic != nil && !s.dynamic.Pinned(c.Target) {
		return nil, catalog.Errorf(catalog.NotFound, "%s: has no tool %q", s.Source.Upstream, c.Target)
	}
	return t.call(ctx, c, raw)
}

// defaultTimeout bounds one call.
const defaultTimeout = time.Minute

// call checks the arguments and runs the tool within its time.
func (t *Entry) call(ctx context.Context, c *catalog.Call, raw []byte) (*Result, error) {
	t, err := t.whole()
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "the description can no longer be read", Err: err, Execution: catalog.NotExecuted}
	}
	args, refused := t.Input.Accept(raw)
	if refused != nil {
		return refused, nil
	}
	timeout := t.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := t.Run(limited, c, args, timeout)
	if ctx.Err() != nil {
		if own, ok := errors.AsType[*catalog.Error](context.Cause(ctx)); ok {
			return nil, own
		}
		return nil, &catalog.Error{Code: catalog.Canceled, Msg: t.Name + ": the call was canceled", Err: ctx.Err()}
	}
	return r, nil
}
