package graphqltest

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graph-gophers/graphql-go"
)

// Schema is the schema of the library in the definition language.
//
//go:embed library.graphql
var Schema string

// bigInt is an integer of any size.
type bigInt string

// ImplementsGraphQLType implements the scalar for graphql-go.
func (bigInt) ImplementsGraphQLType(name string) bool { return name == "BigInt" }

// UnmarshalGraphQL implements the scalar for graphql-go.
func (b *bigInt) UnmarshalGraphQL(input any) error {
	switch v := input.(type) {
	case json.Number:
		*b = bigInt(v.String())
	case string:
		*b = bigInt(v)
	case float64:
		*b = bigInt(strconv.FormatFloat(v, 'f', -1, 64))
	case int32:
		*b = bigInt(strconv.Itoa(int(v)))
	default:
		return fmt.Errorf("%T is no integer", input)
	}
	for i, c := range []byte(*b) {
		if (c < '0' || c > '9') && (i > 0 || c != '-') {
			return fmt.Errorf("%q is no integer", string(*b))
		}
	}
	return nil
}

// MarshalJSON writes the digits as they are.
func (b bigInt) MarshalJSON() ([]byte, error) { return []byte(b), nil }

// upload is a file of a multipart request.
type upload struct {
	Name, MimeType string
	Content        []byte
}

// ImplementsGraphQLType implements the scalar for graphql-go.
func (upload) ImplementsGraphQLType(name string) bool { return name == "Upload" }

// UnmarshalGraphQL implements the scalar for graphql-go: the transport has put the file into the place of null.
func (u *upload) UnmarshalGraphQL(input any) error {
	file, ok := input.(upload)
	if !ok {
		return errors.New("a file comes in a multipart request")
	}
	*u = file
	return nil
}

type author struct {
	ID    graphql.ID
	Name  string
	rival string
	shelf *shelf
}

func (a *author) Rival() *author { return a.shelf.author(a.rival) }

func (a *author) Books(args struct{ Genre string }) []*book {
	return a.shelf.filter(func(b *book) bool { return b.author == string(a.ID) && b.Genre == args.Genre })
}

type book struct {
	ID      graphql.ID
	Title   string
	Genre   string
	Pages   *int32
	Printed bigInt
	Rating  *float64
	author  string
	review  string
	shelf   *shelf
}

func (b *book) Author() *author { return b.shelf.author(b.author) }

// codeError is an error with a code.
type codeError struct{ text, code string }

func (e codeError) Error() string              { return e.text }
func (e codeError) Extensions() map[string]any { return map[string]any{"code": e.code} }

func (b *book) Review() (*string, error) {
	if b.review == "" {
		return nil, codeError{"book " + string(b.ID) + " has no review", "NO_REVIEW"}
	}
	return &b.review, nil
}

type magazine struct {
	ID     graphql.ID
	Title  *string
	Rating *int32
}

// item is a union member or a node.
type item struct{ value any }

func (i *item) ToBook() (*book, bool)         { b, ok := i.value.(*book); return b, ok }
func (i *item) ToMagazine() (*magazine, bool) { m, ok := i.value.(*magazine); return m, ok }
func (i *item) ToAuthor() (*author, bool)     { a, ok := i.value.(*author); return a, ok }

// ID is that of the value.
func (i *item) ID() graphql.ID {
	switch v := i.value.(type) {
	case *book:
		return v.ID
	case *magazine:
		return v.ID
	case *author:
		return v.ID
	}
	return ""
}

type pageState struct {
	HasNextPage bool
	EndCursor   *string
}

type edge struct {
	Cursor string
	Node   *book
}

type connection struct {
	Edges      []edge
	Nodes      []*book
	PageInfo   pageState
	TotalCount int32
}

type file struct {
	Filename string
	MimeType string
	Size     int32
	Content  string
	Note     *string
}

type condition struct {
	Title    *string
	Genre    *string
	MinPages *int32
	All      *[]condition
	Not      *condition
}

func (c *condition) holds(b *book) bool {
	if c.Title != nil && !strings.Contains(b.Title, *c.Title) || c.Genre != nil && b.Genre != *c.Genre ||
		c.MinPages != nil && (b.Pages == nil || *b.Pages < *c.MinPages) || c.Not != nil && c.Not.holds(b) {
		return false
	}
	if c.All != nil {
		for _, inner := range *c.All {
			if !inner.holds(b) {
				return false
			}
		}
	}
	return true
}

// shelf is the root resolver and everything it knows.
type shelf struct {
	mu      sync.Mutex
	books   []*book
	authors []*author
	papers  []*magazine
	Added   int // how many books were added
	gaveUp  atomic.Int32
}

func newShelf() *shelf {
	s := &shelf{}
	s.authors = []*author{{ID: "a1", Name: "Ursula K. Le Guin", rival: "a2", shelf: s}, {ID: "a2", Name: "Stanisław Lem", rival: "a1", shelf: s}}
	for i, b := range [...]book{
		{Title: "The Dispossessed", Genre: "FICTION", Pages: new(int32(341)), author: "a1", review: "Two worlds.", Printed: "9007199254740993", Rating: new(4.5)},
		{Title: "The Left Hand of Darkness", Genre: "FICTION", Pages: new(int32(286)), author: "a1", review: "Winter.", Printed: "1000000"},
		{Title: "Solaris", Genre: "FICTION", Pages: new(int32(204)), author: "a2", Printed: "500000"},
		{Title: "Summa Technologiae", Genre: "SCIENCE", author: "a2", review: "Ahead of its time.", Printed: "20000"},
		{Title: "Words Are My Matter", Genre: "HISTORY", Pages: new(int32(352)), author: "a1", review: "On writing.", Printed: "30000"},
	} {
		b.ID, b.shelf = graphql.ID("b"+strconv.Itoa(i+1)), s
		s.books = append(s.books, &b)
	}
	s.papers = []*magazine{{ID: "m1", Title: new("The Reader"), Rating: new(int32(3))}}
	return s
}

