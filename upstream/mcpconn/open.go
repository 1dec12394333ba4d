package mcpconn

import (
	"slices"
	"sync"

	"weir/catalog/rawjson"
)

// openRequests are the requests in flight, for messages that reach them on another stream than their own.
type openRequests struct {
	mu   sync.Mutex
	byID map[int64]*openRequest
}

// openRequest serializes what different streams deliver to one request.
type openRequest struct {
	*request
	mu   sync.Mutex
	over bool
}

func (o *openRequests) add(r *request) *openRequest {
	one := &openRequest{request: r}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byID == nil {
		o.byID = map[int64]*openRequest{}
	}
	o.byID[r.id] = one
	return one
}

// remove ends the delivery to a request; it waits for one that is under way.
func (o *openRequests) remove(id int64) {
	o.mu.Lock()
	one := o.byID[id]
	delete(o.byID, id)
	o.mu.Unlock()
	one.mu.Lock()
	one.over = true
	one.mu.Unlock()
}

// deliver passes a message on, unless the request is over.
func (o *openRequest) deliver(m *rawjson.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over && o.onMessage != nil {
		o.onMessage(m)
	}
}

// route delivers a message that came on a shared stream: progress by its token, a log message to one request of each client. It reports false for
// every other message.
func (o *openRequests) route(m *rawjson.Message) bool {
	switch m.MethodName() {
	case "notifications/progress":
		if one := o.byToken(m.ProgressToken.Of(m.Data)); one != nil {
			one.deliver(m)
		}
		return true
	case "notifications/message":
		for _, one := range o.onePerSession() {
			one.deliver(m)
		}
		return true
	}
	return false
}

func (o *openRequests) byToken(token []byte) *openRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, one := range o.byID {
		if isID(token, id) {
			return one
		}
	}
	return nil
}

// onePerSession returns the oldest open request of each client.
func (o *openRequests) onePerSession() []*openRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	oldest := map[string]*openRequest{}
	for id, one := range o.byID {
		if first := oldest[one.session]; first == nil || id < first.id {
			oldest[one.session] = one
		}
	}
	all := make([]*openRequest, 0, len(oldest))
	for _, one := range oldest {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *openRequest) int { return int(a.id - b.id) })
	return all
}
