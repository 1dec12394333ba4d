package admin

import (
	"context"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"

	"weir/policy"
	"weir/server"
)

type accessArguments struct {
	Tool   string   `json:"tool"`
	Action string   `json:"action"`
	Who    []string `json:"who"`
}

// aboutAccess is the tool that tells why somebody may do something, or not.
func (t *Tools) aboutAccess() tool {
	return define("explain_access", "Explains why a tool, prompt or resource may be used or not: the rule that decides, its reason, what to use instead. About you, or about others if you may know.",
		func(_ context.Context, c server.Caller, a accessArguments) (any, error) { return t.explain(c, a) }, accessExamples(),
		mcp.WithString("tool", mcp.Required(), mcp.Description("its name, or upstream/name")),
		mcp.WithString("action", mcp.Description("what to do with it; its use when left out"), mcp.Enum("call", "get", "read", "complete", "subscribe")),
		mcp.WithArray("who", mcp.Description("somebody else, as rules name them: user:ana, group:eng"), mcp.WithStringItems(), mcp.MaxItems(20)))
}

// access is an answer of explain_access.
type access struct {
	Who     string   `json:"who"`
	Ref     string   `json:"ref"`
	Action  string   `json:"action"`
	Allowed bool     `json:"allowed"`
	Depends string   `json:"depends,omitempty"` // on what, when the request decides
	Rule    string   `json:"rule"`
	Reason  string   `json:"reason,omitempty"`
	Instead string   `json:"instead,omitempty"`
	Holds   []string `json:"holds,omitempty"`
	// Explanation has every rule that matched or nearly did, for those who may see what belongs to others.
	Explanation string `json:"explanation,omitempty"`
}

func (t *Tools) explain(c server.Caller, a accessArguments) (any, error) {
	all := seesOthers(c)
	if len(a.Who) > 0 && !all {
		return nil, needOthers("who")
	}
	e, err := lookUp(c, a.Tool)
	if err != nil && all { // rules can be asked before there is such a thing
		action, _ := policy.ParseAction(a.Action)
		if action == policy.List {
			action = policy.Call
		}
		if e, err = policy.Find(c.Profile.View.Snapshot(), action, a.Tool); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	action := actionOn(e.Kind)
	if a.Action != "" {
		var ok bool
		if action, ok = policy.ParseAction(a.Action); !ok {
			return nil, fmt.Errorf("action: there is no %q", a.Action)
		}
	}
	p, who := t.o.Policy(), c.Principal
	if len(a.Who) > 0 {
		if who, err = p.Suppose(a.Who, c.Principal.Tenant(), nil); err != nil {
			return nil, fmt.Errorf("who: %w", err)
		}
	}
	x := p.Explain(c.Profile.View.Snapshot(), who, action, e, nil)
	out := access{Who: x.Who, Ref: x.Ref.String(), Action: action.String(), Allowed: x.Decision.Allowed, Rule: x.Decision.Rule, Reason: x.Decision.Reason, Instead: x.Decision.Instead}
	if d := p.ProfileOf(who, c.Profile.View.Snapshot()).Decide(action, e); d.Conditional {
		out.Depends = d.Reason
	}
	if all {
		out.Holds, out.Explanation = x.Holds, x.String()
	}
	return out, nil
}
