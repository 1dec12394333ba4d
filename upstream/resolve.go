package upstream

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"weir/catalog"
	"weir/translate"
	"weir/translate/schema"
)

// resolved is a Spec without references, its environment complete with that of the envFile.
type resolved struct {
	Spec
	secrets []string // what the references resolved to, in an order that depends on the Spec alone
}

// resolve expands the references in spec. Its errors name the field and the reference, never a value.
func (s *Set) resolve(name string, spec *Spec) (*resolved, error) {
	x := &expansion{expand: s.o.Expand}
	r := &resolved{Spec: *spec}
	if copied, ok := reflect.TypeAssert[Spec](x.value(reflect.ValueOf(*spec), "")); ok {
		r.Spec = copied
	}
	r.secrets = x.secrets
	if x.fault != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: name + ": " + x.fault.Error(), Execution: catalog.NotExecuted, Err: x.fault}
	}
	if r.EnvFile == "" {
		return r, nil
	}
	vars, err := readEnvFile(name, r.EnvFile)
	if err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(vars)) {
		r.secrets = append(r.secrets, vars[key])
	}
	maps.Copy(vars, r.Env)
	r.Env = vars
	return r, nil
}

// print is a keyed hash of everything that spec's references resolve to; zero when they do not resolve.
func (s *Set) print(name string, spec *Spec) (sum [sha256.Size]byte) {
	r, err := s.resolve(name, spec)
	if err != nil {
		return sum
	}
	return sha256.Sum256(fmt.Appendf(s.key[:], "%q %q", r.secrets, slices.Sorted(maps.Keys(r.Env))))
}

// expansion copies a Spec and expands the references in its texts.
type expansion struct {
	expand  func(string) (string, error)
	secrets []string
	fault   error // the first one
}

// text expands one text.
func (x *expansion) text(field, v string) string {
	if !strings.Contains(v, "$") || x.expand == nil {
		return v
	}
	text, err := x.expand(v)
	if err != nil && x.fault == nil {
		x.fault = fmt.Errorf("%s: %w", field, err)
	}
	if text != v {
		x.secrets = append(x.secrets, text)
	}
	return text
}

// value returns a copy of v, which field names, with its texts expanded. Fields without a yaml name come from elsewhere and stay as they are.
func (x *expansion) value(v reflect.Value, field string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(x.text(field, v.String()))
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			out.Index(i).Set(x.value(v.Index(i), fmt.Sprintf("%s[%d]", field, i)))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			out.SetMapIndex(key, x.value(v.MapIndex(key), field+"."+key.String()))
		}
	case reflect.Struct:
		if literal, ok := reflect.TypeAssert[translate.Literal](v); ok {
			out.Set(reflect.ValueOf(translate.Literal{Value: x.literal(literal.Value, field)}))
			break
		}
		for i := range v.NumField() {
			key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if key != "" && key != "-" || option == "inline" {
				out.Field(i).Set(x.value(v.Field(i), strings.TrimPrefix(field+"."+key, ".")))
			}
		}
	default:
	}
	return out
}

// literal expands the texts in a JSON value.
func (x *expansion) literal(v *schema.Value, field string) *schema.Value {
	if v == nil {
		return nil
	}
	out := *v
	if v.Kind == schema.String {
		out.Text = x.text(field, v.Text)
	}
	out.Members = slices.Clone(v.Members)
	for i, m := range v.Members {
		out.Members[i].Value = x.literal(m.Value, field)
	}
	return &out
}
