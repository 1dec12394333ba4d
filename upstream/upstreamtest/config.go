package upstreamtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// Raw is JSON text, or any bytes, sent exactly as it is. In a JSON configuration file it is written as the JSON value itself, as a
// string that holds the text, or as a string "base64:…" where the bytes are not UTF-8.
type Raw string

// MarshalJSON writes the text as a string, so that no white space or escape of it is lost.
func (r Raw) MarshalJSON() ([]byte, error) {
	s := string(r)
	if !utf8.ValidString(s) || strings.HasPrefix(s, "base64:") {
		s = "base64:" + base64.StdEncoding.EncodeToString([]byte(s))
	}
	return quote(s), nil
}

// UnmarshalJSON takes any of the three forms.
func (r *Raw) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 || b[0] != '"' {
		*r = Raw(b)
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if enc, ok := strings.CutPrefix(s, "base64:"); ok {
		dec, err := base64.StdEncoding.DecodeString(enc)
		*r = Raw(dec)
		return err
	}
	*r = Raw(s)
	return nil
}

// Duration is a time.Duration that a JSON file writes as "250ms".
type Duration time.Duration

// MarshalJSON writes the form of time.Duration.String.
func (d Duration) MarshalJSON() ([]byte, error) { return quote(time.Duration(d).String()), nil }

// UnmarshalJSON takes the form of time.ParseDuration.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// Era says which families of MCP revisions a server speaks.
type Era string

// Both is the default.
const (
	Both   Era = ""
	Modern Era = "modern"
	Legacy Era = "legacy"
)

// The revisions of the two eras, newest first.
const (
	ModernVersion = "2026-07-28"
	LegacyVersion = "2025-11-25"
	SSEVersion    = "2024-11-05"
)

// Config says what a server offers and how it behaves. The zero value is a server of both eras over Streamable HTTP with one tool, echo.
type Config struct {
	Name string `json:"name,omitempty"` // in serverInfo; default "fake"
	Era  Era    `json:"era,omitempty"`
	// SSE serves the HTTP+SSE transport of 2024-11-05 in place of Streamable HTTP.
	SSE bool `json:"sse,omitempty"`
	// ModernVersions and LegacyVersions are the revisions it accepts, newest first. Default: all that exist.
	ModernVersions []string `json:"modernVersions,omitempty"`
	LegacyVersions []string `json:"legacyVersions,omitempty"`

	Tools        []Raw  `json:"tools,omitempty"`
	Prompts      []Raw  `json:"prompts,omitempty"`
	Resources    []Raw  `json:"resources,omitempty"`
	Templates    []Raw  `json:"templates,omitempty"`
	Capabilities Raw    `json:"capabilities,omitempty"` // default: what the lists above make true, with listChanged
	Instructions string `json:"instructions,omitempty"`
	// PageSize is the number of items a list answer holds; 0 means all.
	PageSize int `json:"pageSize,omitempty"`

	// Events answers every request over HTTP as an event stream; otherwise only those that notify or ask first.
	Events bool `json:"events,omitempty"`
	// EventStyle says how event streams are written.
	EventStyle EventStyle `json:"eventStyle,omitzero"`
	// Chunk flushes HTTP bodies after every so many bytes; 0 never.
	Chunk int `json:"chunk,omitempty"`
	// NoSessions serves legacy HTTP without Mcp-Session-Id; NoGet answers GET with 405.
	NoSessions bool `json:"noSessions,omitempty"`
	NoGet      bool `json:"noGet,omitempty"`
	// Deaf accepts connections (stdio: reads its input) and never answers anything.
	Deaf bool `json:"deaf,omitempty"`
	// Greeting lines are written to standard output at start, before any answer; Complaint lines to standard error. Stdio only.
	Greeting  []Raw `json:"greeting,omitempty"`
	Complaint []Raw `json:"complaint,omitempty"`
	// IgnoreEOF and IgnoreTERM make a stdio server outlive the close of its input and SIGTERM; Grandchild makes it start a
	// process of its own that sleeps. Boot delays its first read.
	IgnoreEOF  bool     `json:"ignoreEOF,omitempty"`
	IgnoreTERM bool     `json:"ignoreTERM,omitempty"`
	Grandchild bool     `json:"grandchild,omitempty"`
	Boot       Duration `json:"boot,omitempty"`

	// Script is what happens to single requests. The first act that matches a request is played; none means the normal answer.
	Script []Act `json:"script,omitempty"`
}

