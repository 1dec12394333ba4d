package grpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"weir/catalog/fault"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

const (
	// maxFailure bounds what is passed on of the details of a failure, in bytes.
	maxFailure = 4 << 10
	maxDetails = 16
	// maxMessage bounds the words of a server about a failure, in bytes.
	maxMessage = 1000
)

// failure makes a result of a call that did not end well: what happened, what the server says about it, which argument it names, and whether
// another try makes sense. before is what came until then, nil for nothing.
func (x *exchange) failure(ctx context.Context, err error, before *translate.Result) *translate.Result {
	text := x.failureText(ctx, err)
	if scrub := translate.Scrub(x.secrets); scrub != nil {
		text = scrub(text)
	}
	if before == nil {
		before = &translate.Result{}
	}
	before.AddText(text)
	before.Fail()
	for _, note := range x.trailers() {
		before.AddText(note)
	}
	return before
}

func (x *exchange) failureText(ctx context.Context, err error) string {
	if unsent, ok := errors.AsType[*unsentError](err); ok {
		return "The call was not sent: " + unsent.Error() + "."
	}
	if p, ok := errors.AsType[*fault.PanicError](err); ok {
		return "The call failed by weir's own fault: " + p.Error() + ". " + x.method.Unknown()
	}
	s := status.Convert(err)
	switch {
	case errors.Is(err, room.ErrNone) && ctx.Err() == nil:
		return "The API answered, but the answer cannot be used: " + translate.NoMemory + ". " + x.method.TooLarge("")
	case timeIsOver(ctx, err):
		return x.method.Silent(x.timeout)
	case s.Code() == codes.Unavailable && x.peer.Addr == nil:
		x.log(err)
		if short := x.api.pool.shortage(); short != nil {
			return translate.Short(short)
		}
		return translate.Unreachable
	case s.Code() == codes.ResourceExhausted && strings.HasPrefix(s.Message(), "grpc: received message"):
		return fmt.Sprintf("The API answered, but the answer cannot be used: it is longer than %s. ", translate.Bytes(x.api.spec.maxBody())) + x.method.TooLarge("")
	case s.Code() == codes.Unavailable && broken(s.Message()):
		x.log(err)
		return x.method.Broken()
	case foreign(err):
		return "The API did not carry out the call: " + notGRPC + "."
	case s.Code() == codes.Unimplemented:
		select { // the description may be an old one
		case x.api.stale <- struct{}{}:
		default:
		}
	}
	return x.said(s)
}

// notGRPC is said of a server that answers HTTP and nothing of gRPC.
const notGRPC = "what listens there does not speak gRPC; the address in the configuration may be that of something else, or of Connect or gRPC-Web alone"

// foreign reports whether an answer is one of HTTP and not of gRPC. Those that proxies give for a server that is gone, and refusals for a credential, have
// codes of their own.
func foreign(err error) bool {
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unknown, codes.Unimplemented, codes.Internal:
		return strings.HasPrefix(s.Message(), "unexpected HTTP status code received from server")
	default:
		return false
	}
}

// timeIsOver reports whether a call ended because its own time did: the server's word about it may come before the own clock's.
func timeIsOver(ctx context.Context, err error) bool {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && status.Code(err) == codes.DeadlineExceeded && time.Until(deadline) < clockSkew
}

// clockSkew is by how much two looks at one deadline may differ.
const clockSkew = 100 * time.Millisecond

// log tells people more than models get.
func (x *exchange) log(err error) {
	text := err.Error()
	if scrub := translate.Scrub(x.secrets); scrub != nil {
		text = scrub(text)
	}
	x.api.options.Log.Warn("a call got no answer", "upstream", x.api.options.Upstream, "tool", x.method.Name, "error", text)
}

// broken reports whether an Unavailable is the client's own word about the connection, with which servers' words about themselves share the code.
func broken(message string) bool {
	for _, own := range [...]string{"error reading from server", "connection error", "transport is closing", "the connection is draining", "closing transport", "keepalive"} {
		if strings.Contains(message, own) {
			return true
		}
	}
	return false
}

// said writes a status for a model.
func (x *exchange) said(s *status.Status) string {
	var b strings.Builder
	b.WriteString("The API answered " + codeName(s.Code()))
	if message := schema.Shorten(schema.Clean(s.Message()), maxMessage); message != "" {
		b.WriteString(": " + strings.TrimRight(message, "."))
	}
	b.WriteString(".")
	wait := ""
	for i, d := range s.Proto().GetDetails() {
		if i == maxDetails || b.Len() > maxFailure {
			break
		}
		text, retry := x.detail(d)
		if retry != "" {
			wait = retry
		}
		if text != "" {
			b.WriteString(" " + schema.Shorten(text, maxFailure/2))
		}
	}
	if wait != "" {
		b.WriteString(" Try again in " + wait + ".")
	} else if text := advice(s.Code()); text != "" {
		b.WriteString(" " + text)
	}
	return b.String()
}

// codeName is the name of a code as the protocol writes it.
func codeName(c codes.Code) string {
	return [...]string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
		fmt.Sprintf("code %d", uint32(c)),
	}[min(int(c), 17)]
}

