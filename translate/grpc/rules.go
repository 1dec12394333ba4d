package grpc

import (
	"math"
	"regexp"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"weir/translate/schema"
)

// Options are read from the wire by their field numbers. Depending on where a description came from, an option is a known extension, one of
// a type made at run time, or bytes that nobody has read yet; on the wire it is always the same.
const (
	optionFieldBehavior protowire.Number = 1052     // google.api.field_behavior
	optionValidate      protowire.Number = 1159     // buf.validate.field, .message, .oneof
	optionHTTP          protowire.Number = 72295728 // google.api.http
)

// Values of google.api.FieldBehavior.
const (
	behaviorRequired   = 2
	behaviorOutputOnly = 3
	behaviorInputOnly  = 4
)

// wire is one message in its encoded form, by field number; what cannot be read is left out.
type wire map[protowire.Number][]wireValue

// wireValue is one value: of a varint or a fixed field, or of a field with a length.
type wireValue struct {
	kind   protowire.Type
	number uint64
	bytes  []byte
}

func readWire(data []byte) wire {
	w := wire{}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return w
		}
		data = data[n:]
		v := wireValue{kind: kind}
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(data)
			v.number = uint64(x)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return w
		}
		data = data[n:]
		w[number] = append(w[number], v)
	}
	return w
}

// options returns those of a declaration.
func options(d protoreflect.Descriptor) wire {
	m := d.Options()
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil
	}
	data, err := proto.MarshalOptions{AllowPartial: true, Deterministic: true}.Marshal(m)
	if err != nil || len(data) == 0 {
		return nil
	}
	return readWire(data)
}

// message returns a field that is a message, its parts merged.
func (w wire) message(n protowire.Number) wire {
	var data []byte
	for _, v := range w[n] {
		data = append(data, v.bytes...)
	}
	if data == nil {
		return nil
	}
	return readWire(data)
}

// last returns the value that counts of a field that is not repeated.
func (w wire) last(n protowire.Number) (wireValue, bool) {
	if all := w[n]; len(all) > 0 {
		return all[len(all)-1], true
	}
	return wireValue{}, false
}

func (w wire) flag(n protowire.Number) bool {
	v, ok := w.last(n)
	return ok && v.number != 0
}

func (w wire) text(n protowire.Number) string {
	v, _ := w.last(n)
	return string(v.bytes)
}

// numbers returns the values of a repeated number, packed or not.
func (w wire) numbers(n protowire.Number) []uint64 {
	var all []uint64
	for _, v := range w[n] {
		if v.kind != protowire.BytesType {
			all = append(all, v.number)
			continue
		}
		for data := v.bytes; len(data) > 0; {
			x, k := protowire.ConsumeVarint(data)
			if k < 0 {
				break
			}
			all, data = append(all, x), data[k:]
		}
	}
	return all
}

// behavior says what google.api.field_behavior tells of a field.
func behavior(o wire) (required, outputOnly, inputOnly bool) {
	for _, n := range o.numbers(optionFieldBehavior) {
		required = required || n == behaviorRequired
		outputOnly = outputOnly || n == behaviorOutputOnly
		inputOnly = inputOnly || n == behaviorInputOnly
	}
	return required, outputOnly, inputOnly
}

// Field numbers of buf.validate.FieldRules and of the rules inside it (buf/validate/validate.proto).
const (
	rulesRequired protowire.Number = 25
	rulesIgnore   protowire.Number = 27
	rulesString   protowire.Number = 14
	rulesBytes    protowire.Number = 15
	rulesEnum     protowire.Number = 16
	rulesRepeated protowire.Number = 18
	rulesMap      protowire.Number = 19
)

// constrain adds what buf.validate rules say about a field to its schema; implicit says that the zero value is the same as none and passes
// where the rules are not for it. CEL rules are left to the server.
func constrain(v *schema.Value, f protoreflect.FieldDescriptor, rules wire) {
	if rules == nil || rules.flag(rulesIgnore) {
		return
	}
	switch {
	case f.IsMap():
		m := rules.message(rulesMap)
		count(v, "minProperties", m, 1)
		count(v, "maxProperties", m, 2)
	case f.IsList():
		r := rules.message(rulesRepeated)
		count(v, "minItems", r, 1)
		count(v, "maxItems", r, 2)
		if r.flag(3) {
			v.Put("uniqueItems", schema.Boolean(true))
		}
		if items := r.message(4); items != nil && v.Get("items") != nil {
			scalarRules(v.Get("items"), f, items)
		}
	default:
		scalarRules(v, f, rules)
	}
}

// count copies a limit that is a natural number.
func count(v *schema.Value, keyword string, rules wire, n protowire.Number) {
	if x, ok := rules.last(n); ok && x.number <= math.MaxInt32 {
		v.Put(keyword, schema.Int(int(x.number)))
	}
}

