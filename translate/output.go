package translate

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"weir/translate/schema"
)

const (
	// defaultMaxText bounds the text that a tool answers, where configuration sets no other bound.
	defaultMaxText = 64 << 10
	// outputBytes bounds a published output schema. A model needs the names at the top of a result more than what is deep inside, and
	// every list carries it.
	outputBytes = 400
	// minSecret is from how many bytes on a secret is looked for in answers: taking out shorter ones would tear words apart.
	minSecret = 6
)

// Output is how what a tool answers is put into results.
type Output struct {
	Schema  *schema.Value // published, nil for none
	secret  schema.Full   // before it was cut, when that may say that something is secret
	Wrapped bool          // values are put under "result", because structuredContent is an object
	Selects bool          // FieldsArgument is one of the arguments
	Fewer   string        // the argument with which a caller asks for fewer elements, "" for none
	Shape   Shape
	MaxText int // bytes; 0 means 65536
}

// Bound is how many bytes of text the tool answers.
func (o *Output) Bound() int {
	switch {
	case o.Shape.MaxBytes > 0:
		return o.Shape.MaxBytes
	case o.MaxText > 0:
		return o.MaxText
	}
	return defaultMaxText
}

// Select gives a tool, whose full input schema is in, the argument that picks parts of its results, unless one of that name is there.
func (o *Output) Select(in schema.Full) {
	properties := in.Root.Get("properties")
	if properties.Get(FieldsArgument) != nil {
		return
	}
	o.Selects = true
	properties.Put(FieldsArgument, schema.Map(
		schema.Member{Key: "type", Value: schema.Text("array")},
		schema.Member{Key: "items", Value: schema.Map(schema.Member{Key: "type", Value: schema.Text("string")})},
		schema.Member{Key: "description", Value: schema.Text("keep only these paths of the result, e.g. items.name")},
	))
}

// Publish relaxes and cuts the schema of a result and keeps it, when it still says something.
func (o *Output) Publish(source schema.Full) {
	v, err := schema.Parse(schema.PublishResult(source, outputBytes))
	if err == nil && len(v.Object("properties")) > 0 {
		o.Schema = v
	}
	if source.Defs.Secret() {
		o.secret = source
	}
}

// secrets is the raw schema of a result that says what of it is secret, nil when nothing is.
func (o *Output) secrets() []byte {
	if o.secret.Root == nil {
		return nil
	}
	return o.secret.Value().Append(nil)
}

// Reply is one JSON value that a call came to.
type Reply struct {
	Data  []byte        // compact JSON
	Value *schema.Value // the same, nil to have it read when it is needed
	Typed bool          // what wrote Data knows no other types than those of the output schema
	Args  *schema.Value // of the call
	Notes []string      // said behind the value
	// Scrub takes credentials out of a text; nil when there are none.
	Scrub func(string) string
}

// part is what Path leads to in a value whose JSON is data; both as they are where there is no path or it leads nowhere.
func (s *Shape) part(v *schema.Value, data []byte) (*schema.Value, []byte) {
	if s.Path == "" {
		return v, data
	}
	if data == nil {
		data = v.Append(nil)
	}
	part := gjson.GetBytes(data, s.Path)
	if !part.Exists() {
		return v, data
	}
	cut, err := schema.Parse([]byte(part.Raw))
	if err != nil {
		return v, data
	}
	return cut, []byte(part.Raw)
}

// Cut returns the part of v that Path and Fields keep.
func (s *Shape) Cut(v *schema.Value) *schema.Value {
	v, _ = s.part(v, nil)
	return Mask(v, s.Fields)
}

// Result puts a value into a result, cut to what was asked for and to size: as text, and as structuredContent that fits the output schema.
func (o *Output) Result(y Reply) *Result {
	fields := o.fields(y.Args)
	cut := len(fields) > 0 || len(y.Data) > o.Bound()
	if y.Value == nil && (cut || o.Shape.Path != "" || o.Schema != nil && !y.Typed) {
		v, err := schema.Parse(y.Data)
		if err != nil {
			return Failure("The API answered, but the answer cannot be used: " + err.Error() + ".")
		}
		y.Value = v
	}
	y.Value, y.Data = o.Shape.part(y.Value, y.Data)
	if cut {
		v, notes := Shrink(Mask(y.Value, fields), o.Bound())
		if rest := o.rest(); rest != "" && len(notes) > 0 {
			notes = append(notes, rest)
		}
		y.Value, y.Data, y.Notes = v, v.Append(nil), append(notes, y.Notes...)
	}
	r := &Result{structured: y.Data} // about as long as it will be
	addText(r, y.scrub())
	for _, n := range y.Notes {
		r.AddText(n)
	}
	if o.Schema != nil && o.Wrapped || y.Data[0] != '{' {
		y.Data = append(append([]byte(`{"result":`), y.Data...), '}')
		if y.Value != nil {
			y.Value = schema.Map(schema.Member{Key: "result", Value: y.Value})
		}
	}
	if o.Schema != nil && y.Value != nil {
		if fitted, whole := schema.Fit(y.Value, o.Schema); !whole {
			y.Data = fitted.Append(nil)
			r.AddText("Some values have other types than the API describes; they stand in the text only.")
		}
	}
	r.SetStructured(y.Data)
	r.written = true
	return r
}

// rest says how to get what was cut, "" when no argument leads there.
func (o *Output) rest() string {
	var ways []string
	if o.Selects {
		ways = append(ways, "name the parts that you need in `"+FieldsArgument+"`")
	}
	if o.Fewer != "" {
		ways = append(ways, "take fewer elements at a time with `"+o.Fewer+"`")
	}
	if len(ways) == 0 {
		return ""
	}
	return "To see the rest, " + strings.Join(ways, " or ") + "."
}

// Pick returns the part of v that was asked for.
func (o *Output) Pick(v, args *schema.Value) *schema.Value {
	v, _ = o.Shape.part(v, nil)
	return Mask(v, o.fields(args))
}

// fields are those that the caller asked for, else those of the configuration.
func (o *Output) fields(args *schema.Value) []string {
	if o.Selects {
		if asked := args.Get(FieldsArgument).Strings(); len(asked) > 0 {
			return asked
		}
	}
	return o.Shape.Fields
}

// scrub takes credentials out of the value and returns it as text. Nothing is left of a value that is none without them.
func (y *Reply) scrub() []byte {
	if y.Scrub == nil {
		return y.Data
	}
	text := string(y.Data)
	clean := y.Scrub(text)
	if clean == text {
		return y.Data
	}
	y.Data = []byte(clean)
	v, err := schema.Parse(y.Data)
	if err != nil {
		y.Value, y.Data = schema.Map(), []byte("{}")
		return []byte(clean)
	}
	if y.Value != nil {
		y.Value = v
	}
	return y.Data
}

// Scrub returns what takes secrets out of a text that an API echoed; nil when there is nothing to look for.
func Scrub(secrets []string) func(string) string {
	var pairs []string
	for _, s := range secrets {
		if len(s) >= minSecret {
			pairs = append(pairs, s, "[removed]")
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return strings.NewReplacer(pairs...).Replace
}

// Bytes writes a size for people.
func Bytes(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
