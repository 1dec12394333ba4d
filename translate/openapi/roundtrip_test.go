package openapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"weir/translate/schema"
)

// oracle reads a description with another library. The error says why that cannot read it.
func oracle(f corpusFile) (*openapi3.T, error) {
	if !strings.Contains(f.name, "2.0") {
		return openapi3.NewLoader().LoadFromData(f.text)
	}
	v, err := schema.ParseText(f.text)
	if err != nil {
		return nil, err
	}
	var old openapi2.T
	if err := old.UnmarshalJSON([]byte(v.JSON())); err != nil {
		return nil, err
	}
	return openapi2conv.ToV3(&old)
}

// pathParameters finds the values in a path by the template, apart from the code that wrote them.
func pathParameters(template, path string) map[string]string {
	values := make(map[string]string)
	template, _, _ = strings.Cut(template, "#")
	for template != "" {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			break
		}
		end := strings.IndexByte(template, '}')
		if len(path) < open {
			return values
		}
		path = path[open:]
		name := template[open+1 : end]
		template = template[end+1:]
		until := template
		if next := strings.IndexByte(until, '{'); next >= 0 {
			until = until[:next]
		}
		stop := len(path)
		if until != "" {
			if i := strings.Index(path, until); i >= 0 {
				stop = i
			}
		}
		values[name] = path[:stop]
		path = path[stop:]
	}
	return values
}

// judge asks the oracle about a request.
func judge(doc *openapi3.T, key string, r *http.Request, prefix string) error {
	method, path, _ := strings.Cut(key, " ")
	item := doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		return errUnjudged
	}
	return openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
		Request:    r,
		PathParams: decoded(pathParameters(path, strings.TrimPrefix(r.URL.EscapedPath(), prefix))),
		Route:      &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, MultiError: false,
		},
	})
}

var errUnjudged = fmt.Errorf("the oracle does not know the operation")

func decoded(values map[string]string) map[string]string {
	for k, v := range values {
		if plain, err := url.PathUnescape(v); err == nil {
			values[k] = plain
		}
	}
	return values
}

// outcome counts what became of the requests of one description.
type outcome struct {
	judged, accepted int
	beyond           int // what the oracle says that it cannot read
	refused          []string
}

// beyond reports whether the oracle gives up on a form that the description allows: lists in deepObject, nested forms, exploded cookies.
func beyond(reason string) bool {
	return strings.Contains(reason, "invalid serialization method") || strings.Contains(reason, "unsupported schema of request body's property") ||
		strings.Contains(reason, "is not declared")
}

// cause says why a request that another library refuses is as it is meant, "" where that is not known.
func cause(reason string) string {
	for _, c := range [...]struct{ part, why string }{
		{"more than one oneOf", "the branches overlap; oneOf is anyOf on input, and the API decides"},
		{`Content-Type has unexpected value "a/a"`, "a file that may be of any type is sent as the type that the caller gives"},
		{`parameter "has" in query`, "a text or a list of texts, which are the same in a query; the oracle reads a list and wants a text"},
		{"invalid serialization method", "the oracle does not read this style"},
		{"unsupported schema of request body's property", "the oracle does not read this form"},
		{"is not declared", "the description lacks the security scheme"},
		{`parameter "Authorization"`, "the description has a parameter that OpenAPI says to ignore"},
		{"error parsing regexp", "the oracle cannot compile the pattern of the description"},
		{"value is required but missing", "an empty list leaves nothing in a query"},
		{"schema has non primitive type object", "no style says how objects inside a list are written; the oracle reads none"},
		{"does not contain the discriminator property", "the discriminator names a property of another object, which OpenAPI says to ignore"},
		{`Error at "/grant_type": property "grant_type" is missing`, "the description requires a member of a form that it does not describe, and the oracle reads described ones only"},
		{`Error at "/features/subscription_update/products"`, "an empty list, which a form cannot hold, is required inside"},
		{`Error at "/Parameter": Value is not nullable`, "the oracle reads nothing where a member of a form has no type"},
	} {
		if strings.Contains(reason, c.part) {
			return c.why
		}
	}
	if strings.Contains(reason, `doesn't match schema: Error at "/`) && strings.HasSuffix(reason, "is missing") {
		return "an empty object or list leaves nothing in a form"
	}
	return ""
}

