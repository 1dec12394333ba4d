package grpc

import (
	"strings"

	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // the types of error details
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"weir/catalog/rawjson"
)

// types finds messages and extensions: those of the description, then those that protobuf and error details bring.
type types struct{ *dynamicpb.Types }

func newTypes(d *description) *types { return &types{dynamicpb.NewTypes(d.files)} }

// FindMessageByName implements protoregistry.MessageTypeResolver.
func (t *types) FindMessageByName(name protoreflect.FullName) (protoreflect.MessageType, error) {
	m, err := t.Types.FindMessageByName(name)
	if err == nil || !strings.HasPrefix(string(name), wellKnown) && !strings.HasPrefix(string(name), "google.rpc.") {
		return m, err
	}
	return protoregistry.GlobalTypes.FindMessageByName(name)
}

// FindMessageByURL implements protoregistry.MessageTypeResolver.
func (t *types) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	return t.FindMessageByName(protoreflect.FullName(url[strings.LastIndexByte(url, '/')+1:]))
}

// opaque resolves every type that nobody describes to BytesValue, whose form in JSON is the value alone: an Any of it is
// {"@type": …, "value": base64}. What stands in its place on the wire has to be put in and taken out: see conceal and reveal.
type opaque struct{ *types }

// FindMessageByURL implements protoregistry.MessageTypeResolver.
func (o opaque) FindMessageByURL(url string) (protoreflect.MessageType, error) {
	if m, err := o.types.FindMessageByURL(url); err == nil {
		return m, nil
	}
	return (*wrapperspb.BytesValue)(nil).ProtoReflect().Type(), nil
}

// maxAny bounds how deep messages are looked for in others.
const maxAny = 32

// json writes a message by the JSON mapping, compact. Contents of unknown types are written as bytes; m may be changed for it.
func (t *types) json(m protoreflect.Message) ([]byte, error) {
	data, err := protojson.MarshalOptions{Resolver: t, AllowPartial: true}.Marshal(m.Interface())
	if err != nil {
		if !t.change(m, conceal, 0) {
			return nil, err
		}
		if data, err = (protojson.MarshalOptions{Resolver: opaque{t}, AllowPartial: true}).Marshal(m.Interface()); err != nil {
			return nil, err
		}
	}
	return rawjson.Compact(data[:0], data), nil
}

// read reads a message in the JSON mapping.
func (t *types) read(data []byte, m protoreflect.Message) error {
	err := protojson.UnmarshalOptions{Resolver: t}.Unmarshal(data, m.Interface())
	if err == nil {
		return nil
	}
	proto.Reset(m.Interface())
	if (protojson.UnmarshalOptions{Resolver: opaque{t}}).Unmarshal(data, m.Interface()) != nil {
		return err
	}
	t.change(m, reveal, 0)
	return nil
}

// conceal puts bytes into a BytesValue, reveal takes them out.
func conceal(data []byte) ([]byte, error) { return proto.Marshal(wrapperspb.Bytes(data)) }

func reveal(data []byte) ([]byte, error) {
	v := new(wrapperspb.BytesValue)
	err := proto.Unmarshal(data, v)
	return v.GetValue(), err
}

// change applies f to the contents of unknown types wherever m holds them, and reports whether there were any.
func (t *types) change(m protoreflect.Message, f func([]byte) ([]byte, error), depth int) bool {
	if depth > maxAny {
		return false
	}
	if m.Descriptor().FullName() == wellKnown+"Any" {
		return t.changeAny(m, f, depth)
	}
	found := false
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
					found = t.change(e.Message(), f, depth+1) || found
					return true
				})
			}
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				found = t.change(v.List().Get(i).Message(), f, depth+1) || found
			}
		default:
			found = t.change(m.Mutable(field).Message(), f, depth+1) || found
		}
		return true
	})
	return found
}

func (t *types) changeAny(m protoreflect.Message, f func([]byte) ([]byte, error), depth int) bool {
	url, value := m.Descriptor().Fields().ByNumber(1), m.Descriptor().Fields().ByNumber(2)
	if url == nil || value == nil || m.Get(url).String() == "" {
		return false
	}
	data := m.Get(value).Bytes()
	if kind, err := t.FindMessageByURL(m.Get(url).String()); err == nil {
		inner := kind.New()
		if (proto.UnmarshalOptions{AllowPartial: true}).Unmarshal(data, inner.Interface()) != nil || !t.change(inner, f, depth+1) {
			return false
		}
		f = func([]byte) ([]byte, error) {
			return proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(inner.Interface())
		}
	}
	changed, err := f(data)
	if err != nil {
		return false
	}
	m.Set(value, protoreflect.ValueOfBytes(changed))
	return true
}
