package grpc

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate"
)

// edge is one value of a type in JSON.
type edge struct {
	in, out string // as it is given, and as the published mapping writes it; no out is a refusal
	absent  bool   // it is the default, which a field without presence does not write
	differs bool   // from protojson: taken where that refuses, or refused where that takes
}

func takes(in, out string) edge   { return edge{in: in, out: out} }
func same(in string) edge         { return edge{in: in, out: in} }
func zero(in, out string) edge    { return edge{in: in, out: out, absent: true} }
func refuses(in string) edge      { return edge{in: in} }
func lenient(in, out string) edge { return edge{in: in, out: out, differs: true} }
func strict(in string) edge       { return edge{in: in, differs: true} }

// mapped are the types of fields and, for each, the values at its edges (https://protobuf.dev/programming-guides/json/).
func mapped() map[string][]edge {
	double := []edge{
		zero(`0`, `0`), zero(`0.0`, `0`), takes(`-0.0`, `-0`), same(`1.5`), takes(`"1.5"`, `1.5`), takes(`1e2`, `100`), same(`-1e-7`), same(`"NaN"`), same(`"Infinity"`), same(`"-Infinity"`),
		refuses(`"x"`), refuses(`""`), refuses(`"nan"`), refuses(`"+Infinity"`), refuses(`true`), refuses(`{}`), refuses(`1e400`),
	}
	whole := []edge{zero(`0`, `0`), zero(`-0`, `0`), zero(`"0"`, `0`), same(`7`), takes(`"7"`, `7`), takes(`7.0`, `7`), takes(`7e1`, `70`), refuses(`1.5`), refuses(`"1.5"`), refuses(`"x"`), refuses(`""`), refuses(`true`), refuses(`{}`), refuses(`1e400`), lenient(`" 7"`, `7`), refuses(`"0x7"`)}
	long := []edge{zero(`"0"`, `"0"`), zero(`0`, `"0"`), takes(`7`, `"7"`), same(`"7"`), takes(`7.0`, `"7"`), takes(`7e3`, `"7000"`), same(`"9007199254740993"`), takes(`9007199254740993`, `"9007199254740993"`), same(`"9223372036854775807"`), takes(`9223372036854775807`, `"9223372036854775807"`), refuses(`1.5`), refuses(`"x"`), refuses(`""`), refuses(`true`), refuses(`[]`), refuses(`1e400`), refuses(`18446744073709551616`)}
	signed := []edge{same(`-2147483648`), same(`2147483647`), refuses(`2147483648`), refuses(`-2147483649`)}
	unsigned := []edge{same(`4294967295`), takes(`"4294967295"`, `4294967295`), refuses(`4294967296`), refuses(`-1`)}
	signedLong := []edge{same(`"-9223372036854775808"`), takes(`-9223372036854775808`, `"-9223372036854775808"`), takes(`-9007199254740993`, `"-9007199254740993"`), refuses(`9223372036854775808`), refuses(`"-9223372036854775809"`)}
	unsignedLong := []edge{same(`"18446744073709551615"`), takes(`18446744073709551615`, `"18446744073709551615"`), refuses(`-1`), refuses(`"-1"`), refuses(`"18446744073709551616"`)}
	float := []edge{takes(`3.4028234e38`, `3.4028235e+38`), takes(`1e-45`, `1e-45`), refuses(`3.5e38`), refuses(`-3.5e38`)}
	boolean := []edge{same(`true`), zero(`false`, `false`), lenient(`"true"`, `true`), refuses(`1`), refuses(`"yes"`), refuses(`[]`)}
	text := []edge{same(`"a"`), zero(`""`, `""`), takes(`"\u00fc\u0000\n\"\\\ud83d\ude00"`, `"ü\u0000\n\"\\😀"`), lenient(`7`, `"7"`), refuses(`{}`), lenient(`"\ud800"`, `"�"`)}
	data := []edge{same(`"AP8="`), takes(`"AP8"`, `"AP8="`), takes(`"_-8="`, `"/+8="`), takes(`"_-8"`, `"/+8="`), zero(`""`, `""`), refuses(`"!"`), refuses(`"A"`), refuses(`[0]`), refuses(`true`)}
	both := func(lists ...[]edge) (all []edge) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	kept := func(list []edge) []edge { // of a wrapper, whose presence is its own
		all := append([]edge(nil), list...)
		for i := range all {
			all[i].absent = false
		}
		return all
	}
	const known = "google.protobuf."
	types := map[string][]edge{
		"double": both(double, []edge{takes(`-1e308`, `-1e+308`), takes(`5e-324`, `5e-324`), refuses(`1e309`)}), "float": both(double, float),
		"int32": both(whole, signed), "sint32": both(whole, signed), "sfixed32": both(whole, signed), "uint32": both(whole, unsigned), "fixed32": both(whole, unsigned),
		"int64": both(long, signedLong), "sint64": both(long, signedLong), "sfixed64": both(long, signedLong), "uint64": both(long, unsignedLong), "fixed64": both(long, unsignedLong),
		"bool": boolean, "string": text, "bytes": data,
		"Color":             {zero(`"NONE"`, `"NONE"`), zero(`0`, `"NONE"`), same(`"RED"`), takes(`5`, `"BLUE"`), takes(`-1`, `"LESS"`), refuses(`"red"`), refuses(`""`), strict(`7`), refuses(`true`), refuses(`1.5`)},
		"Inner":             {same(`{}`), same(`{"n":"1","inner":{"n":"2"}}`), takes(`{"n":null}`, `{}`), refuses(`[]`), refuses(`7`), refuses(`{"x":1}`), refuses(`{"inner":{"x":1}}`)},
		known + "Timestamp": {same(`"2026-01-02T03:04:05Z"`), takes(`"2026-01-02T03:04:05.5+01:00"`, `"2026-01-02T02:04:05.500Z"`), takes(`"2026-01-02T03:04:05.000001Z"`, `"2026-01-02T03:04:05.000001Z"`), same(`"0001-01-01T00:00:00Z"`), same(`"9999-12-31T23:59:59.999999999Z"`), refuses(`"2026-01-02"`), refuses(`"0000-01-01T00:00:00Z"`), refuses(`"x"`), refuses(`""`), refuses(`1767323045`), refuses(`{"seconds":1}`)},
		known + "Duration":  {same(`"0s"`), takes(`"-1.5s"`, `"-1.500s"`), same(`"1.000000001s"`), same(`"-315576000000s"`), refuses(`"315576000001s"`), refuses(`"1m"`), refuses(`"1"`), refuses(`""`), refuses(`{}`)},
		known + "FieldMask": {same(`"a,b.cD"`), same(`""`), refuses(`"a_b"`), refuses(`{"paths":["a"]}`)},
		known + "Struct":    {same(`{"a":null,"b":[1,"x",{"c":true}]}`), same(`{}`), refuses(`[]`), refuses(`"x"`)},
		known + "Value":     {same(`null`), same(`1.5`), same(`"x"`), same(`true`), same(`["a",{}]`), same(`{"a":[null]}`)},
		known + "ListValue": {same(`[]`), same(`[1,null,"x"]`), refuses(`{}`)},
		known + "Empty":     {same(`{}`), refuses(`{"a":1}`), refuses(`7`)},
		known + "Any": {
			same(`{}`), same(`{"@type":"type.googleapis.com/p.Inner","n":"7"}`), same(`{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}`),
			same(`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}`), lenient(`{"@type":"type.googleapis.com/nobody.Knows","value":"CAE="}`, `{"@type":"type.googleapis.com/nobody.Knows","value":"CAE="}`),
			refuses(`{"@type":"type.googleapis.com/p.Color"}`), refuses(`{"@type":"type.googleapis.com/p.Inner","x":1}`), refuses(`{"n":"7"}`), refuses(`[]`), refuses(`7`),
		},
		known + "NullValue": {zero(`null`, `null`)},
	}
	for wrapper, of := range map[string]string{
		"DoubleValue": "double", "FloatValue": "float", "Int32Value": "int32", "UInt32Value": "uint32", "Int64Value": "int64", "UInt64Value": "uint64", "BoolValue": "bool", "StringValue": "string", "BytesValue": "bytes",
	} {
		types[known+wrapper] = kept(types[of])
	}
	return types
}

