package graphqltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"
	"github.com/graph-gophers/graphql-go"
)

// Request is one operation that reached the server.
type Request struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName"`
	Variables     json.RawMessage `json:"variables"`
	Extensions    json.RawMessage `json:"extensions"`
	ID            string          `json:"id"`
	DocumentID    string          `json:"documentId"`

	Method string      `json:"-"` // of the HTTP request
	Header http.Header `json:"-"`
}

// Server is the library over HTTP. Safe for concurrent use.
type Server struct {
	schema *graphql.Schema
	shelf  *shelf
	// Persisted are the texts of persisted operations by their identifiers; nil takes texts only.
	Persisted map[string]string
	// Key is what requests must have in Authorization, and sessions of WebSockets in their first message, the header alone is not enough; empty for
	// nothing.
	Key string

	mu      sync.Mutex
	ledger  []Request
	Running sync.WaitGroup // requests under way
}

var _ http.Handler = (*Server)(nil)

// New returns a server with five books.
func New() *Server {
	s := newShelf()
	return &Server{schema: graphql.MustParseSchema(Schema, s, graphql.UseFieldResolvers()), shelf: s}
}

// Ledger returns what reached the server, introspection left out, and empties it.
func (s *Server) Ledger() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.ledger
	s.ledger = nil
	return all
}

// Added is how many books were added.
func (s *Server) Added() int {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	return s.shelf.Added
}

// note puts a request into the ledger and gives it its text.
func (s *Server) note(r *http.Request, q *Request) error {
	q.Method, q.Header = r.Method, r.Header.Clone()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(q.Query, "__schema") {
		s.ledger = append(s.ledger, *q)
	}
	if q.Query != "" {
		return nil
	}
	var e struct {
		PersistedQuery struct {
			SHA256Hash string `json:"sha256Hash"`
		} `json:"persistedQuery"`
	}
	_ = json.Unmarshal(q.Extensions, &e)
	for _, id := range [...]string{q.ID, q.DocumentID, e.PersistedQuery.SHA256Hash} {
		if text, ok := s.Persisted[id]; ok {
			q.Query = text
			return nil
		}
	}
	return errors.New("PersistedQueryNotFound")
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Running.Add(1)
	defer s.Running.Done()
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.socket(w, r)
		return
	}
	if s.Key != "" && r.Header.Get("Authorization") != s.Key {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	q, variables, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.note(r, q); err != nil {
		answer(w, map[string]any{"errors": []any{map[string]any{"message": err.Error(), "extensions": map[string]any{"code": "PERSISTED_QUERY_NOT_FOUND"}}}})
		return
	}
	if strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
		s.events(w, r, q, variables)
		return
	}
	answer(w, s.schema.Exec(r.Context(), q.Query, q.OperationName, variables))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/graphql-response+json")
	_ = json.NewEncoder(w).Encode(v)
}

// read reads a request by GET, POST or as a form with files.
func read(r *http.Request) (*Request, map[string]any, error) {
	q := &Request{}
	if r.Method == http.MethodGet {
		values := r.URL.Query()
		q.Query, q.OperationName, q.ID, q.DocumentID = values.Get("query"), values.Get("operationName"), values.Get("id"), values.Get("documentId")
		q.Variables, q.Extensions = json.RawMessage(values.Get("variables")), json.RawMessage(values.Get("extensions"))
		variables, err := decode(q.Variables)
		return q, variables, err
	}
	name, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, nil, err
	case name == "multipart/form-data" && params["boundary"] != "":
		return form(r)
	case name != "application/json":
		return nil, nil, fmt.Errorf("%s is not taken", name)
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(data, q); err != nil {
		return nil, nil, err
	}
	variables, err := decode(q.Variables)
	return q, variables, err
}

