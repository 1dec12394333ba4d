package server

import (
	"context"
	"strconv"
	"sync"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// lack is what a client would have had to declare for an upstream's request.
type lack struct {
	required string // a raw ClientCapabilities object
	code     int    // of the refusal that the upstream gets
}

// lacks returns what of a request the client's capabilities do not cover, nil when they do: its method, for elicitation the mode (an empty object means
// form), for sampling tools (spec 2025-11-25, client/elicitation and client/sampling). A part of a capability that is missing makes
// the request an invalid one, a missing capability makes its method unknown.
func lacks(capabilities []byte, r catalog.Request) *lack {
	f, err := rawjson.Fields(capabilities, "elicitation", "sampling", "roots")
	if err != nil {
		f = make([]rawjson.Span, 3)
	}
	switch r.Method {
	case "elicitation/create":
		mode := modeOf(r.Params)
		if !takesMode(f[0].Of(capabilities), mode) {
			required := string(rawjson.AppendString([]byte(`{"elicitation":{`), mode)) + `:{}}}`
			return lackOf(!f[0].Absent(), required)
		}
	case "sampling/createMessage":
		if !wantsTools(r.Params) {
			if f[1].Absent() {
				return lackOf(false, `{"sampling":{}}`)
			}
		} else if !member(f[1].Of(capabilities), "tools") {
			return lackOf(!f[1].Absent(), `{"sampling":{"tools":{}}}`)
		}
	case "roots/list":
		if f[2].Absent() {
			return lackOf(false, `{"roots":{}}`)
		}
	default:
		return lackOf(false, `{}`)
	}
	return nil
}

func lackOf(partly bool, required string) *lack {
	if partly {
		return &lack{required, CodeInvalidParams}
	}
	return &lack{required, CodeMethodNotFound}
}

// refusal is the answer to the upstream.
func (l *lack) refusal(method string) error {
	b := strconv.AppendInt([]byte(`{"code":`), int64(l.code), 10)
	b = rawjson.AppendString(append(b, `,"message":`...), "the client does not support this "+method)
	return &catalog.RPCError{Object: append(b, '}')}
}

// modeOf is the mode of an elicitation/create.
func modeOf(params []byte) string {
	if f, err := rawjson.Fields(params, "mode"); err == nil && !f[0].Absent() {
		mode, _ := rawjson.String(f[0].Of(params))
		return mode
	}
	return "form"
}

// takesMode reports whether an elicitation capability covers a mode.
func takesMode(capability []byte, mode string) bool {
	modes, err := rawjson.Fields(capability, "form", "url")
	if err != nil {
		return false
	}
	switch mode {
	case "form":
		return !modes[0].Absent() || modes[1].Absent()
	case "url":
		return !modes[1].Absent()
	}
	return false
}

// wantsTools reports whether a sampling/createMessage gives the model tools.
func wantsTools(params []byte) bool { return member(params, "tools") || member(params, "toolChoice") }

// member reports whether a raw object has a member.
func member(object []byte, name string) bool {
	f, err := rawjson.Fields(object, name)
	return err == nil && !f[0].Absent()
}

// interactive reports whether a client can be asked anything at all.
func interactive(c *catalog.Client) bool {
	if len(c.Capabilities) <= len(`{}`) {
		return false
	}
	f, err := rawjson.Fields(c.Capabilities, "elicitation", "sampling", "roots")
	return err == nil && (!f[0].Absent() || !f[1].Absent() || !f[2].Absent())
}

// wanting notes what an upstream asked of a modern client that the client did not declare.
type wanting struct {
	mu       sync.Mutex
	required string // raw, "" for nothing
}

// refuse returns the refusal of a request that the client's capabilities do not cover, nil for others.
func (w *wanting) refuse(capabilities []byte, r catalog.Request) error {
	l := lacks(capabilities, r)
	if l == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.required == "" {
		w.required = l.required
	}
	return l.refusal(r.Method)
}

// refuseAll is the Ask of a client that declared nothing.
func (w *wanting) refuseAll(_ context.Context, r catalog.Request) ([]byte, error) {
	return nil, w.refuse(emptyObject, r)
}

// missed returns the reply that says what the client has to declare, when an upstream wanted that and then failed; nil otherwise. An upstream that
// got along without is not doubted. It releases the answer.
func (w *wanting) missed(r *Request, e *Event, a *catalog.Answer) *Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.required == "" || a == nil || a.Message.Kind == rawjson.Result && !isToolError(a.Message) {
		return nil
	}
	a.Release()
	e.Outcome = "rpc_error"
	return missing(r, w.required)
}

// missing is the reply to a modern client that did not declare what its request takes (spec 2026-07-28, basic/index#error-codes). required is a raw
// ClientCapabilities object.
func missing(r *Request, required string) *Reply {
	return ErrorReply(statusBadRequest, r.Message.ID.Of(r.Message.Data), CodeMissingCapability, "missing required client capability",
		[]byte(`{"requiredCapabilities":`+required+`}`))
}
