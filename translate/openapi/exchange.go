package openapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/catalog"
	"weir/catalog/room"
	"weir/translate"
	"weir/translate/schema"
)

// exchange is one call on its way to the API and back.
type exchange struct {
	api     *API
	tool    *tool
	call    *catalog.Call
	args    *schema.Value
	timeout time.Duration
	out     *outgoing // what was answered last
	secrets []string  // what credentials put on the request; it never comes back to a model
	memory  room.Room // of what was answered
}

// maxRedirects bounds how often a read follows its own origin.
const maxRedirects = 3

// run sends the request and makes a result of whatever comes.
func (x *exchange) run(ctx context.Context, out *outgoing) *translate.Result {
	response, failure := x.fetch(ctx, out)
	if failure != nil {
		return failure
	}
	defer func() { _ = response.Body.Close() }()
	return x.result(ctx, response)
}

// fetch sends a request, with another credential where the first was refused, and follows where the API moved a read.
func (x *exchange) fetch(ctx context.Context, out *outgoing) (*http.Response, *translate.Result) {
	schemes := usableAlternative(x.tool.plan.security, x.api.options.Configured)
	response, failure := x.send(ctx, out, schemes)
	if failure != nil {
		return nil, failure
	}
	if response.StatusCode == http.StatusUnauthorized && x.renew(ctx, schemes) {
		_ = response.Body.Close() // the API did not run the call
		if response, failure = x.send(ctx, out, schemes); failure != nil {
			return nil, failure
		}
	}
	for range maxRedirects {
		next := x.redirect(response, out)
		if next == nil {
			break
		}
		_ = response.Body.Close()
		out = next
		if response, failure = x.send(ctx, out, schemes); failure != nil {
			return nil, failure
		}
	}
	x.out = out
	return response, nil
}

func (x *exchange) renew(ctx context.Context, schemes alternative) bool {
	renewed := false
	for _, s := range schemes {
		renewed = x.api.options.Credentials.Renew(ctx, s, x.call.Owner) || renewed
	}
	return renewed
}

// send puts the credentials on a copy of the request and sends it.
func (x *exchange) send(ctx context.Context, out *outgoing, schemes alternative) (*http.Response, *translate.Result) {
	u := *out.url
	bare := &outgoing{method: out.method, url: &u, header: out.header.Clone(), body: out.body}
	r := bare.request().WithContext(ctx)
	for _, s := range schemes {
		if err := x.api.options.Credentials.Authorize(ctx, r, s, x.call.Owner); err != nil {
			return nil, translate.Failure(fmt.Sprintf("The call was not sent: no credential could be had for %s: %v.", s.Name, err))
		}
	}
	if r.URL.Scheme != out.url.Scheme || r.URL.Host != out.url.Host || r.URL.EscapedPath() != out.url.EscapedPath() {
		return nil, translate.Failure("The call was not sent: a credential changed where it goes.")
	}
	x.remember(out, r)
	translate.Trace(x.call, r.Header.Set)
	x.call.Hop.At(r.URL)
	response, err := x.api.options.Transport.RoundTrip(r)
	if err != nil {
		return nil, x.unreached(ctx, err)
	}
	return response, nil
}

// remember notes what the credentials added, and what else of configuration goes with the request: headers, and arguments that models do not see.
func (x *exchange) remember(out *outgoing, r *http.Request) {
	add := func(s string) {
		if !slices.Contains(x.secrets, s) {
			x.secrets = append(x.secrets, s)
		}
	}
	for _, values := range x.api.options.Headers {
		for _, v := range values {
			add(v)
		}
	}
	for i := range x.tool.plan.arguments {
		if a := &x.tool.plan.arguments[i]; a.Fixed.Is(schema.String) {
			add(a.Fixed.Text)
			add(url.QueryEscape(a.Fixed.Text))
		}
	}
	for name, values := range r.Header {
		for _, v := range values {
			if out.header.Get(name) != v {
				add(v)
				_, after, _ := strings.Cut(v, " ")
				add(after)
			}
		}
	}
	if r.URL.RawQuery != out.url.RawQuery {
		before := out.url.Query()
		for name, values := range r.URL.Query() {
			if !before.Has(name) {
				for _, v := range values {
					add(v)
					add(url.QueryEscape(v))
				}
			}
		}
	}
}

// scrub takes credentials out of a text that an API echoed.
func (x *exchange) scrub(s string) string {
	if clean := translate.Scrub(x.secrets); clean != nil {
		return clean(s)
	}
	return s
}

// unreached describes a request that got no answer.
func (x *exchange) unreached(ctx context.Context, err error) *translate.Result {
	text, unusual := x.tool.Unreached(ctx, err, x.timeout)
	if unusual {
		x.api.options.Log.Warn("a call got no answer", "upstream", x.api.options.Upstream, "tool", x.tool.Name, "error", x.scrub(err.Error()))
	}
	return translate.Failure(text)
}

// redirect returns the request that follows a redirect, nil when there is none to follow: only reads follow, and only their own origin,
// so that neither arguments nor credentials go elsewhere.
func (x *exchange) redirect(response *http.Response, out *outgoing) *outgoing {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	location, err := out.url.Parse(response.Header.Get("Location"))
	if err != nil || out.method != http.MethodGet || response.Header.Get("Location") == "" ||
		location.Scheme != out.url.Scheme || location.Host != out.url.Host || location.User != nil {
		return nil
	}
	location.Fragment = ""
	return &outgoing{method: out.method, url: location, header: out.header}
}

// body reads the answer. cut says that it cannot be used.
func (x *exchange) body(ctx context.Context, response *http.Response) (data []byte, cut string) {
	return x.api.spec.ReadBody(ctx, response, &x.memory)
}