// TestCheck6_RoundTripRequests builds a request of generated arguments for every operation and has another library check it against the description.
// What that library refuses stands in testdata/refused.txt, one line per operation, with its reason and, behind #, ours; nothing may be added to it unseen.
func TestCheck6_RoundTripRequests(t *testing.T) {
	if testing.Short() {
		t.Log("short: only small descriptions")
	}
	var total [2]outcome
	var lines []string
	for _, f := range corpus(t, "") {
		if testing.Short() && len(f.text) > 200_000 {
			continue
		}
		doc, err := oracle(f)
		if err != nil {
			why, _, _ := strings.Cut(err.Error(), "\n")
			lines = append(lines, f.name+": the oracle cannot read the description # it says: "+schema.Shorten(why, 200))
			continue
		}
		tr := translateText(t, f, Spec{})
		for mode, name := range [...]string{"required", "all"} {
			o := roundTrip(t, f, doc, tr, mode == 1)
			total[mode].judged += o.judged
			total[mode].accepted += o.accepted
			total[mode].beyond += o.beyond
			for _, r := range o.refused {
				lines = append(lines, fmt.Sprintf("%s: %s: %s", f.name, name, r))
			}
			if strings.HasPrefix(f.name, "github") || strings.HasPrefix(f.name, "kubernetes-2") {
				t.Logf("%s, %s: %d of %d", f.name, name, o.accepted, o.judged)
			}
		}
	}
	for mode, name := range [...]string{"required", "all"} {
		t.Logf("%s arguments: %d of %d accepted (%.2f %%), %d beyond the oracle", name, total[mode].accepted, total[mode].judged, share(total[mode]), total[mode].beyond)
	}
	if testing.Short() {
		return
	}
	if share(total[0]) < 99 || share(total[1]) < 97 {
		t.Error("fewer than 99 % of the requests with required arguments, or 97 % of those with all, are accepted")
	}
	file := filepath.Join("testdata", "refused.txt")
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Split(string(known), "\n")
	for _, l := range lines {
		if !strings.Contains(l, " # ") {
			t.Errorf("nobody says why: %s", l)
		}
		if !slices.Contains(old, l) {
			t.Errorf("new: %s", l)
		}
	}
}

func share(o outcome) float64 { return 100 * float64(o.accepted) / float64(max(o.judged, 1)) }

// withoutResources is a sample whose files have content of their own and are no resources besides.
func withoutResources(v *schema.Value) *schema.Value {
	if v.Get("text") != nil && v.Get("data") != nil {
		v = v.Without("resource")
	}
	for i := range v.Members {
		v.Members[i].Value = withoutResources(v.Members[i].Value)
	}
	return v
}

func roundTrip(t *testing.T, f corpusFile, doc *openapi3.T, tr translation, all bool) outcome {
	t.Helper()
	var o outcome
	for _, x := range tr.tools {
		s := schema.Sampler{Defs: x.Input.Full.Defs, Optional: all}
		v := withoutResources(s.Value(x.Input.Full.Root))
		args, refused := x.Input.Accept([]byte(v.JSON()))
		if refused != nil {
			continue // the sample is not valid; TestCheck1_3_4_5_Corpus counts those
		}
		out, err := x.plan.outgoing(t.Context(), nil, args, "")
		if err != nil {
			t.Errorf("%s: %s: %v", f.name, x.Name, err)
			continue
		}
		r := out.request()
		if r.Body == nil {
			r.Body = http.NoBody
		}
		err = judge(doc, x.identity, r, x.plan.server.prefix)
		if errors.Is(err, errUnjudged) {
			continue
		}
		reason := ""
		if err != nil {
			reason, _, _ = strings.Cut(err.Error(), "\n")
		}
		if beyond(reason) {
			o.beyond++
		} else {
			o.judged++
		}
		if err == nil {
			o.accepted++
			continue
		}
		line := x.identity + ": " + schema.Shorten(strings.ReplaceAll(reason, "\n", " "), 300)
		if why := cause(reason); why != "" {
			line += " # " + why
		}
		o.refused = append(o.refused, line)
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return o
}
