package graphql

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"weir/translate"
)

// Spec is what the configuration of an upstream says about a GraphQL API.
type Spec struct {
	// An include or exclude pattern is words that must all match, each a glob: name of the operation or tool, Query.field, kind:mutation.
	translate.Spec `yaml:"-"`

	// GraphQL is the endpoint: an http or https URL.
	GraphQL string `yaml:"graphql"`
	// Schema is the schema, as SDL or as the JSON of an introspection: a file or an http or https URL. Empty asks the endpoint.
	Schema string `yaml:"schema"`
	// Operations are files with operations, folders of them, or manifests of persisted operations. Each operation becomes a tool.
	Operations []string `yaml:"operations"`
	// Generate says whether a tool is made for each root field of the schema: always, never, or auto, which makes them when Operations is empty.
	Generate string `yaml:"generate"`
	// Mutations lets generated tools and query texts change something. Mutations that Operations holds are tools in any case.
	Mutations bool `yaml:"mutations"`
	// Subscriptions says how events are received: sse or websocket. Empty makes no tools of subscriptions.
	Subscriptions string `yaml:"subscriptions"`
	// SubscriptionURL is the endpoint for them; empty means that of GraphQL.
	SubscriptionURL string `yaml:"subscriptionUrl"`
	// Events is how many events one call collects at most; 0 means 100.
	Events int `yaml:"events"`
	// Depth is how many levels of objects a generated operation selects, 1 to 5; 0 means 2.
	Depth int `yaml:"depth"`
	// Scalars says what custom scalars are: the name of a JSON type, or a JSON Schema.
	Scalars map[string]translate.Literal `yaml:"scalars"`
	// Persisted says what is sent of an operation: nothing sends its text; hash sends its SHA-256 as Apollo servers take it, and the text when
	// the server asks for it; id and documentId send the identifier of the manifest under that name.
	Persisted string `yaml:"persisted"`
	// Get sends queries by GET, which caches between here and there can answer. It goes with persisted.
	Get bool `yaml:"get"`
	// PartialIsError makes a failure of every answer with errors; it keeps its data. Otherwise only one without data is a failure.
	PartialIsError bool `yaml:"partialIsError"`
	// Query is the tool that takes a query text of a model's own.
	Query Query `yaml:"query"`
}

// Query bounds query texts of a model's own. What is 0 has its default.
type Query struct {
	// Enabled lists the tool.
	Enabled bool `yaml:"enabled"`
	// Depth is how many fields may stand inside each other; 0 means 8.
	Depth int `yaml:"depth"`
	// Fields is how many fields there may be, those of a fragment as often as it is spread; 0 means 200.
	Fields int `yaml:"fields"`
	// Aliases is how many of them may have another name in the answer; 0 means 10.
	Aliases int `yaml:"aliases"`
	// Cost is how many fields may be answered, each as often as the lists around it are asked for elements; 0 means 5000.
	Cost int `yaml:"cost"`
}

func (q Query) limits() Query {
	for _, x := range [...]struct {
		to *int
		by int
	}{{&q.Depth, 8}, {&q.Fields, 200}, {&q.Aliases, 10}, {&q.Cost, 5000}} {
		if *x.to <= 0 {
			*x.to = x.by
		}
	}
	return q
}

const (
	overSSE       = "sse"
	overWebSocket = "websocket"

	persistHash       = "hash"
	persistID         = "id"
	persistDocumentID = "documentId"

	defaultEvents = 100
	defaultDepth  = 2
	maxDepth      = 5
	// fieldsDepth is how deep the paths of the fields argument may lead.
	fieldsDepth = 8
)

func (s *Spec) depth() int {
	if s.Depth <= 0 {
		return defaultDepth
	}
	return min(s.Depth, maxDepth)
}

func (s *Spec) events() int {
	if s.Events <= 0 {
		return defaultEvents
	}
	return s.Events
}

// Remote reports whether the schema comes over the network.
func (s *Spec) Remote() bool { return s.Schema == "" || isURL(s.Schema) }

// file is the file with the schema.
func (s *Spec) file() string { return strings.TrimPrefix(s.Schema, "file://") }

// place is where the schema comes from, for people.
func (s *Spec) place() string {
	if !s.Remote() {
		return filepath.Base(s.file())
	}
	if u, err := url.Parse(cmp.Or(s.Schema, s.GraphQL)); err == nil {
		return translate.Address(u)
	}
	return "schema"
}

// Addresses are where requests go, that of the API first, as http and https URLs.
func (s *Spec) Addresses() []string {
	all := []string{s.GraphQL, s.SubscriptionURL, s.Schema}
	for i, address := range all {
		if rest, ok := strings.CutPrefix(address, "ws"); ok {
			all[i] = "http" + rest
		}
	}
	return all
}

// generates reports whether root fields become tools.
func (s *Spec) generates() bool {
	return s.Generate == "always" || s.Generate != "never" && len(s.Operations) == 0
}

// Check finds settings that are none.
func (s *Spec) Check() error {
	if err := translate.CheckMode(s.Mode); err != nil {
		return err
	}
	for _, x := range [...]struct {
		key, value string
		known      []string
	}{
		{"generate", s.Generate, []string{"auto", "always", "never"}},
		{"subscriptions", s.Subscriptions, []string{overSSE, overWebSocket}},
		{"persisted", s.Persisted, []string{persistHash, persistID, persistDocumentID}},
	} {
		if x.value != "" && !slices.Contains(x.known, x.value) {
			return fmt.Errorf("%s %q is none of %s", x.key, x.value, strings.Join(x.known, ", "))
		}
	}
	if err := endpoint(s.GraphQL, "http", "https"); err != nil {
		return fmt.Errorf("graphql: %w", err)
	}
	if s.SubscriptionURL != "" {
		if err := endpoint(s.SubscriptionURL, "http", "https", "ws", "wss"); err != nil {
			return fmt.Errorf("subscriptionUrl: %w", err)
		}
	}
	if s.Get && s.Persisted == "" {
		return errors.New("get goes with persisted")
	}
	return nil
}

// endpoint checks an address that requests may be sent to.
func endpoint(address string, schemes ...string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("it is no URL")
	}
	if u.User != nil {
		return errors.New("it has a user in it; configure credentials")
	}
	if !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("its scheme is none of %s", strings.Join(schemes, ", "))
	}
	return nil
}
