package config

import (
	"net/textproto"
	"reflect"
	"slices"
	"strings"

	"weir/translate"
	"weir/translate/graphql"
	"weir/translate/grpc"
	"weir/translate/openapi"
	tree "weir/translate/schema"
	"weir/upstream"
	"weir/upstream/cred"
	"weir/upstream/mcpconn"
)

// apiKinds are the keys that name the description of an API.
func apiKinds() []string { return []string{"openapi", "grpc", "graphql"} }

// apiKeys are the keys that mean something for an API only.
func apiKeys() []string {
	keys := slices.Concat(keysOf(reflect.TypeFor[translate.Spec]()), keysOf(reflect.TypeFor[openapi.Spec]()), keysOf(reflect.TypeFor[grpc.Spec]()), keysOf(reflect.TypeFor[graphql.Spec]()))
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "tools" }) // which sets deadlines elsewhere
	return keys
}

// checkAPI checks what goes with an API.
func (r *reader) checkAPI(n *node, kind *member, s upstream.Spec, path string) {
	at, target := join(path, kind.key.text), kind.value
	if target.kind == text {
		switch full, err := r.expand.Expand(target.text); {
		case err != nil: // reported with the reference
		case strings.TrimSpace(full) == "":
			r.problem(target.at, "%s: is empty", at)
		case kind.key.text == "grpc":
			if fault := grpcFault(s.GRPC, full, r.expand.Expand); fault != nil {
				r.problem(target.at, "%s: %v", path, fault)
			}
		case kind.key.text == "graphql":
			if fault := graphqlFault(s.GraphQL, full, r.expand.Expand); fault != nil {
				r.problem(target.at, "%s.%v", path, fault)
			}
		case isURL(full):
			if fault := r.urlFault(target.text); fault != "" {
				r.problem(target.at, "%s: %s", at, fault)
			}
		case s.OpenAPI.Server == "":
			r.nowhere(n, path, "headers")
			r.nowhere(n, path, "credentials")
		}
	}
	r.misplaced(n, path, kind.key.text, slices.Concat(otherKinds(kind.key.text), childKeys(), []string{"type", "era", "elicitationHosts"})...)
	r.checkHeaders(n.get("headers"), path)
	r.checkCredentials(n.get("credentials"), s.Credentials, path, false)
	r.checkClientTLS(n, s, path)
}

// checkClientTLS reports a certificate without its key.
func (r *reader) checkClientTLS(n *node, s upstream.Spec, path string) {
	if m := n.member("tls"); m != nil && (s.TLS.Cert == "") != (s.TLS.Key == "") {
		r.problem(m.key.at, "%s.tls: cert and key go together", path)
	}
}

// checkServerCredentials reports credentials that an MCP server cannot have.
func (r *reader) checkServerCredentials(n *node, s upstream.Spec, path string) {
	all := n.get("credentials")
	if all == nil || all.kind != object {
		return
	}
	r.checkCredentials(all, s.Credentials, path, true)
	for _, m := range all.members {
		at := path + ".credentials." + m.key.text
		if m.key.text != cred.ForServer {
			r.problem(m.key.at, "%s: the credential of an MCP server is called %s", at, cred.ForServer)
			continue
		}
		c, headers := s.Credentials[m.key.text], n.get("headers")
		name := textproto.CanonicalMIMEHeaderKey(c.Header)
		switch {
		case c.Header != "" && (!isToken(name) || mcpconn.ReservedHeader(name)):
			r.problem(m.key.at, "%s.header: %q is no header that can be set", at, c.Header)
		case c.Header == "" && c.Query == "" && !c.Certificate && headers != nil && slices.ContainsFunc(headers.members, func(h member) bool { return strings.EqualFold(h.key.text, "Authorization") }):
			r.problem(m.key.at, "%s: headers.Authorization is one already; remove one", at)
		}
	}
}

// otherKinds are the keys that mean something for APIs of other kinds only.
func otherKinds(kind string) []string {
	var keys []string
	for name, t := range map[string]reflect.Type{"openapi": reflect.TypeFor[openapi.Spec](), "grpc": reflect.TypeFor[grpc.Spec](), "graphql": reflect.TypeFor[graphql.Spec]()} {
		if name != kind {
			keys = append(keys, keysOf(t)...)
		}
	}
	slices.Sort(keys)
	return keys
}

// grpcFault says what is wrong with the settings of a gRPC server at an address, references in the others looked up.
func grpcFault(s grpc.Spec, address string, expand func(string) (string, error)) error {
	s.GRPC, s.Replicas = address, slices.Clone(s.Replicas)
	for i, text := range s.Replicas {
		full, err := expand(text)
		if err != nil {
			return nil //nolint:nilerr // reported with the reference
		}
		s.Replicas[i] = full
	}
	return s.Check()
}

// graphqlFault says what is wrong with the settings of a GraphQL API at an address. What the schema of the configuration knows is left to that.
func graphqlFault(s graphql.Spec, address string, expand func(string) (string, error)) error {
	full, err := expand(s.SubscriptionURL)
	if err != nil {
		return nil //nolint:nilerr // reported with the reference
	}
	return (&graphql.Spec{GraphQL: address, SubscriptionURL: full, Get: s.Get, Persisted: s.Persisted}).Check()
}

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

// nowhere reports what is meant for the API while nothing but a file says where that is.
func (r *reader) nowhere(n *node, path, key string) {
	if m := n.member(key); m != nil && m.value.kind != null {
		r.problem(m.key.at, "%s.%s go to no address that a description names; add server, the URL of the API", path, key)
	}
}

// checkCredentials reports credentials that contradict themselves.
func (r *reader) checkCredentials(n *node, all map[string]cred.Spec, path string, server bool) {
	if n == nil || n.kind != object {
		return
	}
	for _, m := range n.members {
		c := all[m.key.text]
		for _, text := range [...]*string{&c.TokenURL, &c.Issuer} {
			if full, err := r.expand.Expand(*text); err == nil {
				*text = full
			}
		}
		if err := c.Check(); err != nil && m.value.kind == object {
			r.problem(m.key.at, "%s.credentials.%s: %v", path, m.key.text, err)
		}
		if !server && c.SignIn() {
			r.problem(m.key.at, "%s.credentials.%s: users sign in to MCP servers only", path, m.key.text)
		}
		if n := m.value; n.kind == object && !server {
			r.misplaced(n, path+".credentials."+m.key.text, "an API, whose description says where the value goes", "header", "query")
		}
	}
}

// literal is n as a JSON value, its texts with the references in them.
func (r *reader) literal(n *node) *tree.Value {
	v := &tree.Value{Text: n.text}
	switch n.kind {
	case boolean:
		v.Kind, v.Text = tree.Bool, strings.ToLower(n.text)
	case number:
		parsed, err := tree.Parse([]byte(n.text))
		if err != nil {
			r.problem(n.at, "%s is no number of JSON; put it in quotes if it is text", n.text)
			return v
		}
		return parsed
	case text:
		r.references(n)
		v.Kind = tree.String
	case list:
		v.Kind = tree.Array
		for _, i := range n.items {
			v.Members = append(v.Members, tree.Member{Value: r.literal(i)})
		}
	case object:
		v.Kind = tree.Object
		r.duplicates(n, "")
		for _, m := range n.members {
			v.Members = append(v.Members, tree.Member{Key: m.key.text, Value: r.literal(m.value)})
		}
	case null:
		v.Kind, v.Text = tree.Null, ""
	}
	return v
}
