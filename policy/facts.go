package policy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Request is what conditions look at, besides the entry and the approved hints about it.
type Request struct {
	// Principal is the caller: the one whose profile is asked.
	Principal Principal
	// Arguments is the raw JSON object of the call, nil for none.
	Arguments []byte
	// Target is the URI that a resource template is used for, "" for everything else.
	Target string
	// Time is when the request came; the zero Time is now.
	Time time.Time
	// Address is where it came from, the zero Addr when that is not known.
	Address netip.Addr
}

// errArguments marks arguments that a rule and an upstream might read differently.
var errArguments = errors.New("arguments")

// facts are what a condition is evaluated on. It is the activation of one decision and not safe for concurrent use.
type facts struct {
	entry   *catalog.Entry
	hints   hints
	who     *identity
	request *Request

	args    map[string]any // nil until a condition looks at them
	argsErr error
	claims  map[string]any
}

// newFacts returns what conditions may look at; r may be nil: then there is nothing to know but the entry and the caller.
func newFacts(entry *catalog.Entry, h hints, who *identity, r *Request) *facts {
	return &facts{entry: entry, hints: h, who: who, request: r}
}

// arguments reads the arguments when the first condition asks for them.
func (f *facts) arguments() error {
	if f.args == nil && f.argsErr == nil && f.request != nil {
		f.args, f.argsErr = readArguments(f.request.Arguments)
	}
	return f.argsErr
}

// readArguments turns an object into what CEL reads. Keys that are equal, or differ only in case, are refused at any depth: an upstream may
// take another of them than the rule. Whole numbers that fit are int64, others float64.
func readArguments(raw []byte) (map[string]any, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return map[string]any{}, nil
	}
	if err := rawjson.UniqueKeys(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", errArguments, err)
	}
	object := gjson.ParseBytes(raw)
	if !object.IsObject() {
		return nil, fmt.Errorf("%w: not an object", errArguments)
	}
	v, err := plain(object)
	if err != nil {
		return nil, err
	}
	return v.(map[string]any), nil //nolint:errcheck,forcetypeassert // plain makes a map of every object
}

// plain turns an accepted value into maps, slices, texts, numbers and booleans.
func plain(v gjson.Result) (any, error) {
	var fault error
	switch {
	case v.IsObject():
		m := make(map[string]any)
		v.ForEach(func(key, value gjson.Result) bool {
			name, ok := rawjson.String([]byte(key.Raw))
			if !ok {
				fault = fmt.Errorf("%w: a key that is not text", errArguments)
				return false
			}
			m[name], fault = plain(value)
			return fault == nil
		})
		return m, fault
	case v.IsArray():
		var list []any
		v.ForEach(func(_, value gjson.Result) bool {
			var e any
			e, fault = plain(value)
			list = append(list, e)
			return fault == nil
		})
		return list, fault
	}
	switch v.Type {
	case gjson.String:
		text, ok := rawjson.String([]byte(v.Raw))
		if !ok {
			return nil, fmt.Errorf("%w: a text that cannot be read", errArguments)
		}
		return text, nil
	case gjson.Number:
		if i, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
			return i, nil
		}
		f, err := strconv.ParseFloat(v.Raw, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: a number out of range", errArguments)
		}
		return f, nil
	case gjson.True, gjson.False:
		return v.Type == gjson.True, nil
	default:
		return nil, nil //nolint:nilnil // null is a value
	}
}

// Parent is that of cel.Activation: there is none.
func (f *facts) Parent() cel.Activation { return nil }

// ResolveName returns the value of one of variables.
func (f *facts) ResolveName(name string) (any, bool) {
	group, member, _ := strings.Cut(name, ".")
	switch group {
	case "args":
		return f.args, f.args != nil
	case "tool":
		return f.tool(member)
	case "user":
		return f.user(member)
	case "request":
		return f.asked(member)
	}
	return nil, false
}

func (f *facts) tool(member string) (any, bool) {
	switch member {
	case "ref":
		return f.entry.Ref.String(), true
	case "upstream":
		return f.entry.Ref.Upstream, true
	case "name":
		return f.entry.Ref.Name, true
	case "kind":
		return f.entry.Kind.String(), true
	case "readOnly":
		return f.hints.readOnly, true
	case "destructive":
		return f.hints.destructive, true
	case "idempotent":
		return f.hints.idempotent, true
	case "openWorld":
		return f.hints.openWorld, true
	}
	return nil, false
}

func (f *facts) user(member string) (any, bool) {
	if f.who == nil {
		return nil, false
	}
	user := strings.TrimPrefix(f.who.user, userType)
	issuer, subject, found := strings.Cut(user, "|")
	if !found {
		issuer, subject = "", user
	}
	switch member {
	case "id":
		return f.who.user, true
	case "issuer":
		return issuer, true
	case "subject":
		return subject, true
	case "client":
		return strings.TrimPrefix(f.who.client, clientType), true
	case "tenant":
		return f.who.tenant, true
	case "groups":
		return bare(f.who.groups, groupType), true
	case "roles":
		return bare(f.who.roles, roleType), true
	case "scopes":
		return bare(f.who.scopes, scopeType), true
	case "attributes":
		if f.claims == nil {
			claims, err := readArguments([]byte(f.who.attributes))
			if err != nil {
				return nil, false
			}
			f.claims = claims
		}
		return f.claims, true
	}
	return nil, false
}

// bare takes the type off names.
func bare(names []string, prefix string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strings.TrimPrefix(name, prefix)
	}
	return out
}

func (f *facts) asked(member string) (any, bool) {
	if f.request == nil {
		return nil, false
	}
	switch member {
	case "time":
		if f.request.Time.IsZero() {
			return time.Now(), true
		}
		return f.request.Time, true
	case "address":
		if !f.request.Address.IsValid() {
			return "", true
		}
		return f.request.Address.String(), true
	}
	return nil, false
}
