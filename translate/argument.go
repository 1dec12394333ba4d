package translate

import (
	"maps"
	"slices"

	"weir/translate/schema"
)

// Argument is one argument of a tool, before and after configuration changed it.
type Argument struct {
	Name     string        // as models see it
	Schema   *schema.Value // full
	Required bool
	// Fixed is sent always and hides the argument; Fallback is sent when the argument is absent.
	Fixed, Fallback *schema.Value
	Hidden          bool
}

// Curate applies what configuration says about arguments, by their names. warn is told what cannot be done.
func Curate(all []*Argument, changes map[string]Arg, warn func(format string, args ...any)) {
	find := func(name string) *Argument {
		i := slices.IndexFunc(all, func(a *Argument) bool { return a.Name == name })
		if i < 0 {
			return nil
		}
		return all[i]
	}
	changed := make(map[string]*Argument, len(changes))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		a, change := find(name), changes[name]
		if a == nil {
			warn("tools: there is no argument %q", name)
			continue
		}
		changed[name] = a
		a.change(change, warn)
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		to := PortableArgument(changes[name].Rename)
		switch {
		case changes[name].Rename == "":
		case find(to) != nil:
			warn("tools: %q cannot be renamed to %q, which is another argument", name, to)
		default:
			changed[name].Name = to
		}
	}
}

func (a *Argument) change(change Arg, warn func(format string, args ...any)) {
	a.Fixed = change.Fixed.Value
	if d := change.Default.Value; d != nil {
		a.Fallback = d
		a.Schema = schema.Map(append(a.Schema.Without("default").Members, schema.Member{Key: "default", Value: d})...)
	}
	a.Hidden = change.Hide || a.Fixed != nil
	if a.Hidden && a.Fixed == nil {
		a.Fixed, a.Fallback = a.Fallback, nil
	}
	if a.Hidden && a.Fixed == nil && a.Required {
		warn("tools: %q is required and cannot be hidden without a value", a.Name)
		a.Hidden = false
	}
	a.Schema = Described(a.Schema, change.Description)
}

// Value is what is sent: the fixed value, else what args has, else nil. Fallbacks are in args by then.
func (a *Argument) Value(args *schema.Value) *schema.Value {
	if a.Fixed != nil || a.Hidden {
		return a.Fixed
	}
	return args.Get(a.Name)
}

// Described returns v with text as its description, unless text is empty.
func Described(v *schema.Value, text string) *schema.Value {
	if text == "" {
		return v
	}
	out := schema.Map(schema.Member{Key: "description", Value: schema.Text(text)})
	out.Members = append(out.Members, v.Without("description").Members...)
	return out
}

// Arguments makes the schema of the arguments that models may set, whose definitions are in defs, and what is filled in for absent ones.
func Arguments(all []*Argument, defs *schema.Defs) (full schema.Full, defaults []schema.Member) {
	properties := schema.Map()
	var required []string
	for _, a := range all {
		if a.Hidden {
			continue
		}
		properties.Members = append(properties.Members, schema.Member{Key: a.Name, Value: a.Schema})
		if a.Fallback != nil {
			defaults = append(defaults, schema.Member{Key: a.Name, Value: a.Fallback})
		} else if a.Required {
			required = append(required, a.Name)
		}
	}
	root := schema.Map(schema.Member{Key: "type", Value: schema.Text("object")}, schema.Member{Key: "properties", Value: properties})
	if len(required) > 0 {
		root.Put("required", schema.Texts(required...))
	}
	root.Put("additionalProperties", schema.Boolean(false))
	return schema.Full{Root: root, Defs: defs}, defaults
}
