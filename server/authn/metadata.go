package authn

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// WellKnown is where clients look for the metadata of a protected resource (RFC 9728, 3).
const WellKnown = "/.well-known/oauth-protected-resource"

// metadataOf is the URL of a resource's metadata: the well-known path stands before its own (RFC 9728, 3.1).
func metadataOf(u *url.URL) string {
	m := url.URL{Scheme: u.Scheme, Host: u.Host, Path: WellKnown + strings.TrimSuffix(u.Path, "/")}
	return m.String()
}

// hasMetadata reports whether there is anything that clients could learn from the metadata.
func (s *state) hasMetadata() bool { return len(s.issuers) > 0 }

// document is a resource's metadata (RFC 9728, 2). Only the scopes that are always needed are in it.
func (s *state) document(res *resource) []byte {
	doc := struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
		ScopesSupported      []string `json:"scopes_supported,omitempty"`
		BearerMethods        []string `json:"bearer_methods_supported"`
		Name                 string   `json:"resource_name"`
	}{Resource: res.url, ScopesSupported: res.scopes, BearerMethods: []string{"header"}, Name: "weir"}
	for _, i := range s.issuers {
		doc.AuthorizationServers = append(doc.AuthorizationServers, i.spec.Issuer)
	}
	b, err := json.Marshal(doc)
	if err != nil { // strings and lists of them
		return nil
	}
	return append(b, '\n')
}

// Metadata serves the metadata of every resource below [WellKnown], that of the first at WellKnown itself too. It is for everybody.
func (a *Authenticator) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := a.state.Load()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		res := s.described(r.URL.Path)
		if res == nil || !s.hasMetadata() {
			http.Error(w, "there is no such resource", http.StatusNotFound)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(res.document) // the client may be gone
	})
}

// described finds the resource that a well-known path is about. What stands behind the well-known part is the path of its URL, which clients know, and
// not the path at which weir serves it: a proxy may stand between.
func (s *state) described(path string) *resource {
	rest, ok := strings.CutPrefix(path, WellKnown)
	if !ok {
		return nil
	}
	for i, res := range s.resources {
		if rest == res.urlPath || i == 0 && (rest == "" || rest == "/") {
			return res
		}
	}
	return nil
}

// MetadataPaths are the paths that Metadata serves; none without issuers.
func (a *Authenticator) MetadataPaths() []string {
	s := a.state.Load()
	if !s.hasMetadata() {
		return nil
	}
	paths := []string{WellKnown}
	for _, res := range s.resources {
		paths = append(paths, WellKnown+res.urlPath)
	}
	return paths
}
