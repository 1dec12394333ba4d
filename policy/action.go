package policy

import (
	"fmt"
	"strings"

	"weir/catalog"
)

// Action is what a caller wants to do with an entry.
type Action uint8

// The actions that policy tells apart, by the methods of the specification.
const (
	List      Action = iota
	Call             // tools/call
	Get              // prompts/get
	Read             // resources/read
	Complete         // completion/complete
	Subscribe        // resources/subscribe, subscriptions/listen
	numActions
)

// String returns the word that policies use: list, call, get, read, complete or subscribe.
func (a Action) String() string {
	switch a {
	case List:
		return "list"
	case Call:
		return "call"
	case Get:
		return "get"
	case Read:
		return "read"
	case Complete:
		return "complete"
	case Subscribe:
		return "subscribe"
	default:
		return fmt.Sprintf("action(%d)", uint8(a))
	}
}

// ParseAction is the inverse of String.
func ParseAction(word string) (Action, bool) {
	for a := range numActions {
		if a.String() == word {
			return a, true
		}
	}
	return 0, false
}

// useOf is the action that using an entry of kind is. Listing asks for it: an entry is listed exactly when it may be used.
func useOf(k catalog.Kind) Action {
	switch k {
	case catalog.Tool:
		return Call
	case catalog.Prompt:
		return Get
	default:
		return Read
	}
}

// asked is the action that rules are asked about when a caller wants a: listing is asked as use.
func asked(a Action, k catalog.Kind) Action {
	if a == List {
		return useOf(k)
	}
	return a
}

// actions is a set of actions; List is never in it.
type actions uint8

const allActions = actions(1<<Call | 1<<Get | 1<<Read | 1<<Complete | 1<<Subscribe)

func (s actions) has(a Action) bool { return s&(1<<a) != 0 }

// String is the form of the act column: "*", or the words joined by "|".
func (s actions) String() string {
	if s == allActions {
		return "*"
	}
	var words []string
	for a := range numActions {
		if s.has(a) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, "|")
}

// parseActions reads the words of a rule. deny says that the rule denies: denying list denies everything, since what may not be listed may
// not be used. Allowing list alone means nothing, and is an error.
func parseActions(words []string, deny bool) (actions, error) {
	var s actions
	for _, word := range words {
		a, ok := ParseAction(word)
		switch {
		case word == "*", ok && a == List && deny:
			s |= allActions
		case ok && a != List:
			s |= 1 << a
		case !ok:
			return 0, fmt.Errorf("unknown action %q; actions are call, get, read, complete, subscribe, and list in rules that deny", word)
		}
	}
	if s == 0 && len(words) > 0 {
		return 0, fmt.Errorf("list alone allows nothing: an entry is listed exactly when it may be used; add call, get or read")
	}
	return s, nil
}
