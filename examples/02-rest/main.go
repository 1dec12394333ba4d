// Command 02-rest runs the example with one command: it is the API, and it builds weir and runs weir serve (or what its arguments say) with the
// example's configuration. Run it in the root of the repository.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
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

// serve answers on the address that weir.yaml reads too, unless another copy of the example does already.
func serve(ctx context.Context) error {
	addr := "127.0.0.1:7802"
	if u, err := url.Parse(os.Getenv("LIBRARY_URL")); err == nil && u.Host != "" {
		addr = u.Host
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	if err != nil {
		return err
	}
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
	go func() { _ = s.Serve(ln) }() // it ends with the program
	return nil
}

func main() {
	// Ctrl-C reaches weir by itself; this program only has to outlive it. SIGTERM is passed on.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "02-rest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	bin, err := os.MkdirTemp("", "weir-example-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	fmt.Fprintln(os.Stderr, "02-rest: building weir")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(filepath.Separator), "./cmd/weir")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build (is this the root of the repository?): %w", err)
	}
	if err := serve(ctx); err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"serve"}
	}
	weir := exec.CommandContext(ctx, filepath.Join(bin, "weir"), append(args, "--config", "examples/02-rest/weir.yaml")...)
	weir.Stdin, weir.Stdout, weir.Stderr = os.Stdin, os.Stdout, os.Stderr
	weir.Cancel = func() error { return weir.Process.Signal(syscall.SIGTERM) }
	weir.WaitDelay = time.Minute
	return weir.Run()
}
