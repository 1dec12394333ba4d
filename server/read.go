package server

import (
	"context"
	"encoding/base64"
	"strings"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy/guard"
)

// What one call may have read. The bytes are those of the answers; what is sent of them is a third smaller where it is binary.
const (
	maxReads     = 20
	maxReadBytes = 16 << 20
)

// reading is what a request's call has read so far.
type reading struct {
	gateway *Gateway   // that the call goes through
	use     guard.Use  // what the guards were asked about the call; zero where there are none
	inside  bool       // the request is itself such a reading: nobody can be asked
	of      *guard.Use // use of the call that such a reading is for
	reads   int
	bytes   int
}

// ReadResource implements catalog.ResourceReader: a resources/read of the request's own caller, through the same gateway. Names, policy, limits and the
// record are those of a request from outside. Nobody is asked anything on the way: the client waits for the answer of another request.
func (r *Request) ReadResource(ctx context.Context, uri string) (catalog.Content, error) {
	if r.reads++; r.reads > maxReads {
		return catalog.Content{}, catalog.Errorf(catalog.TooLarge, "a call names at most %d resources", maxReads)
	}
	data := append(rawjson.AppendString([]byte(`{"jsonrpc":"2.0","id":0,"method":"resources/read","params":{"uri":`), uri), "}}"...)
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, data); err != nil {
		return catalog.Content{}, &catalog.Error{Code: catalog.Invalid, Msg: "it is no URI", Err: err}
	}
	inner := &Request{
		Principal: r.Principal, Client: r.Client, Message: m, Token: r.Token, Address: r.Address, Session: r.Session, reading: reading{inside: true, of: &r.use},
	}
	if r.Ask != nil {
		inner.Ask = refuseInside
	}
	reply := r.gateway.Serve(ctx, inner)
	defer reply.Release()
	if r.bytes += reply.Len(); r.bytes > maxReadBytes {
		return catalog.Content{}, catalog.Errorf(catalog.TooLarge, "the resources that a call names may have %d MiB in all", maxReadBytes>>20)
	}
	return contentOf(reply.Append(nil))
}

// refuseInside is the Ask of a reading.
func refuseInside(_ context.Context, r catalog.Request) ([]byte, error) {
	return nil, lackOf(false, "{}").refusal(r.Method)
}

// contentOf takes the one content out of a reply to resources/read.
func contentOf(reply []byte) (content catalog.Content, err error) {
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, reply); err != nil {
		return content, &catalog.Error{Code: catalog.Internal, Msg: "the upstream's answer cannot be read", Err: err}
	}
	if m.Kind == rawjson.Error {
		return content, refusedReading(m.Error.Of(reply))
	}
	result := m.Result.Of(reply)
	if wantsInput(m) {
		return content, catalog.Errorf(catalog.Invalid, "it is given only after a question to the user; read it first and give what it holds")
	}
	f, err := rawjson.Fields(result, "contents")
	if err != nil || f[0].Absent() {
		return content, catalog.Errorf(catalog.Invalid, "its upstream answered without contents")
	}
	list := f[0].Of(result)
	var parts [][]byte
	if err := rawjson.Elements(list, func(v rawjson.Span) bool {
		parts = append(parts, v.Of(list))
		return len(parts) <= maxReads
	}); err != nil {
		return content, catalog.Errorf(catalog.Invalid, "its upstream answered without contents")
	}
	if len(parts) != 1 {
		return content, severalParts(parts)
	}
	return partOf(parts[0])
}

// partOf reads one of the contents: text, or a blob in base64 (spec 2026-07-28, server/resources).
func partOf(part []byte) (content catalog.Content, err error) {
	f, err := rawjson.Fields(part, "mimeType", "text", "blob")
	if err != nil {
		return content, catalog.Errorf(catalog.Invalid, "its upstream answered without contents")
	}
	content.MimeType, _ = rawjson.String(f[0].Of(part))
	if text, ok := rawjson.String(f[1].Of(part)); ok {
		content.Data = []byte(text)
		return content, nil
	}
	blob, ok := rawjson.String(f[2].Of(part))
	if !ok {
		return content, catalog.Errorf(catalog.Invalid, "its upstream gives neither text nor a blob")
	}
	if content.Data, err = base64.StdEncoding.DecodeString(blob); err != nil {
		return content, &catalog.Error{Code: catalog.Invalid, Msg: "its upstream gives a blob that is not base64", Err: err}
	}
	return content, nil
}

// severalParts says of a resource that is a folder, or nothing, which of its parts can be named instead.
func severalParts(parts [][]byte) error {
	if len(parts) == 0 {
		return catalog.Errorf(catalog.Invalid, "it holds nothing")
	}
	const most = 5
	var names []string
	for _, part := range parts[:min(len(parts), most)] {
		if f, err := rawjson.Fields(part, "uri"); err == nil {
			if uri, ok := rawjson.String(f[0].Of(part)); ok {
				names = append(names, uri)
			}
		}
	}
	return catalog.Errorf(catalog.Invalid, "it holds several contents; name one of them: %s", strings.Join(names, ", "))
}

// refusedReading is the error of a reading that came to a JSON-RPC error.
func refusedReading(object []byte) error {
	text := "its upstream answered with an error"
	if f, err := rawjson.Fields(object, "message"); err == nil {
		if s, ok := rawjson.String(f[0].Of(object)); ok && s != "" {
			text = s
		}
	}
	return catalog.Errorf(catalog.Invalid, "%s", strings.ReplaceAll(text, "\n", "; "))
}
