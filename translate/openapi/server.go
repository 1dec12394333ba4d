package openapi

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir/translate/schema"
)

// server is where an operation is called: scheme, host and the path in front, escaped.
type server struct {
	scheme, host, prefix string
}

// parseServer checks an address that requests may be sent to.
func parseServer(address string) (*server, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("server %q is no URL", address)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("server %q is neither http nor https", address)
	case u.Host == "":
		return nil, fmt.Errorf("server %q has no host", address)
	case u.User != nil:
		return nil, fmt.Errorf("server %q has a user in it; configure credentials", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("server %q has a query or fragment", address)
	}
	prefix := strings.TrimRight(u.EscapedPath(), "/")
	for segment := range strings.SplitSeq(prefix, "/") {
		if segment == "." || segment == ".." {
			return nil, fmt.Errorf("server %q has a dot segment", address)
		}
	}
	return &server{u.Scheme, u.Host, prefix}, nil
}

// origin is scheme, host and port.
func (s *server) origin() string { return s.scheme + "://" + s.host }

// serverOf picks the server of an operation: the configured one, else the first of its list that is https, else the first. The error says
// what to configure.
func (b *builder) serverOf(o *operation) (*server, error) {
	if b.spec.Server != "" {
		return b.resolveServer(b.spec.Server)
	}
	if b.description.main.dialect == swagger2 {
		return b.swaggerServer(o)
	}
	var addresses []string
	for i := range b.description.first(o.servers, maxChoices) {
		at := o.servers.element(i)
		address, err := b.fillServer(at.value)
		if err != nil {
			b.description.warn(at, "the server is not used: %v", err)
			continue
		}
		addresses = append(addresses, address)
	}
	if len(addresses) == 0 {
		addresses = []string{"/"}
	}
	var failed error
	for _, wanted := range [...]string{"https:", ""} {
		for _, a := range addresses {
			s, err := b.resolveServer(a)
			if err != nil {
				failed = err
			} else if strings.HasPrefix(s.origin(), wanted) {
				return s, nil
			}
		}
	}
	return nil, failed
}

func listed(v *schema.Value) []schema.Member {
	if v.Is(schema.Array) {
		return v.Members
	}
	return nil
}

// resolveServer resolves an address against that of the description.
func (b *builder) resolveServer(address string) (*server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("server %q is no URL", address)
	}
	if !u.IsAbs() {
		if b.base == nil {
			return nil, fmt.Errorf("server %q is relative and the description was read from a file; configure server", address)
		}
		u = b.base.ResolveReference(u)
	}
	return parseServer(u.String())
}

// fillServer puts the variables into the URL of a server: configured values, which must be among those that the description lists, or the defaults.
func (b *builder) fillServer(v *schema.Value) (string, error) {
	address := v.GetText("url")
	if address == "" {
		return "", fmt.Errorf("it has no url")
	}
	for _, m := range v.Object("variables") {
		value, configured := b.spec.Variables[m.Key]
		if !configured {
			value = scalarText(m.Value.Get("default"))
		} else if list := m.Value.Get("enum").Strings(); len(list) > 0 && !slices.Contains(list, value) {
			return "", fmt.Errorf("variable %s is %q, which is not one of %s", m.Key, value, strings.Join(list, ", "))
		}
		if strings.ContainsFunc(value, isControl) {
			return "", fmt.Errorf("variable %s has control characters", m.Key)
		}
		address = strings.ReplaceAll(address, "{"+m.Key+"}", value)
	}
	if open := strings.IndexByte(address, '{'); open >= 0 {
		return "", fmt.Errorf("the variable in %q has no value; configure it under variables", address[open:])
	}
	return address, nil
}

// swaggerServer makes the server of a 2.0 description of schemes, host and basePath.
func (b *builder) swaggerServer(o *operation) (*server, error) {
	root := b.description.main.root
	host, path := root.GetText("host"), root.GetText("basePath")
	if host == "" {
		return b.resolveServer("/" + strings.TrimPrefix(path, "/"))
	}
	scheme := "https"
	if schemes := b.description.nearest("schemes", o.at).value.Strings(); len(schemes) > 0 && !slices.Contains(schemes, scheme) {
		scheme = schemes[0]
	}
	return b.resolveServer(scheme + "://" + host + "/" + strings.TrimPrefix(path, "/"))
}