// presences are the ways in which a field can be there: how it is declared, given and written.
func presences() map[string]struct{ declared, in string } {
	return map[string]struct{ declared, in string }{
		"implicit": {"%s f = 1;", `{"f":%s}`},
		"explicit": {"%s f = 1 [features.field_presence = EXPLICIT];", `{"f":%s}`},
		"required": {"%s f = 1 [features.field_presence = LEGACY_REQUIRED];", `{"f":%s}`},
		"oneof":    {"oneof o { %s f = 1; string other = 2; }", `{"f":%s}`},
		"repeated": {"repeated %s f = 1;", `{"f":[%s]}`},
		"map":      {"map<string, %s> f = 1;", `{"f":{"k":%s}}`},
	}
}

// mappingSource declares a message for each type and presence, and a method for each message.
func mappingSource() string {
	var messages, methods strings.Builder
	for name := range mapped() {
		scalar := !strings.ContainsAny(name, ".IC") || name == "Color" || strings.HasSuffix(name, ".NullValue")
		for presence, p := range presences() {
			declared := fmt.Sprintf(p.declared, name)
			if presence == "implicit" && !scalar {
				continue // messages tell in any case whether they are there
			}
			id := strings.ReplaceAll(name, ".", "_") + "_" + presence
			fmt.Fprintf(&messages, "message Of_%s { %s }\n", id, declared)
			fmt.Fprintf(&methods, "  rpc %s(Of_%s) returns (Of_%s);\n", id, id, id)
		}
	}
	var imports strings.Builder
	for _, f := range []string{"any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"} {
		fmt.Fprintf(&imports, "import \"google/protobuf/%s.proto\";\n", f)
	}
	return "edition = \"2023\";\npackage p;\n" + imports.String() + "option features.field_presence = IMPLICIT;\nservice S {\n" + methods.String() + "}\n" +
		"enum Color { NONE = 0; RED = 1; BLUE = 5; LESS = -1; }\nmessage Inner { int64 n = 1; Inner inner = 2; }\n" + messages.String()
}

