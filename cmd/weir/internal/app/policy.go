package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/policy"
	"weir/policy/guard"
)

// Rules are the policy of a file, compiled, and what was found on the way.
type Rules struct {
	Policy *policy.Policy
	// Shadow is the policy that is only watched, nil for none.
	Shadow   *policy.Policy
	Warnings config.Problems
	// Guard says what may pass, nil for everything.
	Guard *guard.Guard
	// Files are what was read besides the configuration, whatever came of it.
	Files []string
}

// Compile makes the policy of a file ready, and the one in its shadow. previous is the policy in force, nil for none. An error is
// config.Problems with everything that is wrong; Files are there even then.
func Compile(file *config.File, env config.Env, previous *policy.Policy, log *slog.Logger) (*Rules, error) {
	r := &Rules{}
	issuer, err := file.Issuer()
	if err != nil {
		return r, err
	}
	if r.Guard, err = r.guards(file); err != nil {
		return r, err
	}
	r.Policy, err = r.compile(file, policy.Options{Previous: previous, Issuer: issuer, Log: log})
	if err != nil || file.Policy.Shadow == "" {
		return r, err
	}
	path := file.Policy.Shadow
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(file.Path), path)
	}
	r.Files = append(r.Files, path)
	shadow, err := config.ReadPolicy(path, env)
	if found := config.Problems(nil); errors.As(err, &found) {
		return r, err
	}
	var fault string
	switch {
	case err != nil:
		fault = strings.TrimPrefix(err.Error(), "config: ")
	case shadow.Policy.IsZero():
		fault = path + " has no policy"
	case shadow.Policy.Shadow != "":
		fault = path + " has a shadow itself"
	default:
		r.Shadow, err = r.compile(shadow, policy.Options{Issuer: issuer, Log: log})
		return r, err
	}
	return r, file.Section.Problems([]policy.Problem{{Path: "shadow", Msg: fault}})
}

// guards compiles the guards of a file.
func (r *Rules) guards(file *config.File) (*guard.Guard, error) {
	g, err := guard.New(file.Guards, func(path string) ([]byte, error) {
		path = beside(filepath.Dir(file.Path), path)
		r.Files = append(r.Files, path)
		return os.ReadFile(path)
	})
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: "guards: " + err.Error(), Err: err}
	}
	return g, nil
}

// Untested compiles the policy of a file without running its tests, for the commands that do.
func Untested(file *config.File) (*Rules, error) {
	r := &Rules{}
	issuer, err := file.Issuer()
	if err != nil {
		return r, err
	}
	r.Policy, err = r.compile(file, policy.Options{Issuer: issuer, Untested: true})
	return r, err
}

// compile compiles the policy of one file.
func (r *Rules) compile(file *config.File, o policy.Options) (*policy.Policy, error) {
	o.Dir, o.Source = filepath.Dir(file.Path), file.Section.Text
	o.ReadFile = func(path string) ([]byte, error) {
		r.Files = append(r.Files, path)
		return os.ReadFile(path)
	}
	p, err := policy.Compile(file.Policy, o)
	var found policy.Problems
	switch {
	case errors.As(err, &found):
		return nil, file.Section.Problems(found)
	case err != nil:
		return nil, err
	}
	r.Warnings = append(r.Warnings, file.Section.Problems(p.Warnings())...)
	return p, nil
}

// enforce puts compiled rules in force. What the shadow before was asked is said first.
func (a *App) enforce(r *Rules) {
	a.sayTally()
	for _, w := range r.Warnings {
		a.log.Warn("configuration", "warning", w.String())
	}
	a.guard.Swap(r.Guard)
	a.policy.Swap(r.Policy)
	if r.Shadow == nil {
		a.policy.Watch(nil, nil)
		return
	}
	a.log.Info("shadow policy watched", "policy", r.Shadow.Digest())
	a.policy.Watch(r.Shadow, differences(a.log))
}

// Policy is the one in force.
func (a *App) Policy() *policy.Policy { return a.policy.Policy() }

// sayTally logs how often the policy in the shadow would have decided otherwise.
func (a *App) sayTally() {
	if t := a.policy.Tally(); t.Decisions > 0 {
		a.log.Info("shadow policy", "decisions", t.Decisions, "would_deny", t.WouldDeny, "would_allow", t.WouldAllow)
	}
}

// differencesKept bounds how many kinds of differences are remembered.
const differencesKept = 4096

// differences logs what a policy in the shadow would decide otherwise: each kind once, however often it is asked.
func differences(log *slog.Logger) func(policy.Difference) {
	type kind struct{ who, ref, enforced, watched string }
	seen, _ := lru.New[kind, struct{}](differencesKept) // fails only for a size below 1
	return func(d policy.Difference) {
		k := kind{d.Who, d.Action.String() + " " + d.Entry.Ref.String(), d.Enforced.Rule, d.Watched.Rule}
		if known, _ := seen.ContainsOrAdd(k, struct{}{}); known {
			return
		}
		would := "would_deny"
		if d.Watched.Allowed {
			would = "would_allow"
		}
		log.Warn("shadow policy differs", "outcome", would, "principal", d.Who, "action", d.Action.String(), "ref", d.Entry.Ref.String(),
			"rule", d.Enforced.Rule, "shadow_rule", d.Watched.Rule, "shadow_place", d.Watched.Place.String())
	}
}
