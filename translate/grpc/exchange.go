package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// exchange is one call on its way to the server and back.
type exchange struct {
	api     *API
	method  *method
	types   *types
	call    *catalog.Call
	args    *schema.Value
	timeout time.Duration
	secrets []string  // what went along; it never comes back to a model
	memory  room.Room // of what is answered

	messages        []*dynamicpb.Message // that are sent
	header, trailer metadata.MD
	peer            peer.Peer // of the connection that the call went out on, empty when it never did
}

// credential is the scheme under which a credential for the calls is configured.
const credential = "grpc"

func scheme() translate.SecurityScheme {
	return translate.SecurityScheme{Name: credential, Type: "http", HTTP: "bearer"}
}

// outgoing adds configured headers, the credential, what the caller gave and the trace to the metadata of a call.
func (a *API) outgoing(ctx context.Context, path string, given *schema.Value, c *catalog.Call) (context.Context, []string, error) {
	md := metadata.MD{}
	var secrets []string
	for name, values := range a.options.Headers {
		md[strings.ToLower(name)] = values
		secrets = append(secrets, values...)
	}
	if given.Is(schema.Object) {
		for _, m := range given.Members {
			md.Set(m.Key, m.Value.Text)
		}
	}
	if a.options.Credentials != nil && a.options.Credentials.Has(credential) {
		header, err := a.authorize(ctx, path, c.Owner)
		if err != nil {
			return nil, nil, err
		}
		for name, values := range header {
			md[strings.ToLower(name)] = values
			for _, v := range values {
				_, token, _ := strings.Cut(v, " ")
				secrets = append(secrets, v, token)
			}
		}
	}
	translate.Trace(c, func(name, value string) { md.Set(name, value) })
	if c.Hop != nil {
		if u, err := a.host(); err == nil {
			c.Hop.At(u)
		}
	}
	if len(md) == 0 {
		return ctx, nil, nil
	}
	return metadata.NewOutgoingContext(ctx, md), secrets, nil
}

// authorize asks for the credential of a call, in the form of HTTP, which carries it.
func (a *API) authorize(ctx context.Context, path, owner string) (http.Header, error) {
	u, err := a.host()
	if err != nil {
		return nil, err
	}
	u.Path = path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if err := a.options.Credentials.Authorize(ctx, r, scheme(), owner); err != nil {
		return nil, fmt.Errorf("no credential could be had: %w", err)
	}
	return r.Header, nil
}

// run sends the call and makes a result of whatever comes.
func (x *exchange) run(ctx context.Context) *translate.Result {
	for _, data := range x.method.encode(x.args) {
		m := dynamicpb.NewMessage(x.method.descriptor.Input())
		if err := x.types.read(data, m); err != nil {
			return translate.Failure("The call was not sent: " + schema.Shorten(plainError(err), 300) + ".")
		}
		x.messages = append(x.messages, m)
	}
	r, err := x.send(ctx)
	if status.Code(err) == codes.Unauthenticated && x.renew(ctx) {
		r, err = x.send(ctx) // the server did not run the call
	}
	if err != nil {
		return x.failure(ctx, err, r)
	}
	for _, note := range x.trailers() {
		r.AddText(note)
	}
	return r
}

// plainError is the text of an error of protojson without the words that name the library. They hold a space that varies on purpose.
func plainError(err error) string {
	text := strings.ReplaceAll(err.Error(), "\u00a0", " ")
	return strings.TrimPrefix(strings.TrimPrefix(text, "proto:"), " ")
}

func (x *exchange) renew(ctx context.Context) bool {
	c := x.api.options.Credentials
	return c != nil && c.Has(credential) && c.Renew(ctx, scheme(), x.call.Owner)
}

