package grpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/catalog/room"
)

const (
	// decoded is how often a message is in memory until it is JSON: as it came, in one piece, decoded, and as JSON.
	decoded = 4
	// window is how much of an answer that nobody reads yet a server may send, and sharedWindow how much of all answers on a connection. grpc-go would let
	// both grow to 16 MiB.
	window       = 64 << 10
	sharedWindow = 16 << 20
)

// incoming is a message on its way in.
type incoming struct {
	*dynamicpb.Message
	ctx    context.Context //nolint:containedctx // of the one call
	memory *room.Room
	size   int
	err    error // why it was not decoded
}

// codec takes the memory for a message before it is decoded. grpc-go has all of it by then: see [exchange.admit].
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Name is that of the default, which goes without saying in the content type.
func (codec) Name() string { return "" }

// Unmarshal implements [encoding.CodecV2].
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	in.size = data.Len()
	if in.err = in.memory.Take(in.ctx, decoded*int64(in.size), room.Wait); in.err != nil {
		return in.err
	}
	return c.CodecV2.Unmarshal(data, in.Message)
}

// receive reads the next message. Where the memory for it is not there, the error is [room.ErrNone].
func (x *exchange) receive(ctx context.Context, stream grpc.ClientStream) (*dynamicpb.Message, error) {
	in := incoming{Message: dynamicpb.NewMessage(x.method.descriptor.Output()), ctx: ctx, memory: &x.memory}
	err := stream.RecvMsg(&in)
	if in.err != nil {
		return nil, in.err
	}
	if in.size > 0 {
		x.method.small.Store(decoded*in.size < room.Large)
	}
	return in.Message, err
}

// admit lets the one answer of a call in when there is room for the largest one, or it is its turn. grpc-go takes a message as a whole, and says how long it is when all
// of it is there; until somebody asks for it no more than window comes. An answer of a method whose last one was small comes at once.
func (x *exchange) admit(ctx context.Context, stream grpc.ClientStream) error {
	if x.api.options.Memory == nil || x.method.small.Load() {
		return nil
	}
	if _, err := stream.Header(); err != nil { // the server begins to answer
		return err
	}
	return x.memory.Enter(ctx, decoded*int64(x.api.spec.maxBody()))
}