// TestMappingTable is the JSON mapping of protobuf for every type, in every form of presence, at every edge: what is taken has the wire of protojson
// and is written as the published mapping says, and what protojson refuses is refused before anything is sent.
func TestMappingTable(t *testing.T) {
	tools, d := sourceTools(t, mappingSource())
	types := newTypes(d)
	cells, rows := 0, 0
	for name, edges := range mapped() {
		for presence, p := range presences() {
			m := tools["S_"+strings.ReplaceAll(name, ".", "_")+"_"+presence]
			if m == nil {
				if presence != "implicit" {
					t.Errorf("%s %s has no tool", name, presence)
				}
				continue
			}
			cells++
			for _, e := range append([]edge{{in: "null"}}, edges...) {
				if e.in == "null" && e.out == "" { // absent for most, and an element that is none
					if strings.HasSuffix(name, ".Value") || strings.HasSuffix(name, ".NullValue") {
						continue
					}
					e.out = map[string]string{"repeated": "", "map": "", "required": ""}[presence]
					if presence == "implicit" || presence == "explicit" || presence == "oneof" {
						e.out = "absent"
					}
				}
				rows++
				want := ""
				switch {
				case e.out == "absent" || e.absent && presence == "implicit":
					want = "{}"
				case e.out != "":
					want = fmt.Sprintf(p.in, e.out)
				}
				if fault := mappingRow(m, types, fmt.Sprintf(p.in, e.in), want, e.differs); fault != "" {
					t.Errorf("%s %s: %s", name, presence, fault)
				}
			}
		}
	}
	t.Logf("%d types and presences, %d rows", cells, rows)
	if cells < 180 || rows < 1800 {
		t.Error("the table lost rows")
	}
}

// mappingRow says what is wrong with one row.
func mappingRow(m *method, types *types, in, want string, differs bool) string {
	oracle := dynamicpb.NewMessage(m.descriptor.Input())
	fault := protojson.UnmarshalOptions{Resolver: types}.Unmarshal([]byte(in), oracle)
	if (fault != nil) != ((want == "") != differs) {
		return fmt.Sprintf("%s: protojson says %v", in, fault)
	}
	args, refused := m.Input.Accept([]byte(in))
	got := dynamicpb.NewMessage(m.descriptor.Input())
	if refused == nil && types.read(m.encode(args)[0], got) != nil {
		refused = translate.Failure("")
	}
	if (refused != nil) != (want == "") {
		return fmt.Sprintf("%s: refused %t", in, refused != nil)
	}
	if refused != nil {
		return ""
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(got)
	if err != nil {
		return err.Error()
	}
	theirs, err := proto.MarshalOptions{Deterministic: true, AllowPartial: differs}.Marshal(oracle)
	if err != nil || !differs && !bytes.Equal(wire, theirs) {
		return fmt.Sprintf("%s: the wire is %x, protojson's %x", in, wire, theirs)
	}
	text, err := types.json(got)
	if err != nil || string(text) != want {
		return fmt.Sprintf("%s: got %s, %v, want %s", in, text, err, want)
	}
	return ""
}
