package translate

import (
	"errors"
	"sync"

	"weir/translate/schema"
)

// maxArguments bounds the arguments of one call in bytes.
const maxArguments = 8 << 20

// Input is the arguments of a tool: what they may be, and the check before anything is sent.
type Input struct {
	Tool     string // its name, for messages
	Full     schema.Full
	Defaults []schema.Member // arguments that are filled in when they are absent
	// Adapt may be nil. It rewrites arguments that can be meant in one way only before they are checked, and says what the schema cannot:
	// each sentence is a fault.
	Adapt func(*schema.Value) (*schema.Value, []string)
	check validator
}

// validator compiles the full schema of a tool when it is called for the first time: most tools of a large API never are.
type validator struct {
	once  sync.Once
	ready *schema.Validator
	err   error
}

func (l *validator) get(full schema.Full) (*schema.Validator, error) {
	l.once.Do(func() { l.ready, l.err = schema.Compile(full, schema.Described()) })
	return l.ready, l.err
}

// Check returns the validator of the full schema.
func (in *Input) Check() (*schema.Validator, error) { return in.check.get(in.Full) }

// Accept reads the arguments of a call, fills in what is absent and checks them. A nil result means that they are valid.
func (in *Input) Accept(raw []byte) (*schema.Value, *Result) {
	v, fault := readArguments(raw)
	if fault != "" {
		return nil, Failure(in.Tool + ": " + fault + "; nothing was sent.")
	}
	for _, d := range in.Defaults {
		if v.Get(d.Key) == nil {
			v.Members = append(v.Members, d)
		}
	}
	var said []string
	if in.Adapt != nil {
		v, said = in.Adapt(v)
	}
	if len(said) == 0 && in.Full.Plainly(v) {
		return v, nil
	}
	check, err := in.Check()
	if err != nil {
		return nil, Failure(in.Tool + ": the tool cannot be called: its schema cannot be checked; nothing was sent.")
	}
	faults := check.Check(v.Plain())
	if len(faults) == 0 && len(said) == 0 {
		return v, nil
	}
	if len(faults) > 0 {
		healed := healer{in.Full.Defs}.heal(v, in.Full.Root, 0)
		if in.Adapt != nil {
			healed, said = in.Adapt(healed)
		}
		if again := check.Check(healed.Plain()); len(again) == 0 {
			faults = nil
			if len(said) == 0 {
				return healed, nil
			}
		}
	}
	return nil, Failure(in.explain(v, faults, said))
}

// readArguments reads raw arguments; fault says why they are none.
func readArguments(raw []byte) (v *schema.Value, fault string) {
	if raw == nil {
		return schema.Map(), ""
	}
	if len(raw) > maxArguments {
		return nil, "the arguments are too large"
	}
	v, err := schema.ParseUnique(raw)
	switch {
	case errors.Is(err, schema.ErrTwice):
		return nil, "an argument stands there twice"
	case err != nil || v.Kind != schema.Object:
		return nil, "the arguments are no JSON object"
	case !schema.Bearable(v):
		return nil, "a number is too large to be checked"
	}
	return v, ""
}

// Describe writes the schema of the arguments, or of what path leads to in them, in about budget bytes; false when path leads nowhere.
func (in *Input) Describe(path []string, budget int) ([]byte, bool) {
	at := in.Full.Root
	for _, step := range path {
		if at = in.step(at, step); at == nil {
			return nil, false
		}
	}
	root := at
	if len(path) > 0 { // what is published has an object at its root
		last := path[len(path)-1]
		root = schema.Map(
			schema.Member{Key: "type", Value: schema.Text("object")},
			schema.Member{Key: "properties", Value: schema.Map(schema.Member{Key: last, Value: at})},
		)
	}
	published, _ := schema.Publish(schema.Full{Root: root, Defs: in.Full.Defs}, budget)
	return published, true
}
