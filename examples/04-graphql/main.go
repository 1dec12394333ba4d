// Command 04-graphql runs the example with one command: it is the API, and it builds weir and runs weir serve (or what its arguments say) with the
// example's configuration. Run it in the root of the repository.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/graph-gophers/graphql-go"

	"weir/examples/internal/launch"
)

//go:embed schema.graphql
var schema string

// person and film are resolved by their fields and methods, as graphql-go has it.
type person struct {
	Name string
	club *club
}

func (p *person) Films() []*film {
	return p.club.keep(func(f *film) bool { return f.director == p.Name })
}

type film struct {
	ID       graphql.ID
	Title    string
	Year     int32
	Genre    string
	SeenBy   []string
	director string
	club     *club
}

func (f *film) Director() *person { return &person{f.director, f.club} }

// club is the root of the API.
type club struct {
	mu    sync.Mutex
	films []*film
}

func (c *club) keep(want func(*film) bool) []*film {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []*film{}
	for _, f := range c.films {
		if want(f) {
			copied := *f
			all = append(all, &copied)
		}
	}
	return all
}

// Films resolves the query of that name.
func (c *club) Films(args struct {
	Wish *struct {
		Genre *string
		Since *int32
	}
	First int32
},
) []*film {
	all := c.keep(func(f *film) bool {
		w := args.Wish
		return w == nil || (w.Genre == nil || *w.Genre == f.Genre) && (w.Since == nil || *w.Since <= f.Year)
	})
	return all[:min(len(all), max(0, int(args.First)))]
}

// Film resolves the query of that name.
func (c *club) Film(args struct{ ID graphql.ID }) *film {
	for _, f := range c.keep(func(f *film) bool { return f.ID == args.ID }) {
		return f
	}
	return nil
}

// MarkSeen resolves the mutation of that name.
func (c *club) MarkSeen(args struct {
	Film   graphql.ID
	Member string
},
) (*film, error) {
	c.mu.Lock()
	for _, f := range c.films {
		if f.ID == args.Film && !slices.Contains(f.SeenBy, args.Member) {
			f.SeenBy = append(slices.Clip(f.SeenBy), args.Member)
		}
	}
	c.mu.Unlock()
	if f := c.Film(struct{ ID graphql.ID }{args.Film}); f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("there is no film %q", args.Film)
}

func newClub() *club {
	c := &club{}
	for i, f := range [...]film{
		{Title: "Jeanne Dielman", Year: 1975, Genre: "DRAMA", director: "Chantal Akerman"},
		{Title: "News from Home", Year: 1976, Genre: "DOCUMENTARY", director: "Chantal Akerman"},
		{Title: "Playtime", Year: 1967, Genre: "COMEDY", director: "Jacques Tati"},
	} {
		f.ID, f.SeenBy, f.club = graphql.ID(fmt.Sprint(i+1)), []string{}, c
		c.films = append(c.films, &f)
	}
	return c
}

// start serves the API on the address that weir.yaml reads too.
func start(ctx context.Context, _ string) (stop func(), err error) {
	parsed, err := graphql.ParseSchema(schema, newClub(), graphql.UseFieldResolvers())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /graphql", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Query, OperationName string
			Variables            map[string]any
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&q); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(parsed.Exec(r.Context(), q.Query, q.OperationName, q.Variables)) // the client went away
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return nil, launch.Serve(ctx, launch.Address("FILMS_URL", "127.0.0.1:7804"), s.Serve)
}

func main() {
	launch.Main(launch.Example{Name: "04-graphql", Start: start})
}