func scalarRules(v *schema.Value, f protoreflect.FieldDescriptor, rules wire) {
	switch f.Kind() {
	case protoreflect.StringKind:
		stringRules(v, rules.message(rulesString))
	case protoreflect.EnumKind:
		enumRules(v, f, rules.message(rulesEnum))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind,
		protoreflect.FloatKind, protoreflect.DoubleKind:
		number, decode := numberRules(f.Kind())
		limits(v, rules.message(number), decode)
	default: // 64-bit numbers are text, which JSON Schema cannot compare
	}
}

func stringRules(v *schema.Value, r wire) {
	count(v, "minLength", r, 2)
	count(v, "maxLength", r, 3)
	if _, ok := r.last(19); ok {
		count(v, "minLength", r, 19)
		count(v, "maxLength", r, 19)
	}
	pattern := r.text(6)
	switch prefix, suffix, part := r.text(7), r.text(8), r.text(9); {
	case pattern != "":
	case prefix != "" && suffix == "" && part == "":
		pattern = "^" + regexp.QuoteMeta(prefix)
	case suffix != "" && prefix == "" && part == "":
		pattern = regexp.QuoteMeta(suffix) + "$"
	}
	if pattern != "" && len(pattern) <= 1000 {
		if _, err := regexp.Compile(pattern); err == nil {
			v.Put("pattern", schema.Text(pattern))
		}
	}
	for n, format := range map[protowire.Number]string{12: "email", 13: "hostname", 15: "ipv4", 16: "ipv6", 17: "uri", 22: "uuid"} {
		if r.flag(n) {
			v.Put("format", schema.Text(format))
		}
	}
	var in []string
	for _, x := range r[10] {
		in = append(in, string(x.bytes))
	}
	if c, ok := r.last(1); ok {
		in = []string{string(c.bytes)}
	}
	if len(in) > 0 {
		v.Put("enum", schema.Texts(unique(in)...))
	}
}

func unique(all []string) []string {
	seen := make(map[string]bool, len(all))
	kept := all[:0:0]
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}

// enumRules narrows an enumeration to those of its values that are allowed.
func enumRules(v *schema.Value, f protoreflect.FieldDescriptor, r wire) {
	in := r.numbers(3)
	if c, ok := r.last(1); ok {
		in = []uint64{c.number}
	}
	not := r.numbers(4)
	if v.Get("enum") == nil || len(in) == 0 && len(not) == 0 {
		return
	}
	has := func(all []uint64, n protoreflect.EnumNumber) bool {
		for _, x := range all {
			if protoreflect.EnumNumber(int32(x)) == n {
				return true
			}
		}
		return false
	}
	var names []string
	values := f.Enum().Values()
	for i := range values.Len() {
		if n := values.Get(i).Number(); (len(in) == 0 || has(in, n)) && !has(not, n) {
			names = append(names, string(values.Get(i).Name()))
		}
	}
	if len(names) > 0 {
		v.Put("enum", schema.Texts(names...))
	}
}

// numberRules is the field of the rules for a kind of number, and how their values are written.
func numberRules(kind protoreflect.Kind) (protowire.Number, func(uint64) string) {
	signed := func(x uint64) string { return strconv.FormatInt(int64(int32(x)), 10) }
	unsigned := func(x uint64) string { return strconv.FormatUint(uint64(uint32(x)), 10) }
	decimal := func(f float64) string {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return ""
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	switch kind {
	case protoreflect.FloatKind:
		return 1, func(x uint64) string { return decimal(float64(math.Float32frombits(uint32(x)))) }
	case protoreflect.DoubleKind:
		return 2, func(x uint64) string { return decimal(math.Float64frombits(x)) }
	case protoreflect.Int32Kind:
		return 3, signed
	case protoreflect.Uint32Kind:
		return 5, unsigned
	case protoreflect.Sint32Kind:
		return 7, func(x uint64) string { return strconv.FormatInt(protowire.DecodeZigZag(x), 10) }
	case protoreflect.Fixed32Kind:
		return 9, unsigned
	default:
		return 11, signed
	}
}

// limits copies bounds of numbers. A lower bound over an upper one means that the values between them are excluded: no schema says that here.
func limits(v *schema.Value, r wire, decode func(uint64) string) {
	if r == nil {
		return
	}
	found := make(map[string]*schema.Value)
	for n, keyword := range map[protowire.Number]string{2: "exclusiveMaximum", 3: "maximum", 4: "exclusiveMinimum", 5: "minimum"} {
		if x, ok := r.last(n); ok {
			if text := decode(x.number); text != "" {
				found[keyword] = &schema.Value{Kind: schema.Number, Text: text}
			}
		}
	}
	low, high := orElse(found["minimum"], found["exclusiveMinimum"]), orElse(found["maximum"], found["exclusiveMaximum"])
	if low != nil && high != nil {
		a, errA := strconv.ParseFloat(low.Text, 64)
		b, errB := strconv.ParseFloat(high.Text, 64)
		if errA != nil || errB != nil || a > b {
			return
		}
	}
	for _, keyword := range [...]string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} {
		if x := found[keyword]; x != nil {
			v.Put(keyword, x)
		}
	}
}

func orElse(v, other *schema.Value) *schema.Value {
	if v != nil {
		return v
	}
	return other
}