func (s *shelf) author(id string) *author {
	for _, a := range s.authors {
		if string(a.ID) == id {
			return a
		}
	}
	return nil
}

func (s *shelf) filter(keep func(*book) bool) []*book {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []*book{}
	for _, b := range s.books {
		if keep(b) {
			all = append(all, b)
		}
	}
	return all
}

// Book resolves the field of that name, as all methods below do.
func (s *shelf) Book(args struct{ ID graphql.ID }) *book {
	if found := s.filter(func(b *book) bool { return b.ID == args.ID }); len(found) > 0 {
		return found[0]
	}
	return nil
}

func (s *shelf) Books(args struct {
	Genre *string
	First *int32
	After *string
},
) (*connection, error) {
	if args.First == nil {
		return nil, errors.New("you must provide first")
	}
	all := s.filter(func(b *book) bool { return args.Genre == nil || b.Genre == *args.Genre })
	c := &connection{Edges: []edge{}, Nodes: []*book{}, TotalCount: int32(len(all))}
	from := 0
	if args.After != nil {
		n, err := strconv.Atoi(strings.TrimPrefix(*args.After, "c"))
		if err != nil {
			return nil, errors.New("after is no cursor")
		}
		from = min(n, len(all))
	}
	to := min(from+int(*args.First), len(all))
	for i, b := range all[from:to] {
		c.Nodes = append(c.Nodes, b)
		c.Edges = append(c.Edges, edge{Cursor: "c" + strconv.Itoa(from+i+1), Node: b})
	}
	c.PageInfo.HasNextPage = to < len(all)
	if to > from {
		c.PageInfo.EndCursor = new("c" + strconv.Itoa(to))
	}
	return c, nil
}

func (s *shelf) Search(args struct{ Text string }) []*item {
	var all []*item
	for _, b := range s.filter(func(b *book) bool { return strings.Contains(b.Title, args.Text) }) {
		all = append(all, &item{b})
	}
	for _, m := range s.papers {
		if strings.Contains(*m.Title, args.Text) {
			all = append(all, &item{m})
		}
	}
	return append([]*item{}, all...)
}

func (s *shelf) Node(args struct{ ID graphql.ID }) *item {
	if b := s.Book(args); b != nil {
		return &item{b}
	}
	if a := s.author(string(args.ID)); a != nil {
		return &item{a}
	}
	for _, m := range s.papers {
		if m.ID == args.ID {
			return &item{m}
		}
	}
	return nil
}

func (s *shelf) Matching(args struct {
	Condition condition
	Limit     int32
},
) []*book {
	all := s.filter(args.Condition.holds)
	return all[:min(len(all), int(args.Limit))]
}

func (s *shelf) Echo(args struct{ Text string }) string    { return args.Text }
func (s *shelf) Number(args struct{ Value bigInt }) bigInt { return args.Value }
func (s *shelf) Broken() (*string, error)                  { return nil, codeError{"it is broken", "BROKEN"} }

func (s *shelf) Long(args struct{ Letters int32 }) string {
	return strings.Repeat("x", int(args.Letters))
}

func (s *shelf) Refused(context.Context) (<-chan int32, error) {
	return nil, errors.New("nobody may listen")
}

func (s *shelf) Slow(ctx context.Context, args struct{ Milliseconds int32 }) (string, error) {
	select {
	case <-ctx.Done():
		s.gaveUp.Add(1)
		return "", ctx.Err()
	case <-time.After(time.Duration(args.Milliseconds) * time.Millisecond):
		return "done", nil
	}
}

func (s *shelf) AddBook(args struct {
	Input struct {
		Title            string
		Genre            string
		Author           graphql.ID
		Pages            *int32
		Printed          *bigInt
		ClientMutationID *string
	}
},
) (*book, error) {
	if s.author(string(args.Input.Author)) == nil {
		return nil, errors.New("there is no such author")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &book{
		ID: graphql.ID("b" + strconv.Itoa(len(s.books)+1)), Title: args.Input.Title, Genre: args.Input.Genre, author: string(args.Input.Author),
		Pages: args.Input.Pages, Printed: "0", review: "New.", shelf: s,
	}
	if args.Input.Printed != nil {
		b.Printed = *args.Input.Printed
	}
	s.books = append(s.books, b)
	s.Added++
	return b, nil
}

func kept(u upload, note *string) *file {
	return &file{Filename: u.Name, MimeType: u.MimeType, Size: int32(len(u.Content)), Content: string(u.Content), Note: note}
}

func (s *shelf) Keep(args struct {
	File upload
	Note *string
},
) *file {
	return kept(args.File, args.Note)
}

func (s *shelf) KeepAll(args struct{ Files []upload }) []*file {
	all := []*file{}
	for _, u := range args.Files {
		all = append(all, kept(u, nil))
	}
	return all
}

func (s *shelf) Ticks(ctx context.Context, args struct {
	Count        int32
	Milliseconds *int32
},
) <-chan int32 {
	pause := time.Millisecond
	if args.Milliseconds != nil {
		pause *= time.Duration(*args.Milliseconds)
	}
	out := make(chan int32)
	go func() {
		defer close(out)
		for i := range args.Count {
			select {
			case <-ctx.Done():
				s.gaveUp.Add(1)
				return
			case <-time.After(pause):
			}
			select {
			case <-ctx.Done():
				s.gaveUp.Add(1)
				return
			case out <- i + 1:
			}
		}
	}()
	return out
}
