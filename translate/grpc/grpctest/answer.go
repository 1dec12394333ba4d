package grpctest

import (
	"errors"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

func set(m protoreflect.Message, name string, v any) {
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOf(v))
}

func (s *Server) answer(m protoreflect.MethodDescriptor, in *dynamicpb.Message, stream grpc.ServerStream) error {
	out := dynamicpb.NewMessage(m.Output())
	switch m.Name() {
	case "Hello", "Old":
		if field(in, "first_name").String() == "wait" {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		stream.SetTrailer(metadata.Pairs("x-request-id", "r-17"))
		set(out, "message", "Hello "+field(in, "first_name").String())
		set(out, "number", field(in, "number").Int())
	case "Fail":
		return fail(in)
	case "Count":
		return s.count(in, m, stream)
	case "Sum":
		total := int64(0)
		for {
			n := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(n); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return err
			}
			total += field(n, "n").Int()
		}
		set(out, "n", total)
	case "Echo":
		for {
			n := dynamicpb.NewMessage(m.Input())
			if err := stream.RecvMsg(n); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(n); err != nil {
				return err
			}
		}
	case "Touch":
		set(out, "seconds", int64(1767323045))
	default:
		out = in
	}
	return stream.SendMsg(out)
}

func (s *Server) count(in *dynamicpb.Message, m protoreflect.MethodDescriptor, stream grpc.ServerStream) error {
	for i := range field(in, "to").Int() {
		if after := field(in, "fail_after").Int(); after > 0 && i == after {
			return status.Error(codes.DataLoss, "no more numbers")
		}
		out := dynamicpb.NewMessage(m.Output())
		set(out, "n", int32(i+1))
		set(out, "padding", make([]byte, field(in, "padding").Int()))
		s.Sent.Add(int64(proto.Size(out)))
		if err := stream.SendMsg(out); err != nil {
			return err
		}
	}
	if field(in, "wait").Bool() {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	return nil
}

// fail answers with the status that it was asked for, with all details that are told when asked for too.
func fail(in *dynamicpb.Message) error {
	st := status.New(codes.Code(field(in, "code").Int()), field(in, "message").String())
	if !field(in, "details").Bool() {
		return st.Err()
	}
	st, err := st.WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "fail_after", Description: "is too large"}, {Field: "code", Description: "is odd."}}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(5 * time.Second)},
		&errdetails.ErrorInfo{Reason: "TOO_ODD", Domain: "weir.test", Metadata: map[string]string{"limit": "7"}},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "project:7", Description: "10 a day"}}},
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "TOS", Subject: "weir.test", Description: "not accepted"}}},
		&errdetails.ResourceInfo{ResourceType: "book", ResourceName: "b/7", Description: "is gone"},
		&errdetails.Help{Links: []*errdetails.Help_Link{{Description: "see", Url: "https://weir.test/help"}}},
		&errdetails.LocalizedMessage{Locale: "en", Message: "That is odd."},
		&errdetails.DebugInfo{StackEntries: []string{"secret stack"}},
	)
	if err != nil {
		return err
	}
	return st.Err()
}