// EventStyle varies what the event stream format (WHATWG HTML, server-sent events) leaves free.
type EventStyle struct {
	EOL      string `json:"eol,omitempty"`      // "\n" (default), "\r\n" or "\r"
	Comments bool   `json:"comments,omitempty"` // a comment line before each event
	NoSpace  bool   `json:"noSpace,omitempty"`  // "data:x" in place of "data: x"
	NoEvent  bool   `json:"noEvent,omitempty"`  // no "event: message" line
	IDs      bool   `json:"ids,omitempty"`      // an id line in each event, and a first event with empty data
	Split    bool   `json:"split,omitempty"`    // JSON over several data lines, where white space allows
}

// Act is what the server does with requests that match it.
type Act struct {
	// On is a tool's or prompt's name or a resource's URI, a method ("tools/list"), or both with a space between ("tools/call echo").
	On string `json:"on"`
	// Nth picks the n-th request that matches On, from 1; 0 means all.
	Nth int `json:"nth,omitempty"`

	// What is sent before the answer, in this order: junk lines (stdio only), progress, log messages, other messages as they are,
	// questions to the client.
	Junk     []Raw `json:"junk,omitempty"`
	Progress int   `json:"progress,omitempty"` // progress 1…n of n, if the request has a token
	Logs     int   `json:"logs,omitempty"`
	Before   []Raw `json:"before,omitempty"`
	Ask      []Ask `json:"ask,omitempty"`
	// State is the requestState that goes with Ask in the modern era; it is checked on retry. NoState sends none.
	State   string `json:"state,omitempty"`
	NoState bool   `json:"noState,omitempty"`
	// Gap is waited after each message before the answer, Delay once before all of them.
	Gap   Duration `json:"gap,omitempty"`
	Delay Duration `json:"delay,omitempty"`

	// The answer: a result, an error object, or a whole message in which «ID» stands for the request's id. All empty: the normal answer.
	Result  Raw `json:"result,omitempty"`
	Error   Raw `json:"error,omitempty"`
	Message Raw `json:"message,omitempty"`
	// Verbatim sends Result without adding resultType; Pad adds so many bytes of text to the normal answer of a tool.
	Verbatim bool `json:"verbatim,omitempty"`
	Pad      int  `json:"pad,omitempty"`
	// Late is the number of progress notifications sent after the answer, where the transport lets them out.
	Late int `json:"late,omitempty"`

	// Status, Type and Body replace the whole HTTP answer (Body: also the line on stdio). Header is added to it.
	Status int               `json:"status,omitempty"`
	Type   string            `json:"type,omitempty"`
	Body   Raw               `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	// Events forces the event stream form for this answer.
	Events bool  `json:"events,omitempty"`
	Fault  Fault `json:"fault,omitempty"`
}

// Ask is a request to the client: elicitation/create, sampling/createMessage or roots/list. In the legacy era it is sent as a request on
// the stream of the call (OnGet: on the session's GET stream), in the modern one it is an entry of input_required. In Params, «ARGUMENTS» stands
// for the arguments of the request.
type Ask struct {
	Method string `json:"method"`
	Params Raw    `json:"params,omitempty"`
	OnGet  bool   `json:"onGet,omitempty"`
}

// Fault is one way to fail. Messages that come before the answer are sent before the fault.
type Fault string

// The faults.
const (
	Hang     Fault = "hang"     // never answer
	Drop     Fault = "drop"     // close the connection in place of the answer
	CutBody  Fault = "cutBody"  // close the connection in the middle of the answer
	Truncate Fault = "truncate" // a complete HTTP answer, event or line that holds half of the JSON
	EndEarly Fault = "endEarly" // an event stream that ends properly without the answer
	WrongID  Fault = "wrongID"  // the answer of another request
	NoID     Fault = "noID"     // an answer with a null id
	Twice    Fault = "twice"    // the answer two times
	Empty    Fault = "empty"    // status 200 and no body; an empty line on stdio
	HTML     Fault = "html"     // status 500 and a page
	Crash    Fault = "crash"    // the process exits with status 3; over HTTP the port closes with all connections
	Forget   Fault = "forget"   // all sessions are forgotten first, this one too
)
