package graphql

import (
	"errors"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"weir/translate/schema"
)

// introspectionQueries ask for the schema: as the specification of September 2025 has it, and as every server since 2018 answers.
func introspectionQueries() [2]string {
	const ref = `fragment R on __Type{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name}}}}}}}}}`
	const head = `query Introspection{__schema{queryType{name}mutationType{name}subscriptionType{name}`
	return [...]string{
		head + `description types{...T}directives{name description isRepeatable locations args(includeDeprecated:true){...I}}}}` +
			`fragment T on __Type{kind name description isOneOf fields(includeDeprecated:true){name description isDeprecated deprecationReason args(includeDeprecated:true){...I}type{...R}}` +
			`inputFields(includeDeprecated:true){...I}interfaces{...R}enumValues(includeDeprecated:true){name description isDeprecated deprecationReason}possibleTypes{...R}}` +
			`fragment I on __InputValue{name description defaultValue isDeprecated deprecationReason type{...R}}` + ref,
		head + `types{...T}directives{name description locations args{...I}}}}` +
			`fragment T on __Type{kind name description fields(includeDeprecated:true){name description isDeprecated deprecationReason args{...I}type{...R}}` +
			`inputFields{...I}interfaces{...R}enumValues(includeDeprecated:true){name description isDeprecated deprecationReason}possibleTypes{...R}}` +
			`fragment I on __InputValue{name description defaultValue type{...R}}` + ref,
	}
}

// introspected reads the answer to an introspection query, with or without the envelope of the response, as a document.
func introspected(data []byte) (*ast.SchemaDocument, error) {
	v, err := schema.Parse(data)
	if err != nil {
		return nil, err
	}
	if inner := v.Get("data"); inner.Is(schema.Object) {
		v = inner
	}
	s := v.Get("__schema")
	if !s.Is(schema.Object) {
		return nil, errors.New("no __schema is in it")
	}
	doc := &ast.SchemaDocument{}
	root := &ast.SchemaDefinition{Description: s.GetText("description")}
	for _, r := range [...]struct {
		key string
		op  ast.Operation
	}{{"queryType", ast.Query}, {"mutationType", ast.Mutation}, {"subscriptionType", ast.Subscription}} {
		if name := s.Get(r.key).GetText("name"); name != "" {
			root.OperationTypes = append(root.OperationTypes, &ast.OperationTypeDefinition{Operation: r.op, Type: name})
		}
	}
	doc.Schema = ast.SchemaDefinitionList{root}
	for _, m := range s.Array("types") {
		if d := typeOf(m.Value); d != nil {
			doc.Definitions = append(doc.Definitions, d)
		}
	}
	for _, m := range s.Array("directives") {
		d := &ast.DirectiveDefinition{
			Name: m.Value.GetText("name"), Description: m.Value.GetText("description"), IsRepeatable: m.Value.True("isRepeatable"), Arguments: argumentsOf(m.Value.Array("args")),
		}
		for _, l := range m.Value.Get("locations").Strings() {
			d.Locations = append(d.Locations, ast.DirectiveLocation(l))
		}
		doc.Directives = append(doc.Directives, d)
	}
	return doc, nil
}

// typeOf reads one __Type, nil when its kind is unknown.
func typeOf(v *schema.Value) *ast.Definition {
	d := &ast.Definition{Kind: ast.DefinitionKind(v.GetText("kind")), Name: v.GetText("name"), Description: v.GetText("description")}
	switch d.Kind {
	case ast.Scalar, ast.Object, ast.Interface, ast.Union, ast.Enum, ast.InputObject:
	default:
		return nil
	}
	if v.True("isOneOf") {
		d.Directives = append(d.Directives, &ast.Directive{Name: "oneOf"})
	}
	for _, m := range v.Array("fields") {
		d.Fields = append(d.Fields, &ast.FieldDefinition{
			Name: m.Value.GetText("name"), Description: m.Value.GetText("description"), Type: refOf(m.Value.Get("type"), 0),
			Arguments: argumentsOf(m.Value.Array("args")), Directives: deprecation(m.Value),
		})
	}
	for _, a := range argumentsOf(v.Array("inputFields")) {
		d.Fields = append(d.Fields, &ast.FieldDefinition{Name: a.Name, Description: a.Description, Type: a.Type, DefaultValue: a.DefaultValue, Directives: a.Directives})
	}
	for _, m := range v.Array("enumValues") {
		d.EnumValues = append(d.EnumValues, &ast.EnumValueDefinition{Name: m.Value.GetText("name"), Description: m.Value.GetText("description"), Directives: deprecation(m.Value)})
	}
	for _, m := range v.Array("interfaces") {
		d.Interfaces = append(d.Interfaces, m.Value.GetText("name"))
	}
	if d.Kind == ast.Union {
		for _, m := range v.Array("possibleTypes") {
			d.Types = append(d.Types, m.Value.GetText("name"))
		}
	}
	return d
}