// send sends the messages. With an error, the result is what came before it, nil for nothing.
func (x *exchange) send(ctx context.Context) (result *translate.Result, err error) {
	var given *schema.Value
	if x.method.metadata != "" {
		given = x.args.Get(x.method.metadata)
	}
	out, secrets, err := x.api.outgoing(ctx, x.method.path, given, x.call)
	if err != nil {
		return nil, &unsentError{err}
	}
	x.secrets = secrets
	x.header, x.trailer, x.peer = nil, nil, peer.Peer{}
	options := []grpc.CallOption{grpc.Peer(&x.peer)}
	if len(x.api.spec.Trailers) > 0 {
		options = append(options, grpc.Header(&x.header), grpc.Trailer(&x.trailer))
	}
	conn := x.api.pool.next()
	d := x.method.descriptor
	// Whatever ends the collecting also ends the call.
	out, cancel := context.WithCancel(out)
	defer cancel()
	stream, err := conn.NewStream(out, &grpc.StreamDesc{ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()}, x.method.path, options...)
	if err != nil {
		return nil, err
	}
	if d.IsStreamingClient() {
		sent := make(chan error, 1)
		go func() {
			err := fault.Catch(x.api.options.Log, func() error { x.feed(stream); return nil }, "upstream", x.api.options.Upstream, "tool", x.method.Name)
			if sent <- err; err != nil {
				cancel() // the server waits for the rest
			}
		}()
		defer func() {
			cancel()
			if broken := <-sent; broken != nil {
				result, err = nil, broken
			}
		}()
	} else {
		x.feed(stream)
	}
	if d.IsStreamingServer() {
		return x.collect(ctx, stream)
	}
	if err := x.admit(ctx, stream); err != nil {
		return nil, err
	}
	reply, err := x.receive(ctx, stream)
	if err != nil {
		return nil, err
	}
	return x.single(ctx, reply)
}

// feed sends all messages; a stream that ended before tells receivers why.
func (x *exchange) feed(stream grpc.ClientStream) {
	for _, m := range x.messages {
		if stream.SendMsg(m) != nil {
			return
		}
	}
	_ = stream.CloseSend()
}

// unsentError is why a call was not even tried.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// single makes a result of one message.
func (x *exchange) single(ctx context.Context, m *dynamicpb.Message) (*translate.Result, error) {
	data, err := x.types.json(m)
	if err != nil {
		return translate.Failure("The API answered, but the answer cannot be written as JSON: " + plainError(err) + ". " + x.method.CarriedOut()), nil
	}
	if len(data) >= room.Large && x.memory.Take(ctx, x.memory.Held()+translate.Weight(data), room.Wait) != nil {
		return nil, room.ErrNone
	}
	return x.method.Output.Result(translate.Reply{Data: data, Typed: true, Args: x.args, Scrub: translate.Scrub(x.secrets)}), nil
}

// collect gathers the messages of a stream until it ends or a limit is met.
func (x *exchange) collect(ctx context.Context, stream grpc.ClientStream) (*translate.Result, error) {
	out := x.method.Output
	s := translate.Collector{Call: x.call, Name: messagesArgument, Limit: out.Bound(), Most: x.maxMessages()}
	var failed error
	for !s.Stopped() && failed == nil {
		m, err := x.receive(ctx, stream)
		switch {
		case errors.Is(err, io.EOF):
			return s.Result(translate.Scrub(x.secrets)), nil
		case err != nil && (ctx.Err() != nil || timeIsOver(ctx, err)):
			s.Stop(fmt.Sprintf("the time of %s is over", x.timeout))
			continue
		case err != nil:
			failed = err
			continue
		}
		data, err := x.types.json(m)
		if err != nil {
			s.Stop("a message cannot be written as JSON")
			continue
		}
		v, err := schema.Parse(data)
		if err != nil {
			s.Stop("a message cannot be used: " + err.Error())
			continue
		}
		s.Add(out.Pick(v, x.args), len(data))
	}
	if failed == nil {
		return s.Result(translate.Scrub(x.secrets)), nil
	}
	if s.Len() == 0 {
		return nil, failed
	}
	s.Stop("the call failed")
	return s.Result(translate.Scrub(x.secrets)), failed
}

func (x *exchange) maxMessages() int {
	if n := x.api.spec.MaxMessages; n > 0 {
		return n
	}
	return defaultMaxMessages
}

// trailers tells the response metadata that configuration names.
func (x *exchange) trailers() []string {
	if len(x.api.spec.Trailers) == 0 {
		return nil
	}
	all := maps.Clone(x.header)
	if all == nil {
		all = metadata.MD{}
	}
	maps.Copy(all, x.trailer)
	var lines []string
	for _, name := range x.api.spec.Trailers {
		if values := all.Get(name); len(values) > 0 {
			lines = append(lines, name+": "+schema.Shorten(schema.Clean(strings.Join(values, ", ")), 300))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	text := strings.Join(lines, "\n")
	if scrub := translate.Scrub(slices.Clone(x.secrets)); scrub != nil {
		text = scrub(text)
	}
	return []string{text}
}