// advice says what to do about a code.
func advice(c codes.Code) string {
	switch c {
	case codes.InvalidArgument, codes.OutOfRange:
		return "Change the arguments; the same call will fail again."
	case codes.NotFound:
		return "Check the arguments that name what you look for."
	case codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		return "Read the current state before another try."
	case codes.PermissionDenied:
		return "The credentials of this API do not allow this; another try will not help."
	case codes.Unauthenticated:
		return "The credentials of this API are missing or refused; that is a matter of configuration, not of the arguments."
	case codes.ResourceExhausted:
		return "Too many calls, or a quota is used up: wait before the next one."
	case codes.Unavailable:
		return translate.TryLater
	case codes.Unimplemented:
		return "The API does not have this method; another try will not help."
	case codes.DeadlineExceeded, codes.Canceled:
		return "It is not known whether the call had an effect."
	case codes.Internal, codes.Unknown, codes.DataLoss:
		return "The fault is on the side of the API; it is not known whether the call had an effect."
	default:
		return ""
	}
}

// detail writes one detail of a status (google.rpc error details) for a model. retry is how long to wait. What only helps the developers of
// the server is left out.
func (x *exchange) detail(d *anypb.Any) (text, retry string) {
	m := knownDetail(d)
	switch m := m.(type) {
	case *errdetails.BadRequest:
		return x.violations(m), ""
	case *errdetails.RetryInfo:
		return "", pause(m.GetRetryDelay())
	case *errdetails.ErrorInfo:
		return errorInfo(m), ""
	case *errdetails.QuotaFailure:
		var parts []string
		for _, v := range m.GetViolations() {
			parts = append(parts, clip(v.GetSubject()+": "+v.GetDescription()))
		}
		return sentence("Quota", parts), ""
	case *errdetails.PreconditionFailure:
		var parts []string
		for _, v := range m.GetViolations() {
			parts = append(parts, clip(strings.TrimSpace(v.GetType()+" "+v.GetSubject()+": "+v.GetDescription())))
		}
		return sentence("Not met", parts), ""
	case *errdetails.ResourceInfo:
		return sentence("Resource", []string{clip(strings.TrimSpace(m.GetResourceType() + " " + m.GetResourceName() + " " + m.GetDescription()))}), ""
	case *errdetails.Help:
		var parts []string
		for _, l := range m.GetLinks() {
			parts = append(parts, clip(l.GetDescription()+" "+l.GetUrl()))
		}
		return sentence("Help", parts), ""
	case *errdetails.LocalizedMessage:
		return clip(m.GetMessage()) + ".", ""
	case *errdetails.DebugInfo, *errdetails.RequestInfo:
		return "", ""
	}
	return x.otherDetail(d), ""
}

func knownDetail(d *anypb.Any) proto.Message {
	if !strings.Contains(d.GetTypeUrl(), "/google.rpc.") {
		return nil
	}
	m, err := d.UnmarshalNew()
	if err != nil {
		return nil
	}
	return m
}

// otherDetail writes a detail of a type of the API itself as JSON, and one that nobody describes as its type and bytes.
func (x *exchange) otherDetail(d *anypb.Any) string {
	data, err := x.types.json(proto.Clone(d).ProtoReflect())
	if err != nil {
		return ""
	}
	v, err := schema.Parse(data)
	if err != nil {
		return ""
	}
	short, _ := translate.Shrink(v, maxFailure/4)
	return short.JSON()
}

// violations names the arguments that the server refuses, as the model knows them.
func (x *exchange) violations(m *errdetails.BadRequest) string {
	var parts []string
	for i, v := range m.GetFieldViolations() {
		if i == maxSaid {
			break
		}
		parts = append(parts, "`"+x.argumentName(v.GetField())+"`: "+clip(v.GetDescription()))
	}
	return sentence("Refused", parts)
}

// argumentName brings the name of a field into the form of the arguments: user.first_name is userName.firstName.
func (x *exchange) argumentName(path string) string {
	path = schema.Shorten(schema.Clean(path), 200)
	first, rest, deeper := strings.Cut(path, ".")
	first, index, _ := strings.Cut(first, "[")
	for _, a := range x.method.arguments {
		if a.field == nil || a.field.TextName() != first && a.field.JSONName() != first {
			continue
		}
		name := a.Name
		if index != "" {
			name += "[" + index
		}
		if deeper {
			name += "." + rest
		}
		return name
	}
	return path
}

func errorInfo(m *errdetails.ErrorInfo) string {
	parts := []string{"Reason " + clip(m.GetReason())}
	if m.GetDomain() != "" {
		parts[0] += " of " + clip(m.GetDomain())
	}
	for i, k := range slices.Sorted(maps.Keys(m.GetMetadata())) {
		if i == 8 {
			break
		}
		parts = append(parts, clip(k)+" "+clip(m.GetMetadata()[k]))
	}
	return strings.Join(parts, ", ") + "."
}

// clip makes words of a server fit for a sentence.
func clip(s string) string {
	return strings.TrimRight(schema.Shorten(schema.Clean(s), 300), ". ")
}

func sentence(word string, parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	return word + ": " + strings.Join(parts, "; ") + "."
}

// pause is a delay in words, "" for none.
func pause(d *durationpb.Duration) string {
	if d == nil || d.CheckValid() != nil || d.AsDuration() < 0 {
		return ""
	}
	return d.AsDuration().String()
}