// decode reads variables: integers that a double cannot hold stay as they are written.
func decode(data []byte) (map[string]any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	plain, _ := numbers(v).(map[string]any)
	return plain, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil && (n > 1<<53 || n < -1<<53) || err != nil && !strings.ContainsAny(v.String(), ".eE") {
			return v
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

// form reads a multipart request: operations, the map of places, and files.
func form(r *http.Request) (*Request, map[string]any, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, 32<<20)
	if err := r.ParseMultipartForm(8 << 20); err != nil { //nolint:gosec // the body is bounded
		return nil, nil, err
	}
	q := &Request{}
	if err := json.Unmarshal([]byte(r.FormValue("operations")), q); err != nil {
		return nil, nil, err
	}
	variables, err := decode(q.Variables)
	if err != nil {
		return nil, nil, err
	}
	var places map[string][]string
	if err := json.Unmarshal([]byte(r.FormValue("map")), &places); err != nil {
		return nil, nil, err
	}
	for key, paths := range places {
		in, header, err := r.FormFile(key)
		if err != nil {
			return nil, nil, err
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, nil, err
		}
		u := upload{Name: header.Filename, MimeType: header.Header.Get("Content-Type"), Content: content}
		for _, path := range paths {
			if !put(map[string]any{"variables": variables}, strings.Split(path, "."), u) {
				return nil, nil, fmt.Errorf("%s leads nowhere", path)
			}
		}
	}
	return q, variables, nil
}

// put puts a file into the place of a null.
func put(at any, steps []string, u upload) bool {
	switch v := at.(type) {
	case map[string]any:
		inner, there := v[steps[0]]
		if len(steps) == 1 && there && inner == nil {
			v[steps[0]] = u
			return true
		}
		return len(steps) > 1 && put(inner, steps[1:], u)
	case []any:
		i, err := strconv.Atoi(steps[0])
		if err != nil || i < 0 || i >= len(v) {
			return false
		}
		if len(steps) == 1 && v[i] == nil {
			v[i] = u
			return true
		}
		return len(steps) > 1 && put(v[i], steps[1:], u)
	}
	return false
}

// events answers a subscription in the distinct connections mode of graphql-sse.
func (s *Server) events(w http.ResponseWriter, r *http.Request, q *Request, variables map[string]any) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	responses, err := s.schema.Subscribe(ctx, q.Query, q.OperationName, variables)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	_, _ = io.WriteString(w, ":\n\n")
	for response := range responses {
		data, err := json.Marshal(response)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "event: next\ndata: %s\n\n", data); err != nil {
			cancel()
		}
		_ = flush.Flush()
	}
	_, _ = io.WriteString(w, "event: complete\ndata:\n\n")
}

type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket answers one subscription in the protocol graphql-transport-ws.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	hear := func() (m message, err error) {
		_, data, err := conn.Read(ctx)
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		return m, err
	}
	say := func(m message) error {
		data, err := json.Marshal(m)
		if err != nil {
			return err
		}
		return conn.Write(ctx, websocket.MessageText, data)
	}
	first, err := hear()
	if err != nil || first.Type != "connection_init" {
		_ = conn.Close(4401, "Unauthorized")
		return
	}
	var given struct{ Authorization string }
	if s.Key != "" && (json.Unmarshal(first.Payload, &given) != nil || given.Authorization != s.Key) {
		_ = conn.Close(4403, "Forbidden")
		return
	}
	if say(message{Type: "connection_ack"}) != nil || say(message{Type: "ping"}) != nil {
		return
	}
	m, err := hear()
	for err == nil && m.Type == "pong" {
		m, err = hear()
	}
	q := &Request{}
	if err != nil || m.Type != "subscribe" || json.Unmarshal(m.Payload, q) != nil {
		return
	}
	go func() { // the end of the connection ends the subscription
		defer cancel()
		for {
			if m, err := hear(); err != nil || m.Type == "complete" {
				return
			}
		}
	}()
	s.stream(ctx, r, m.ID, q, say)
	_ = conn.Close(websocket.StatusNormalClosure, "")
}

// stream sends the events of one subscription.
func (s *Server) stream(ctx context.Context, r *http.Request, id string, q *Request, say func(message) error) {
	variables, err := decode(q.Variables)
	if err == nil {
		err = s.note(r, q)
	}
	if err != nil {
		_ = say(message{ID: id, Type: "error", Payload: json.RawMessage(`[{"message":"unreadable"}]`)})
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	responses, err := s.schema.Subscribe(ctx, q.Query, q.OperationName, variables)
	if err != nil {
		_ = say(message{ID: id, Type: "error", Payload: json.RawMessage(`[{"message":"no subscription"}]`)})
		return
	}
	for response := range responses {
		data, err := json.Marshal(response)
		if err != nil || say(message{ID: id, Type: "next", Payload: data}) != nil {
			cancel()
		}
	}
	_ = say(message{ID: id, Type: "complete"})
}

// GaveUp is how many slow calls and subscriptions ended because nobody waited for them any more.
func (s *Server) GaveUp() int { return int(s.shelf.gaveUp.Load()) }
