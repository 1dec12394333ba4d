package guard

import (
	"fmt"
	"time"

	"weir/catalog"
	"weir/policy"
)

// Mode is what happens to what a guard finds.
type Mode string

// The modes.
const (
	Off    Mode = "off"    // nobody looks
	Flag   Mode = "flag"   // it passes, and the record says so
	Redact Mode = "redact" // it passes without the secret
	Block  Mode = "block"  // the call is refused, or its answer withheld
)

// Modes are the names of all.
func Modes() []string { return []string{string(Off), string(Flag), string(Redact), string(Block)} }

// Spec is the guards section of the configuration: what may pass in calls that the policy allows.
type Spec struct {
	// Secrets looks for credentials in what goes to upstreams and in what comes from them.
	Secrets Secrets `yaml:"secrets"`
	// Flows keeps private data from being sent out by a caller who also read what strangers wrote.
	Flows Flows `yaml:"flows"`
}

// Secrets says where credentials are looked for, and what happens to them.
type Secrets struct {
	// Arguments is what happens to those in arguments, and in answers to an upstream's questions.
	Arguments Mode `yaml:"arguments"`
	// Results is what happens to those in results, errors, notifications and questions of an upstream.
	Results Mode `yaml:"results"`
	// Except are patterns of tools, prompts and resources that are not looked at: those whose business secrets are.
	Except []string `yaml:"except"`
	// Ignore are the ids of rules that are not used.
	Ignore []string `yaml:"ignore"`
	// Rules is a file of further rules in the format of gitleaks.
	Rules string `yaml:"rules"`
}

// Flows says what tools do with data. Each list has patterns of tools, prompts and resources; one may be in several.
type Flows struct {
	// Private are those that read private data.
	Private []string `yaml:"private"`
	// Untrusted are those that read what strangers may have written.
	Untrusted []string `yaml:"untrusted"`
	// External are those that send data out.
	External []string `yaml:"external"`
	// Action is what happens to a call that would send: block or flag.
	Action Mode `yaml:"action"`
	// Window is how long it counts what a caller has read.
	Window time.Duration `yaml:"window"`
	// Per says whose reading counts together: caller, or trace (W3C Trace Context), which for calls without one is caller.
	Per string `yaml:"per"`
}

// Default is what stands where the file says nothing.
func Default() Spec {
	return Spec{Secrets: Secrets{Arguments: Off, Results: Off}, Flows: Flows{Action: Block, Window: time.Hour, Per: "caller"}}
}

// Guard is a compiled [Spec]. It never changes.
type Guard struct {
	spec   Spec
	except func(catalog.Ref) bool // nil for none
	rules  *rules
	flows  *flows // nil for none
}

// New compiles a Spec; readFile reads the file of rules. It returns nil for a Spec that guards nothing.
func New(s Spec, readFile func(string) ([]byte, error)) (*Guard, error) {
	for _, m := range []*Mode{&s.Secrets.Arguments, &s.Secrets.Results} {
		if *m == "" {
			*m = Off
		}
	}
	g := &Guard{spec: s}
	var err error
	if g.flows, err = newFlows(s.Flows); err != nil {
		return nil, err
	}
	if s.Secrets.Arguments == Off && s.Secrets.Results == Off {
		if g.flows == nil {
			return nil, nil //nolint:nilnil // nothing is guarded
		}
		return g, nil
	}
	if g.except, err = policy.Selection(s.Secrets.Except); err != nil {
		return nil, fmt.Errorf("secrets.except: %w", err)
	}
	all := builtin()
	if s.Secrets.Rules != "" {
		data, err := readFile(s.Secrets.Rules)
		if err != nil {
			return nil, fmt.Errorf("secrets.rules: %w", err)
		}
		more, err := parseRules(data)
		if err != nil {
			return nil, fmt.Errorf("secrets.rules: %s: %w", s.Secrets.Rules, err)
		}
		all = append(all, more...)
	}
	if g.rules, err = newRules(all, s.Secrets.Ignore); err != nil {
		return nil, fmt.Errorf("secrets.ignore: %w", err)
	}
	return g, nil
}

// Forms tell secrets by their form alone, wherever they stand: the rules that need no file.
type Forms struct{ rules *rules }

// NewForms returns them.
func NewForms() Forms {
	rs, _ := newRules(builtin(), nil) // fails only for ids to ignore
	return Forms{rs}
}

// Clean is a raw JSON value without what has the form of a secret: value itself where there is nothing.
func (f Forms) Clean(value []byte) []byte {
	if found := f.rules.find(value, false); found != nil {
		return found.Value
	}
	return value
}

// Arguments looks at what a call of ref takes to its upstream, a raw JSON value. The mode is Off where nobody looks.
func (g *Guard) Arguments(ref catalog.Ref, value []byte) (Mode, *Found) {
	return g.look(g.spec.Secrets.Arguments, ref, value, false)
}

// Results looks at what the upstream of ref sends, a raw JSON value.
func (g *Guard) Results(ref catalog.Ref, value []byte) (Mode, *Found) {
	return g.look(g.spec.Secrets.Results, ref, value, true)
}

func (g *Guard) look(m Mode, ref catalog.Ref, value []byte, opaque bool) (Mode, *Found) {
	if m == Off || len(value) == 0 || g.except != nil && g.except(ref) {
		return Off, nil
	}
	return m, g.rules.find(value, opaque)
}
