package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"weir/catalog"
)

// recordedLine is a line of the audit log, of which event may also stand alone.
type recordedLine struct {
	Time       time.Time       `json:"time"`
	Who        string          `json:"who"`    // the user, a typed name
	With       []string        `json:"with"`   // further subjects of the same caller: groups, roles, scopes, a client
	Tenant     string          `json:"tenant"` // the virtual server it came to
	Attributes json.RawMessage `json:"attributes"`
	Method     string          `json:"method"` // of the protocol
	Ref        string          `json:"ref"`
	Arguments  json.RawMessage `json:"arguments"`
	Target     string          `json:"target"` // the URI that a template was used for
	Address    string          `json:"address"`
	Event      json.RawMessage `json:"event"`
}

// ReadRecorded reads a request from a line of the audit log, {"time":…,"event":{"who","method","ref","arguments",…}}, or from such an event
// alone. Members that are not known are left out. ok is false for a record that names no caller and no entry: lists, outcomes, what the log
// says of itself. s may be nil. Arguments that the log masked, or did not keep, are what conditions see.
func (p *Policy) ReadRecorded(line []byte, s *catalog.Snapshot) (r Recorded, ok bool, err error) {
	var l recordedLine
	if err := json.Unmarshal(line, &l); err != nil {
		return r, false, err
	}
	if l.Event != nil {
		event := recordedLine{Time: l.Time}
		if err := json.Unmarshal(l.Event, &event); err != nil {
			return r, false, err
		}
		l = event
	}
	if r.Action, ok = methodAction(l.Method); !ok || l.Who == "" || l.Ref == "" {
		return r, false, nil
	}
	if r.Request.Principal, err = p.Suppose(append([]string{l.Who}, l.With...), l.Tenant, l.Attributes); err != nil {
		return r, false, fmt.Errorf("who: %w", err)
	}
	if r.Entry, err = Find(s, r.Action, l.Ref); err != nil {
		return r, false, fmt.Errorf("ref: %w", err)
	}
	if l.Address != "" {
		if r.Request.Address, err = netip.ParseAddr(l.Address); err != nil {
			return r, false, errors.New("address is not one")
		}
	}
	r.Request.Arguments, r.Request.Target, r.Request.Time = l.Arguments, l.Target, l.Time
	return r, true, nil
}

// methodAction is the action that a method of the protocol asks for.
func methodAction(method string) (Action, bool) {
	switch method {
	case "tools/call":
		return Call, true
	case "prompts/get":
		return Get, true
	case "resources/read":
		return Read, true
	case "resources/subscribe":
		return Subscribe, true
	case "completion/complete":
		return Complete, true
	}
	return 0, false
}
