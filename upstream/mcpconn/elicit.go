package mcpconn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// questionError says that a server asks for what it must not ask users for. Whoever is asked sees the gateway's name and trusts that.
type questionError struct{ reason string }

func (e *questionError) Error() string { return e.reason }

// credentialError is that of a form which asks for a credential: what is typed into a form passes through the client (spec 2026-07-28, client/elicitation).
func credentialError(field string) error {
	return &questionError{fmt.Sprintf("the server asks for a credential in a form (%q); it may only ask for one behind a URL", field)}
}

// pass passes a request of the server to the client by ask.
func (c *Conn) pass(ctx context.Context, ask func(context.Context, catalog.Request) ([]byte, error), r catalog.Request) ([]byte, error) {
	r, err := c.attributed(r)
	if err != nil {
		return nil, err
	}
	return ask(ctx, r)
}

// refusedInput is the error of a call that could only go on with what the server must not ask for.
func (c *Conn) refusedInput(call *catalog.Call, err error) *catalog.Error {
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: %v", call.Entry.Ref, err), Execution: catalog.NotExecuted, Err: err,
		Hint: "give the server its credentials and elicitationHosts in the configuration: weir help config",
	}
}

// attributed is a request of the server as it reaches the client: an elicitation begins with the server's name, because a client shows the gateway's.
// What asks for a credential in a form, or sends users where they must not go, is a *questionError.
func (c *Conn) attributed(r catalog.Request) (catalog.Request, error) {
	edit, err := c.attribution(r.Method, r.Params)
	if err != nil || edit == nil {
		return r, err
	}
	r.Params = rawjson.Splice(nil, r.Params, rawjson.Span{End: len(r.Params)}, *edit)
	return r, nil
}

// attribution is what is to be changed in the params of a request, nil for nothing.
func (c *Conn) attribution(method string, params []byte) (*rawjson.Edit, error) {
	if method != "elicitation/create" {
		return nil, nil
	}
	return c.elicitation(params, false)
}

// elicitation is what is to be changed in the params of an elicitation; visit says that it is one to a URL, whatever its mode.
func (c *Conn) elicitation(params []byte, visit bool) (*rawjson.Edit, error) {
	f, err := rawjson.Fields(params, "message", "mode", "requestedSchema", "url")
	if err != nil {
		return nil, nil //nolint:nilerr // the client says what is wrong with it
	}
	if mode, _ := rawjson.String(f[1].Of(params)); visit || mode == "url" {
		if err := c.visit(f[3].Of(params)); err != nil {
			return nil, err
		}
	} else if field := credentialIn(f[2].Of(params)); field != "" {
		return nil, credentialError(field)
	}
	if _, ok := rawjson.String(f[0].Of(params)); !ok {
		return nil, nil
	}
	at := f[0].Start + 1 // behind the quote; a name needs no escapes
	return &rawjson.Edit{Span: rawjson.Span{Start: at, End: at}, With: []byte(c.name + ": ")}, nil
}

// attributeInput does the same with the requests of an input_required result.
func (c *Conn) attributeInput(m *rawjson.Message) error {
	result := m.Result.Of(m.Data)
	f, err := rawjson.Fields(result, "inputRequests")
	if err != nil || f[0].Absent() {
		return nil //nolint:nilerr // the client says what is wrong with it
	}
	requests := f[0].Of(result)
	return c.attributeAll(m, m.Result.Start+f[0].Start, false, func(each func([]byte, int) bool) {
		_ = rawjson.Members(requests, func(_ []byte, _, value rawjson.Span) bool {
			obj := value.Of(requests)
			q, err := rawjson.Fields(obj, "method", "params")
			if err != nil || q[1].Absent() {
				return true
			}
			if method, _ := rawjson.String(q[0].Of(obj)); method != "elicitation/create" {
				return true
			}
			return each(q[1].Of(obj), value.Start+q[1].Start)
		})
	})
}

// attributeAll attributes the elicitations that all hands to its argument, with where they stand behind base in the message.
func (c *Conn) attributeAll(m *rawjson.Message, base int, visit bool, all func(each func(params []byte, at int) bool)) error {
	var edits []rawjson.Edit
	var fault error
	all(func(params []byte, at int) bool {
		var edit *rawjson.Edit
		if edit, fault = c.elicitation(params, visit); edit != nil {
			edits = append(edits, rawjson.Edit{Span: rawjson.Span{Start: base + at + edit.Start, End: base + at + edit.End}, With: edit.With})
		}
		return fault == nil
	})
	if fault != nil || len(edits) == 0 {
		return fault
	}
	return rawjson.Scan(m, rawjson.Splice(nil, m.Data, rawjson.Span{End: len(m.Data)}, edits...))
}

// credentialIn is a field of a form that asks for a credential, "" for none.
func credentialIn(schema []byte) (field string) {
	f, err := rawjson.Fields(schema, "properties")
	if err != nil || f[0].Absent() {
		return ""
	}
	properties := f[0].Of(schema)
	_ = rawjson.Members(properties, func(key []byte, _, value rawjson.Span) bool {
		name := string(key)
		obj := value.Of(properties)
		p, err := rawjson.Fields(obj, "title", "format")
		if err != nil {
			return true
		}
		title, _ := rawjson.String(p[0].Of(obj))
		format, _ := rawjson.String(p[1].Of(obj))
		if format == "password" || credential(name) || credential(title) {
			field = name
		}
		return field == ""
	})
	return field
}

// credential reports whether a name is that of a credential. Its last word says what a thing is: clientSecret is a secret, secretName is a name.
func credential(name string) bool {
	w := words(name)
	if n := len(w); n > 1 && w[n-1] == "value" {
		w = w[:n-1]
	}
	if len(w) == 0 {
		return false
	}
	last := w[len(w)-1]
	switch last {
	case "password", "passwd", "passphrase", "passcode", "secret", "credential", "credentials", "apikey", "cvv", "cvc":
		return true
	case "token":
		return len(w) == 1 || slices.Contains([]string{"access", "api", "auth", "bearer", "id", "refresh", "session", "secret"}, w[len(w)-2])
	case "key":
		return len(w) > 1 && slices.Contains([]string{"access", "api", "private", "secret", "ssh"}, w[len(w)-2])
	}
	return false
}

// words are the words of a name in small letters: apiKey, api_key and "API key" have the same.
func words(name string) []string {
	var b strings.Builder
	var before rune
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
