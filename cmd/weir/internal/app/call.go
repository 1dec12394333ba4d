package app

import (
	"bytes"
	"context"
	"errors"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
)

// Outcome is how a request of Call ended: the raw result, and the code of weir's own failure, "" when the upstream answered.
type Outcome struct {
	Result []byte
	Code   catalog.Code
}

// Call calls a tool as the local user, through the same line as any client. name is a public or a unique bare name, arguments a raw object.
func (a *App) Call(ctx context.Context, name string, arguments []byte) (Outcome, error) {
	data := rawjson.AppendString([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`), name)
	data = append(append(data, `,"arguments":`...), arguments...)
	data = append(data, `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},`+
		`"io.modelcontextprotocol/clientInfo":{"name":"weir call","version":`...)
	data = append(rawjson.AppendString(data, a.env.Version), `}}}}`...)
	var m rawjson.Message
	if err := rawjson.Scan(&m, data); err != nil {
		return Outcome{}, &catalog.Error{Code: catalog.Invalid, Msg: "arguments: " + err.Error(), Err: err}
	}
	// A gateway of its own over the same parts hears how this one request ended.
	var event server.Event
	g := a.newGateway(tap{a.observation.observer(), func(e *server.Event) { event = *e }})
	defer g.Close()
	client, refused := g.ModernClient(&m)
	if refused != nil {
		return Outcome{}, errors.New("call: the gateway does not know its own revision")
	}
	reply := g.Serve(ctx, &server.Request{
		Principal: policy.LocalUser(), Client: client, Message: &m, Notify: func(catalog.Notification) {},
	})
	defer reply.Release()
	return read(reply, codeOf(event.Outcome))
}

// codeOf is the code in an event's outcome, "" when the upstream answered.
func codeOf(outcome string) catalog.Code {
	switch outcome {
	case "ok", "tool_error", "rpc_error":
		return ""
	}
	return catalog.Code(outcome)
}

// read takes a reply apart.
func read(reply *server.Reply, code catalog.Code) (Outcome, error) {
	var b bytes.Buffer
	if _, err := reply.WriteTo(&b); err != nil {
		return Outcome{}, err
	}
	f, err := rawjson.Fields(b.Bytes(), "result", "error")
	if err != nil {
		return Outcome{}, err
	}
	if !f[0].Absent() {
		return Outcome{Result: f[0].Of(b.Bytes()), Code: code}, nil
	}
	raw := f[1].Of(b.Bytes())
	e := &catalog.Error{Code: code, Msg: string(raw)}
	if e.Code == "" {
		e.Code = catalog.Internal // a JSON-RPC error of the upstream's own
	}
	if m, err := rawjson.Fields(raw, "message"); err == nil {
		if text, ok := rawjson.String(m[0].Of(raw)); ok {
			e.Msg = text
		}
	}
	return Outcome{}, e
}
