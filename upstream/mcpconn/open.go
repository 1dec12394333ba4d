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

// route delivers a message that came on a shared stream: progress by its token, a log message to one request of each client, a question to the
// request it can be about. It reports false for every other message.
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
	case "notifications/cancelled": // it takes back a question that went to one of them; the others do not know its id
		for _, one := range o.listening() {
			one.deliver(m)
		}
		return true
	}
	if m.Kind == rawjson.Request && askable(m.MethodName()) {
		if one, ok := asked(o.listening()); ok {
			one.deliver(m)
			return true
		}
	}
	return false
}

func (o *openRequests) byToken(token []byte) *openRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range o.byID {
		if one.tokenOf(token) {
			return one
		}
	}
	return nil
}

// listening returns the requests that take messages, oldest first.
func (o *openRequests) listening() []*openRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []*openRequest
	for _, one := range o.byID {
		if one.onMessage != nil {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b *openRequest) int { return int(a.id - b.id) })
	return all
}

// concerning is what is open at a server, as far as the choice of whom it asks is concerned.
type concerning interface{ about() *request }

func (r *request) about() *request { return r }

// asked returns the open request that a question of the server is about, when it came on a channel that several share and nothing says so: of all
// that take messages, oldest first. It is the oldest of the only client that can be asked, or of the only one of these that is not away with a
// question already, or else the oldest that refuses. While requests of several owners are open there is none: nobody's question may be
// shown to another.
func asked[T concerning](all []T) (one T, ok bool) {
	var able, present, refusing []T
	for _, w := range all {
		r := w.about()
		switch {
		case r.owner != all[0].about().owner:
			return one, false
		case r.askable:
			able = append(able, w)
			if r.parked == nil || !r.parked() {
				present = append(present, w)
			}
		case r.refuses:
			refusing = append(refusing, w)
		}
	}
	switch {
	case len(able) == 0 && len(refusing) > 0:
		return refusing[0], true
	case ofOneClient(able):
		return able[0], true
	case ofOneClient(present):
		return present[0], true
	}
	return one, false
}

// ofOneClient reports whether there is anything, and all of it is one client's.
func ofOneClient[T concerning](all []T) bool {
	for _, w := range all {
		if r := w.about(); len(all) > 1 && (r.session == "" || r.session != all[0].about().session) {
			return false
		}
	}
	return len(all) > 0
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
