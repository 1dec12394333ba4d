package translate

import (
	"fmt"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate/schema"
)

// Collector gathers what a stream brings until a limit is met. Each item is progress for a caller that asked for it.
type Collector struct {
	Call  *catalog.Call
	Name  string // what the items are called: items, messages
	Limit int    // bytes of all of them
	Most  int    // items
	items []*schema.Value
	size  int
	why   string // why collecting ended before the stream
}

// Add takes one item of a size in bytes.
func (s *Collector) Add(v *schema.Value, size int) {
	if s.size += size; s.size > s.Limit {
		s.Stop("the limit of " + Bytes(s.Limit) + " is reached")
		return
	}
	s.items = append(s.items, v)
	if len(s.items) == s.Most {
		s.Stop(fmt.Sprintf("the limit of %d %s is reached", s.Most, s.Name))
	}
	s.progress()
}

// Stop says why nothing more is taken; the first reason stays.
func (s *Collector) Stop(why string) {
	if s.why == "" {
		s.why = why
	}
}

// Stopped reports whether collecting ended before the stream.
func (s *Collector) Stopped() bool { return s.why != "" }

// Len is how many items were taken.
func (s *Collector) Len() int { return len(s.items) }

// progress tells the caller how many items have come, when it gave a token.
func (s *Collector) progress() {
	c := s.Call
	token := c.Message.Meta.ProgressToken.Of(c.Message.Data)
	if c.Notify == nil || token == nil {
		return
	}
	params := append([]byte(`{"progressToken":`), token...)
	params = fmt.Appendf(params, `,"progress":%d}`, len(s.items))
	c.Notify(catalog.Notification{Method: "notifications/progress", Params: params})
}

// Result is everything that was taken, and whether that is all. scrub may be nil.
func (s *Collector) Result(scrub func(string) string) *Result {
	value := schema.Map(
		schema.Member{Key: s.Name, Value: schema.List(s.items...)},
		schema.Member{Key: "complete", Value: schema.Boolean(s.why == "")},
	)
	if s.why != "" {
		value.Put("stopped", schema.Text(s.why))
	}
	text := value.JSON()
	if scrub != nil {
		text = scrub(text)
	}
	r := &Result{}
	r.AddText(text)
	if rawjson.Valid([]byte(text)) == nil {
		r.SetStructured([]byte(text))
	}
	return r
}
