package grpc

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate"
)

// TestMapping is the JSON mapping of protobuf as a table: type, presence and edge value. Each row goes through the check of arguments, onto the
// wire and back. Where a row is taken, the wire is what protojson makes of the same text, and the JSON is what the published mapping says.
func TestMapping(t *testing.T) {
	const (
		strict  = "refused, though protojson takes it"
		lenient = "taken, though protojson refuses it"
	)
	tests := []struct {
		arguments string
		want      string // "" for a refusal
		differs   string // from protojson
	}{
		// double, float
		{`{"fDouble":0}`, `{}`, ""},
		{`{"fDouble":-0.0}`, `{"fDouble":-0}`, ""},
		{`{"fDouble":1.5}`, `{"fDouble":1.5}`, ""},
		{`{"fDouble":-1e308}`, `{"fDouble":-1e+308}`, ""},
		{`{"fDouble":5e-324}`, `{"fDouble":5e-324}`, ""},
		{`{"fDouble":"1.5"}`, `{"fDouble":1.5}`, ""},
		{`{"fDouble":"NaN"}`, `{"fDouble":"NaN"}`, ""},
		{`{"fDouble":"Infinity"}`, `{"fDouble":"Infinity"}`, ""},
		{`{"fDouble":"-Infinity"}`, `{"fDouble":"-Infinity"}`, ""},
		{`{"fDouble":1e309}`, ``, ""},
		{`{"fDouble":"x"}`, ``, ""},
		{`{"fDouble":"nan"}`, ``, ""},
		{`{"fDouble":true}`, ``, ""},
		{`{"fFloat":3.4e38}`, `{"fFloat":3.4e+38}`, ""},
		{`{"fFloat":3.5e38}`, ``, ""},
		{`{"fFloat":"-Infinity"}`, `{"fFloat":"-Infinity"}`, ""},
		{`{"oDouble":0}`, `{"oDouble":0}`, ""},
		{`{"rDouble":[0,"NaN",1e2]}`, `{"rDouble":[0,"NaN",100]}`, ""},
		// 32-bit integers
		{`{"fInt32":0}`, `{}`, ""},
		{`{"fInt32":-2147483648}`, `{"fInt32":-2147483648}`, ""},
		{`{"fInt32":2147483647}`, `{"fInt32":2147483647}`, ""},
		{`{"fInt32":2147483648}`, ``, ""},
		{`{"fInt32":1.0}`, `{"fInt32":1}`, ""},
		{`{"fInt32":1e2}`, `{"fInt32":100}`, ""},
		{`{"fInt32":"5"}`, `{"fInt32":5}`, ""},
		{`{"fInt32":1.5}`, ``, ""},
		{`{"fInt32":"x"}`, ``, ""},
		{`{"fInt32":true}`, ``, ""},
		{`{"fUint32":4294967295}`, `{"fUint32":4294967295}`, ""},
		{`{"fUint32":4294967296}`, ``, ""},
		{`{"fUint32":-1}`, ``, ""},
		{`{"fSint32":-1}`, `{"fSint32":-1}`, ""},
		{`{"fFixed32":4294967295}`, `{"fFixed32":4294967295}`, ""},
		{`{"fSfixed32":-2147483648}`, `{"fSfixed32":-2147483648}`, ""},
		{`{"oInt32":0}`, `{"oInt32":0}`, ""},
		{`{"oInt32":null}`, `{}`, ""},
		{`{"rInt32":[1,"2",3.0]}`, `{"rInt32":[1,2,3]}`, ""},
		{`{"rInt32":[]}`, `{}`, ""},
		{`{"rInt32":null}`, `{}`, ""},
		{`{"rInt32":[null]}`, ``, ""},
		{`{"rInt32":7}`, `{"rInt32":[7]}`, lenient},
		{`{"rInt32":"[7]"}`, `{"rInt32":[7]}`, lenient},
		// 64-bit integers
		{`{"fInt64":"9007199254740993"}`, `{"fInt64":"9007199254740993"}`, ""},
		{`{"fInt64":9007199254740993}`, `{"fInt64":"9007199254740993"}`, ""},
		{`{"fInt64":"-9223372036854775808"}`, `{"fInt64":"-9223372036854775808"}`, ""},
		{`{"fInt64":9223372036854775807}`, `{"fInt64":"9223372036854775807"}`, ""},
		{`{"fInt64":9223372036854775808}`, ``, ""},
		{`{"fInt64":1e3}`, `{"fInt64":"1000"}`, ""},
		{`{"fInt64":"1.0"}`, `{"fInt64":"1"}`, ""},
		{`{"fInt64":"0x10"}`, ``, ""},
		{`{"fInt64":1.5}`, ``, ""},
		{`{"fInt64":""}`, ``, ""},
		{`{"fUint64":"18446744073709551615"}`, `{"fUint64":"18446744073709551615"}`, ""},
		{`{"fUint64":18446744073709551616}`, ``, ""},
		{`{"fUint64":"-1"}`, ``, ""},
		{`{"fSint64":-1}`, `{"fSint64":"-1"}`, ""},
		{`{"fFixed64":"1"}`, `{"fFixed64":"1"}`, ""},
		{`{"fSfixed64":"-1"}`, `{"fSfixed64":"-1"}`, ""},
		{`{"oInt64":"0"}`, `{"oInt64":"0"}`, ""},
		{`{"rInt64":["1",2]}`, `{"rInt64":["1","2"]}`, ""},
		{`{"rUint64":["18446744073709551615"]}`, `{"rUint64":["18446744073709551615"]}`, ""},
		// bool, string, bytes
		{`{"fBool":true}`, `{"fBool":true}`, ""},
		{`{"fBool":false}`, `{}`, ""},
		{`{"fBool":"true"}`, `{"fBool":true}`, lenient},
		{`{"fBool":1}`, ``, ""},
		{`{"oBool":false}`, `{"oBool":false}`, ""},
		{`{"fString":"ü\u0000\n\"\\"}`, `{"fString":"ü\u0000\n\"\\"}`, ""},
		{`{"fString":""}`, `{}`, ""},
		{`{"oString":""}`, `{"oString":""}`, ""},
		{`{"fString":null}`, `{}`, ""},
		{`{"fString":7}`, `{"fString":"7"}`, lenient},
		{`{"fString":{}}`, ``, ""},
		{`{"fBytes":"AP8="}`, `{"fBytes":"AP8="}`, ""},
		{`{"fBytes":"AP8"}`, `{"fBytes":"AP8="}`, ""},
		{`{"fBytes":"_-8="}`, `{"fBytes":"/+8="}`, ""},
		{`{"fBytes":"!"}`, ``, ""},
		{`{"fBytes":[0,255]}`, ``, ""},
		{`{"oBytes":""}`, `{"oBytes":""}`, ""},
		{`{"rBytes":["AA==",""]}`, `{"rBytes":["AA==",""]}`, ""},
		{`{"rBool":[true,false]}`, `{"rBool":[true,false]}`, ""},
		{`{"rString":["",""]}`, `{"rString":["",""]}`, ""},
		// enum
		{`{"fEnum":"RED"}`, `{"fEnum":"RED"}`, ""},
		{`{"fEnum":5}`, `{"fEnum":"BLUE"}`, ""},
		{`{"fEnum":"COLOR_UNSPECIFIED"}`, `{}`, ""},
		{`{"fEnum":"red"}`, ``, ""},
		{`{"fEnum":7}`, ``, strict},
		{`{"oEnum":0}`, `{"oEnum":"COLOR_UNSPECIFIED"}`, ""},
		{`{"rEnum":["RED",5]}`, `{"rEnum":["RED","BLUE"]}`, ""},
		// messages
		{`{"fMessage":{}}`, `{"fMessage":{}}`, ""},
		{`{"fMessage":null}`, `{}`, ""},
		{`{"fMessage":{"fMessage":{"fInt64":"1"}}}`, `{"fMessage":{"fMessage":{"fInt64":"1"}}}`, ""},
		{`{"fMessage":{"unknown":1}}`, ``, ""},
		{`{"fMessage":[]}`, ``, ""},
		{`{"rMessage":[{},{"fBool":true}]}`, `{"rMessage":[{},{"fBool":true}]}`, ""},
		{`{"rMessage":[null]}`, ``, ""},
		// names
		{`{"f_int32":1,"f_message":{"r_string":["a"]}}`, ``, strict},
		{`{"another-name":"x"}`, `{"another-name":"x"}`, ""},
		{`{"renamed":"x"}`, ``, strict},
		{`{"fInt32":1,"f_int32":2}`, ``, ""},
		{`{"FInt32":1}`, ``, ""},
		// maps
		{`{"mString":{"a":"b","":""}}`, `{"mString":{"":"","a":"b"}}`, ""},
		{`{"mString":{}}`, `{}`, ""},
		{`{"mString":null}`, `{}`, ""},
		{`{"mString":{"a":null}}`, ``, ""},
		{`{"mInt32":{"-1":"2"}}`, `{"mInt32":{"-1":"2"}}`, ""},
		{`{"mInt32":{"x":"2"}}`, ``, ""},
		{`{"mInt32":{"3000000000":"2"}}`, ``, ""},
		{`{"mInt64":{"1":{"fInt32":2}}}`, `{"mInt64":{"1":{"fInt32":2}}}`, ""},
		{`{"mBool":{"true":"RED","false":5}}`, `{"mBool":{"false":"BLUE","true":"RED"}}`, ""},
		{`{"mBool":{"yes":"RED"}}`, ``, ""},
		{`{"mUint64":{"1":"AA=="}}`, `{"mUint64":{"1":"AA=="}}`, ""},
		{`{"mUint64":{"-1":"AA=="}}`, ``, ""},
		{`{"mDouble":{"a":"NaN"}}`, `{"mDouble":{"a":"NaN"}}`, ""},
		// oneof
		{`{"cInt64":"0"}`, `{"cInt64":"0"}`, ""},
		{`{"cString":""}`, `{"cString":""}`, ""},
		{`{"cMessage":{}}`, `{"cMessage":{}}`, ""},
		{`{"cNull":null}`, `{"cNull":null}`, ""},
		{`{"cString":null}`, `{}`, ""},
		{`{"cInt64":1,"cString":"a"}`, ``, ""},
		{`{"cInt64":1,"cString":null}`, `{"cInt64":"1"}`, ""},
		{`{"cMessage":{"cInt64":1,"cString":"a"}}`, ``, ""},
		// well-known types
		{`{"wTimestamp":"2026-01-02T03:04:05Z"}`, `{"wTimestamp":"2026-01-02T03:04:05Z"}`, ""},
		{`{"wTimestamp":"2026-01-02T03:04:05.5+01:00"}`, `{"wTimestamp":"2026-01-02T02:04:05.500Z"}`, ""},
		{`{"wTimestamp":"0001-01-01T00:00:00Z"}`, `{"wTimestamp":"0001-01-01T00:00:00Z"}`, ""},
		{`{"wTimestamp":"9999-12-31T23:59:59.999999999Z"}`, `{"wTimestamp":"9999-12-31T23:59:59.999999999Z"}`, ""},
		{`{"wTimestamp":"2026-01-02"}`, ``, ""},
		{`{"wTimestamp":1767323045}`, ``, ""},
		{`{"wDuration":"0s"}`, `{"wDuration":"0s"}`, ""},
		{`{"wDuration":"-1.5s"}`, `{"wDuration":"-1.500s"}`, ""},
		{`{"wDuration":"1.000000001s"}`, `{"wDuration":"1.000000001s"}`, ""},
		{`{"wDuration":"315576000000s"}`, `{"wDuration":"315576000000s"}`, ""},
		{`{"wDuration":"315576000001s"}`, ``, ""},
		{`{"wDuration":"1m"}`, ``, ""},
		{`{"wMask":"a,b.cD"}`, `{"wMask":"a,b.cD"}`, ""},
		{`{"wMask":""}`, `{"wMask":""}`, ""},
		{`{"wMask":"a_b"}`, ``, ""},
		{`{"wStruct":{"a":null,"b":[1,"x",{"c":true}]}}`, `{"wStruct":{"a":null,"b":[1,"x",{"c":true}]}}`, ""},
		{`{"wStruct":{}}`, `{"wStruct":{}}`, ""},
		{`{"wStruct":[]}`, ``, ""},
		{`{"wValue":null}`, `{"wValue":null}`, ""},
		{`{"wValue":1.5}`, `{"wValue":1.5}`, ""},
		{`{"wValue":["a",{}]}`, `{"wValue":["a",{}]}`, ""},
		{`{"rValue":[null,1]}`, `{"rValue":[null,1]}`, ""},
		{`{"wList":[]}`, `{"wList":[]}`, ""},
		{`{"wList":[1,null]}`, `{"wList":[1,null]}`, ""},
		{`{"wAny":{"@type":"type.googleapis.com/weir.test.Color"}}`, ``, ""},
		{`{"wAny":{"@type":"type.googleapis.com/weir.test.Kinds","fInt64":"7"}}`, `{"wAny":{"@type":"type.googleapis.com/weir.test.Kinds","fInt64":"7"}}`, ""},
		{`{"wAny":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`, `{"wAny":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`, ""},
		{`{"wAny":{"@type":"type.googleapis.com/nobody.Knows","value":"CAE="}}`, `{"wAny":{"@type":"type.googleapis.com/nobody.Knows","value":"CAE="}}`, lenient},
		{`{"wAny":{}}`, `{"wAny":{}}`, ""},
		{`{"wEmpty":{}}`, `{"wEmpty":{}}`, ""},
		{`{"wEmpty":{"a":1}}`, ``, ""},
		{`{"wNull":null}`, `{}`, ""},
		{`{"wDouble":0}`, `{"wDouble":0}`, ""},
		{`{"wDouble":"NaN"}`, `{"wDouble":"NaN"}`, ""},
		{`{"wFloat":1.5}`, `{"wFloat":1.5}`, ""},
		{`{"wInt64":9007199254740993}`, `{"wInt64":"9007199254740993"}`, ""},
		{`{"wUint64":"0"}`, `{"wUint64":"0"}`, ""},
		{`{"wInt32":0}`, `{"wInt32":0}`, ""},
		{`{"wInt32":3000000000}`, ``, ""},
		{`{"wUint32":1}`, `{"wUint32":1}`, ""},
		{`{"wBool":false}`, `{"wBool":false}`, ""},
		{`{"wString":""}`, `{"wString":""}`, ""},
		{`{"wString":null}`, `{}`, ""},
		{`{"wBytes":"AA=="}`, `{"wBytes":"AA=="}`, ""},
		{`{"wBytes":"!"}`, ``, ""},
		{`{"unknown":1}`, ``, ""},
	}
	_, d := fixture(t, "greeter.proto")
	b := &builder{description: d, spec: &Spec{Spec: translate.Spec{Mode: translate.ModeTools}}, upstream: "api"}
	var m *method
	for _, x := range b.build() {
		if x.descriptor.Name() == "Mirror" {
			m = x
		}
	}
	types := newTypes(d)
	for _, tt := range tests {
		oracle := dynamicpb.NewMessage(m.descriptor.Input())
		fault := protojson.UnmarshalOptions{Resolver: types}.Unmarshal([]byte(tt.arguments), oracle)
		if wantFault := tt.want == "" && tt.differs != strict || tt.differs == lenient; (fault != nil) != wantFault {
			t.Errorf("%s: protojson says %v", tt.arguments, fault)
		}
		args, refused := m.Input.Accept([]byte(tt.arguments))
		got := dynamicpb.NewMessage(m.descriptor.Input())
		if refused == nil && types.read(m.encode(args)[0], got) != nil {
			refused = translate.Failure("")
		}
		if (refused != nil) != (tt.want == "") {
			t.Errorf("%s: refused %t", tt.arguments, refused != nil)
			continue
		}
		if refused != nil {
			continue
		}
		wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		same, err := proto.MarshalOptions{Deterministic: true}.Marshal(oracle)
		if err != nil || tt.differs == "" && !bytes.Equal(wire, same) {
			t.Errorf("%s: the wire is %x, protojson's %x", tt.arguments, wire, same)
		}
		text, err := types.json(got)
		if err != nil || string(text) != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.arguments, text, err, tt.want)
		}
	}
	t.Logf("%d rows", len(tests))
}
