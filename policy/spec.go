package policy

// Spec is the policy section of the configuration: who may use what. Everything in it names things by Ref, upstream/name, never by public
// names. What no rule allows is denied, and a rule that denies wins over every rule that allows.
//
// A Spec without anything in it is no policy: the local user may do everything, and nobody else anything.
type Spec struct {
	// Roles are lists of rules by name. A rule is [ACTIONS] PATTERN [when CONDITION], such as "github/*", "call,complete github/get_*" or
	// "bank/transfer when small"; ACTIONS are call, get, read, complete, subscribe, joined by commas, all of them when left out. The name of
	// another role stands for its rules.
	Roles map[string][]string `yaml:"roles,omitempty"`
	// Grants give roles, or rules written out, to subjects: user:NAME, group:NAME, role:NAME, client:NAME, scope:NAME, or * for everyone
	// who is known. The name of a user is ISSUER|SUBJECT.
	Grants map[string][]string `yaml:"grants,omitempty"`
	// Deny are the rules that win over all that allow.
	Deny []Deny `yaml:"deny,omitempty"`
	// Tenants are rules that hold in one tenant (a virtual server) only, in addition to those above.
	Tenants map[string]Tenant `yaml:"tenants,omitempty"`
	// Conditions are CEL expressions by name, over args, tool, user and request.
	Conditions map[string]string `yaml:"conditions,omitempty"`
	// Annotations say what tools do, for conditions: readOnly, destructive and so on.
	Annotations Annotations `yaml:"annotations,omitempty"`

	// Model and Rules are the files of a Casbin model of one's own and its CSV, in place of roles, grants, deny and tenants.
	Model string `yaml:"model,omitempty"`
	Rules string `yaml:"rules,omitempty"`

	// Shadow is a file with another policy section that is only watched: where it would decide otherwise is counted and logged.
	Shadow string `yaml:"shadow,omitempty"`
	// AllowEmpty takes a policy that allows nothing at all.
	AllowEmpty bool `yaml:"allowEmpty,omitempty"`
	// Tests run whenever the policy is loaded; one that fails keeps it from being taken.
	Tests []Test `yaml:"tests,omitempty"`

	// Place says where a key of the section stands: "deny[0].match", "roles.reader[2]". nil, or a zero Place, when that is not known.
	Place func(path string) Place `yaml:"-"`
}

// Tenant is what holds in one tenant only. Its roles are known in it alone and must not have the name of a role that is known everywhere.
type Tenant struct {
	// Roles are as in the policy.
	Roles map[string][]string `yaml:"roles,omitempty"`
	// Grants are as in the policy.
	Grants map[string][]string `yaml:"grants,omitempty"`
	// Deny is as in the policy.
	Deny []Deny `yaml:"deny,omitempty"`
}

// Deny is a rule that wins over all that allow.
type Deny struct {
	// Match is the pattern of what is denied.
	Match string `yaml:"match"`
	// Actions are denied; all when left out. list is all.
	Actions []string `yaml:"actions,omitempty"`
	// For names the subjects it is denied to; everyone when left out.
	For []string `yaml:"for,omitempty"`
	// When is a condition that must hold, or, after an exclamation mark, must not.
	When string `yaml:"when,omitempty"`
	// Reason is told to a caller who may use the entry but for this rule. Without one such a caller is not told that it exists.
	Reason string `yaml:"reason,omitempty"`
	// Instead is the Ref of what to use, or a sentence.
	Instead string `yaml:"instead,omitempty"`
}

// Test is one line of the policy's own truth table: may As do this? One of List, Call, Get, Read, Complete and Subscribe holds a Ref.
type Test struct {
	// As is the subject who asks; With are further ones of the same caller (groups, a client).
	As   string   `yaml:"as"`
	With []string `yaml:"with,omitempty"`
	// Tenant is where it asks; none when left out.
	Tenant string `yaml:"tenant,omitempty"`

	// List asks whether the entry is listed.
	List string `yaml:"list,omitempty"`
	// Call asks about a tool.
	Call string `yaml:"call,omitempty"`
	// Get asks about a prompt.
	Get string `yaml:"get,omitempty"`
	// Read asks about a resource.
	Read string `yaml:"read,omitempty"`
	// Complete asks about completing the arguments of a prompt.
	Complete string `yaml:"complete,omitempty"`
	// Subscribe asks about a resource.
	Subscribe string `yaml:"subscribe,omitempty"`

	// Args are the arguments, as the text of a JSON object.
	Args string `yaml:"args,omitempty"`
	// Attributes are those of the caller, as the text of a JSON object.
	Attributes string `yaml:"attributes,omitempty"`
	// At is the time of the request (RFC 3339), From its address.
	At   string `yaml:"at,omitempty"`
	From string `yaml:"from,omitempty"`

	// Want is allow or deny.
	Want string `yaml:"want"`
	// Rule is the id of the rule that must have decided; any when left out.
	Rule string `yaml:"rule,omitempty"`
}

// IsZero reports whether s says nothing: no policy is configured.
func (s *Spec) IsZero() bool {
	return !s.hasRules() && s.Model == "" && s.Rules == "" && len(s.Conditions) == 0 && len(s.Tests) == 0 && !s.AllowEmpty && s.Shadow == ""
}

// hasRules reports whether s has rules in the short form.
func (s *Spec) hasRules() bool {
	return len(s.Roles)+len(s.Grants)+len(s.Deny)+len(s.Tenants) > 0
}
