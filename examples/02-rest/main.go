// Command 02-rest runs the example with one command: it is the API, and it builds weir and runs weir serve (or what its arguments say) with the
// example's configuration. Run it in the root of the repository.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/examples/internal/launch"
)

// book is one book of the library.
type book struct {
	ISBN   string `json:"isbn"`
	Title  string `json:"title"`
	Author string `json:"author"`
	Reader string `json:"reader,omitempty"`
}

// library is the API.
type library struct {
	mu    sync.Mutex
	books []book
}

func (l *library) list(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		limit = len(l.books)
	}
	found := []book{}
	for _, b := range l.books {
		if len(found) < limit && strings.Contains(b.Author, r.FormValue("author")) {
			found = append(found, b)
		}
	}
	answer(w, http.StatusOK, found)
}

func (l *library) get(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.find(r.PathValue("isbn")); b != nil {
		answer(w, http.StatusOK, *b)
		return
	}
	answer(w, http.StatusNotFound, map[string]string{"message": "no such book"})
}

func (l *library) lend(w http.ResponseWriter, r *http.Request) {
	var loan struct{ ISBN, Reader string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&loan); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.find(loan.ISBN)
	switch {
	case b == nil:
		answer(w, http.StatusNotFound, map[string]string{"message": "no such book"})
	case b.Reader != "":
		answer(w, http.StatusConflict, map[string]string{"message": b.Reader + " has it"})
	default:
		b.Reader = loan.Reader
		answer(w, http.StatusCreated, map[string]string{"isbn": b.ISBN, "reader": b.Reader, "due": "2026-12-24"})
	}
}

// find returns the book, nil when there is none. l.mu is held.
func (l *library) find(isbn string) *book {
	for i := range l.books {
		if l.books[i].ISBN == isbn {
			return &l.books[i]
		}
	}
	return nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away
}

// start serves the API on the address that weir.yaml reads too.
func start(ctx context.Context, _ string) (stop func(), err error) {
	l := &library{books: []book{
		{ISBN: "1", Title: "The Left Hand of Darkness", Author: "Ursula K. Le Guin"},
		{ISBN: "2", Title: "Kindred", Author: "Octavia E. Butler"},
		{ISBN: "3", Title: "The Dispossessed", Author: "Ursula K. Le Guin"},
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books", l.list)
	mux.HandleFunc("GET /books/{isbn}", l.get)
	mux.HandleFunc("POST /loans", l.lend)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return nil, launch.Serve(ctx, launch.Address("LIBRARY_URL", "127.0.0.1:7802"), s.Serve)
}

func main() {
	launch.Main(launch.Example{Name: "02-rest", Start: start})
}