func deprecation(v *schema.Value) ast.DirectiveList {
	if !v.True("isDeprecated") {
		return nil
	}
	d := &ast.Directive{Name: "deprecated"}
	if reason := v.GetText("deprecationReason"); reason != "" {
		d.Arguments = ast.ArgumentList{{Name: "reason", Value: &ast.Value{Kind: ast.StringValue, Raw: reason}}}
	}
	return ast.DirectiveList{d}
}

func argumentsOf(list []schema.Member) ast.ArgumentDefinitionList {
	var all ast.ArgumentDefinitionList
	for _, m := range list {
		a := &ast.ArgumentDefinition{
			Name: m.Value.GetText("name"), Description: m.Value.GetText("description"), Type: refOf(m.Value.Get("type"), 0), Directives: deprecation(m.Value),
		}
		if text := m.Value.Get("defaultValue"); text.Is(schema.String) {
			a.DefaultValue = literal(text.Text)
		}
		all = append(all, a)
	}
	return all
}

// maxWrapping bounds how many lists and non-nulls stand around a type.
const maxWrapping = 32

// refOf reads a reference to a type; nil when it has no name at its end.
func refOf(v *schema.Value, depth int) *ast.Type {
	if v == nil || depth > maxWrapping {
		return nil
	}
	switch v.GetText("kind") {
	case "NON_NULL":
		t := refOf(v.Get("ofType"), depth+1)
		if t != nil {
			t.NonNull = true
		}
		return t
	case "LIST":
		if t := refOf(v.Get("ofType"), depth+1); t != nil {
			return &ast.Type{Elem: t}
		}
		return nil
	default:
		if name := v.GetText("name"); name != "" {
			return &ast.Type{NamedType: name}
		}
		return nil
	}
}

// literal reads one constant of the query language, nil when text is anything else.
func literal(text string) *ast.Value {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: "query($v:T=" + text + "\n){f}"}, maxLiteralTokens)
	if err != nil || len(doc.Operations) != 1 || len(doc.Fragments) != 0 || len(doc.Operations[0].VariableDefinitions) != 1 ||
		len(doc.Operations[0].VariableDefinitions[0].Directives) != 0 {
		return nil
	}
	return doc.Operations[0].VariableDefinitions[0].DefaultValue
}

const maxLiteralTokens = 2000

// constant returns a constant as JSON, nil when it holds a variable.
func constant(v *ast.Value) *schema.Value {
	if v == nil {
		return nil
	}
	switch v.Kind {
	case ast.IntValue, ast.FloatValue:
		n, err := schema.Parse([]byte(v.Raw))
		if err != nil {
			return nil
		}
		return n
	case ast.StringValue, ast.BlockValue, ast.EnumValue:
		return schema.Text(v.Raw)
	case ast.BooleanValue:
		return schema.Boolean(v.Raw == "true")
	case ast.NullValue:
		return &schema.Value{}
	case ast.ListValue:
		out := schema.List()
		for _, c := range v.Children {
			e := constant(c.Value)
			if e == nil {
				return nil
			}
			out.Members = append(out.Members, schema.Member{Value: e})
		}
		return out
	case ast.ObjectValue:
		out := schema.Map()
		for _, c := range v.Children {
			e := constant(c.Value)
			if e == nil {
				return nil
			}
			out.Put(c.Name, e)
		}
		return out
	default:
		return nil
	}
}

// maxSchemaTokens bounds a schema; GitHub's has 160,000.
const maxSchemaTokens = 8_000_000

// parseSDL reads a schema in the definition language.
func parseSDL(name string, text []byte) (*ast.SchemaDocument, error) {
	doc, err := parser.ParseSchemaWithLimit(&ast.Source{Name: name, Input: string(text)}, maxSchemaTokens)
	if err != nil {
		return nil, fmt.Errorf("it is neither SDL nor an introspection result: %w", err)
	}
	return doc, nil
}
