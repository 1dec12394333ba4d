package server

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

// Limits of parked calls: the upstream calls of modern clients that wait for an answer.
const (
	parkedPerOwner = 100
	parkedInAll    = 10_000
	parkedFor      = 10 * time.Minute
	// gather is how long weir waits for further questions after the first, so that simultaneous ones make one round.
	gather = 5 * time.Millisecond
	// heldNotifications bounds what an upstream says while no client listens.
	heldNotifications = 256
)

// parking keeps upstream calls open between the rounds of modern clients (spec 2026-07-28, basic/patterns/mrtr). A legacy upstream asks in the
// middle of a call; a modern client is asked by the end of its request and answers with the next one.
type parking struct {
	sealer *sealer
	after  time.Duration // expiry of a round nobody resumes

	mu    sync.Mutex
	next  uint64
	slots map[uint64]*slot
	count map[string]int // by owner
}

func newParking() *parking {
	return &parking{sealer: newSealer(), after: parkedFor, slots: make(map[uint64]*slot), count: make(map[string]int)}
}

// slot is one upstream call that may be parked.
type slot struct {
	id      uint64
	owner   string
	binding [32]byte
	client  *catalog.Client
	cancel  context.CancelCauseFunc
	over    chan struct{} // closed when the upstream call has returned
	answer  *catalog.Answer
	err     error
	wanting wanting

	mu     sync.Mutex
	round  uint32
	asked  int // numbers questions
	open   map[string]*question
	raised chan struct{}              // ready when a question was added
	notify func(catalog.Notification) // of the client that now waits, nil while parked
	held   []catalog.Notification     // what came while parked
	expiry *time.Timer                // runs while parked
}

// question is one request of the upstream that no client has answered yet.
type question struct {
	request catalog.Request
	answer  chan []byte
}

var (
	errParkExpired = errors.New("nobody answered in time")
	errClientLeft  = errors.New("the client went away")
)

// begin enters a call whose upstream may ask; run makes it. It fails when too many calls are parked.
func (k *parking) begin(ctx context.Context, r *Request, binding [32]byte, run func(context.Context, *slot) (*catalog.Answer, error)) (*slot, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	owner := r.Principal.Owner()
	if k.count[owner] >= parkedPerOwner || len(k.slots) >= parkedInAll {
		return nil, &catalog.Error{Code: catalog.Limited, Msg: "too many calls wait for an answer of their user", Execution: catalog.NotExecuted}
	}
	k.next++
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	s := &slot{
		id: k.next, owner: owner, binding: binding, client: ownClient(r.Client), cancel: cancel, over: make(chan struct{}),
		open: make(map[string]*question), raised: make(chan struct{}, 1),
	}
	k.slots[s.id] = s
	k.count[owner]++
	go func() {
		defer close(s.over)
		defer cancel(nil)
		defer func() {
			if p := recover(); p != nil {
				s.err = fault.Recovered(p)
			}
		}()
		s.answer, s.err = run(ctx, s)
	}()
	return s, nil
}

// ownClient copies what a client said of itself out of its message, which the call outlives.
func ownClient(c *catalog.Client) *catalog.Client {
	own := *c
	if own.Session == "" {
		own.Session = rand.Text() // an upstream that asks on a shared channel means somebody
	}
	own.Capabilities, own.Info = slices.Clone(c.Capabilities), slices.Clone(c.Info)
	return &own
}

// leave removes a slot; its tokens mean nothing from now on. Who gets true owns what the call came to.
func (k *parking) leave(s *slot) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.slots[s.id] != s {
		return false
	}
	delete(k.slots, s.id)
	if k.count[s.owner]--; k.count[s.owner] == 0 {
		delete(k.count, s.owner)
	}
	return true
}

// expire ends a call whose round nobody resumed, and drops what it came to.
func (k *parking) expire(s *slot) {
	if !k.leave(s) {
		return
	}
	s.cancel(errParkExpired)
	<-s.over
	if s.answer != nil {
		s.answer.Release()
	}
}

// resume finds the slot of a requestState and hands it the answers that came with it. Every reason to refuse has the same words: they would
// help only who should not have the token.
func (k *parking) resume(m *rawjson.Message, binding [32]byte) (*slot, error) {
	refused := &catalog.Error{Code: catalog.NotFound, Msg: errTicket.Error() + ": it expired, was used, or belongs to another request; send the request again without it"}
	token, ok := rawjson.String(m.RequestState.Of(m.Data))
	if !ok {
		return nil, refused
	}
	t, err := k.sealer.open(token, binding)
	if err != nil || time.Now().After(t.expiry) {
		return nil, refused
	}
	k.mu.Lock()
	s := k.slots[t.slot]
	k.mu.Unlock()
	if s == nil || s.binding != binding || !s.enter(t.round) {
		return nil, refused
	}
	s.deliver(m.InputResponses.Of(m.Data))
	if s.asks() {
		s.raise() // what was not answered is asked again
	}
	return s, nil
}

func (s *slot) asks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) > 0
}

// raise says that a question is open.
func (s *slot) raise() {
	select {
	case s.raised <- struct{}{}:
	default:
	}
}

// enter begins the round after the one that the token was made for; false when that one was entered before.
func (s *slot) enter(round uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.round != round || s.expiry == nil || !s.expiry.Stop() {
		return false
	}
	s.round, s.expiry = s.round+1, nil
	return true
}

// deliver hands answers to the questions they belong to; others are ignored.
func (s *slot) deliver(responses []byte) {
	if responses == nil {
		return
	}
	_ = rawjson.Members(responses, func(key []byte, _, value rawjson.Span) bool { // accepted by the scanner already
		s.mu.Lock()
		q := s.open[string(key)]
		delete(s.open, string(key))
		s.mu.Unlock()
		if q != nil {
			q.answer <- slices.Clone(value.Of(responses))
		}
		return true
	})
}

// ask is the Ask of a parked call: it waits, over rounds, for the client's answer.
func (s *slot) ask(ctx context.Context, r catalog.Request) ([]byte, error) {
	if err := s.wanting.refuse(s.client.Capabilities, r); err != nil {
		return nil, err
	}
	q := &question{request: catalog.Request{Method: r.Method, Params: slices.Clone(r.Params)}, answer: make(chan []byte, 1)}
	s.mu.Lock()
	s.asked++
	key := "q" + strconv.Itoa(s.asked)
	s.open[key] = q
	s.mu.Unlock()
	s.raise()
	select {
	case a := <-q.answer:
		return a, nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.open, key)
		s.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// say passes a notification to the client that waits now, or keeps it for the next one.
func (s *slot) say(n catalog.Notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notify != nil {
		s.notify(n)
		return
	}
	if len(s.held) < heldNotifications {
		s.held = append(s.held, catalog.Notification{Method: n.Method, Params: slices.Clone(n.Params)})
	}
}

// attach makes r the request whose stream carries notifications until the returned func is called.
func (s *slot) attach(r *Request) (detach func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify = func(n catalog.Notification) { notifyAs(r, n) }
	for _, n := range s.held {
		s.notify(n)
	}
	s.held = nil
	return func() {
		s.mu.Lock()
		s.notify = nil
		s.mu.Unlock()
	}
}

// notifyAs passes a notification to r. Progress goes under the token of r, which is another than that of the request that began the call.
func notifyAs(r *Request, n catalog.Notification) {
	if r.Notify == nil {
		return
	}
	if n.Method == "notifications/progress" {
		token := r.Message.Meta.ProgressToken
		f, err := rawjson.Fields(n.Params, "progressToken")
		if token.Absent() || err != nil || f[0].Absent() {
			return
		}
		n.Params = rawjson.Splice(nil, n.Params, rawjson.Span{End: len(n.Params)}, rawjson.Edit{Span: f[0], With: token.Of(r.Message.Data)})
	}
	r.Notify(n)
}

// wait returns when the upstream call is over (nil) or asks something (the result for the client); gone is when the client leaves.
func (k *parking) wait(gone context.Context, s *slot) []byte {
	for {
		select {
		case <-s.over:
			k.leave(s)
			return nil
		case <-gone.Done():
			s.cancel(errClientLeft)
			<-s.over
			k.leave(s)
			return nil
		case <-s.raised:
			gathered := time.NewTimer(gather)
			select {
			case <-s.over:
				gathered.Stop()
				k.leave(s)
				return nil
			case <-gathered.C:
			}
			if result := k.park(s); result != nil {
				return result
			}
		}
	}
}

// park makes the input_required result of the open questions, and starts the clock of the round. Nil when none is open any more.
func (k *parking) park(s *slot) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 {
		return nil
	}
	keys := make([]string, 0, len(s.open))
	for key := range s.open {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	b := []byte(`{"resultType":"input_required","inputRequests":{`)
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		q := s.open[key].request
		b = rawjson.AppendString(append(rawjson.AppendString(b, key), `:{"method":`...), q.Method)
		if q.Params != nil {
			b = append(append(b, `,"params":`...), q.Params...)
		}
		b = append(b, '}')
	}
	expiry := time.Now().Add(k.after)
	s.expiry = time.AfterFunc(k.after, func() { k.expire(s) })
	token := k.sealer.seal(ticket{slot: s.id, round: s.round, expiry: expiry}, s.binding)
	return append(rawjson.AppendString(append(b, `},"requestState":`...), token), '}')
}

// close ends every parked call and waits for them.
func (k *parking) close() {
	k.mu.Lock()
	open := make([]*slot, 0, len(k.slots))
	for _, s := range k.slots {
		open = append(open, s)
	}
	k.mu.Unlock()
	for _, s := range open {
		s.mu.Lock()
		if s.expiry != nil {
			s.expiry.Stop()
		}
		s.mu.Unlock()
		k.expire(s)
	}
}

// crosses reports whether a call may come to questions that its client cannot be asked as they come: the client can be asked only between requests, and
// the upstream asks only in the middle of one.
func crosses(r *Request, s *catalog.Snapshot, e *catalog.Entry) bool {
	if r.Client.Era != catalog.Modern {
		return false
	}
	for _, src := range s.Sources() {
		if src.Upstream == e.Ref.Upstream {
			return src.Legacy
		}
	}
	return false
}

// usePark is the last step of use for a call that may be parked: it begins or resumes the upstream call, and answers with what it
// came to or with what it asks.
func (g *Gateway) usePark(ctx context.Context, r *Request, e *Event, entry *catalog.Entry, target string) (*Reply, error) {
	binding := bind(r.Principal, e.Method, entry, target, r.Message.Arguments.Of(r.Message.Data))
	var s *slot
	var err error
	if !r.Message.RequestState.Absent() {
		s, err = g.parking.resume(r.Message, binding)
	} else if err = g.observer.Intent(ctx, e); err == nil {
		call, ref := g.call(r, e, entry, target), e.Ref
		s, err = g.parking.begin(ctx, r, binding, func(ctx context.Context, s *slot) (*catalog.Answer, error) {
			return g.upstream.Call(ctx, g.guardBetween(s.call(call), ref))
		})
	}
	if err != nil {
		return nil, err
	}
	defer s.attach(r)()
	if result := g.parking.wait(ctx, s); result != nil {
		e.Outcome, r.waits = "input_required", true
		return g.inputRequired(r, result), nil
	}
	if s.err != nil {
		return nil, s.err
	}
	if reply := s.wanting.missed(r, e, s.answer); reply != nil {
		return reply, nil
	}
	return g.answer(r, e, s.answer), nil
}

// call makes the upstream call of a slot, which outlives the request that began it: with a message of its own.
func (s *slot) call(c *catalog.Call) *catalog.Call {
	m := *c.Message
	m.Data = slices.Clone(m.Data)
	c.Message, c.Client, c.Notify, c.Ask, c.Parked = &m, s.client, s.say, s.ask, s.parked
	return c
}

// parked reports whether the client is away, to come back with an answer.
func (s *slot) parked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expiry != nil
}

// inputRequired is the reply with an input_required result of weir's own.
func (g *Gateway) inputRequired(r *Request, result []byte) *Reply {
	reply := newReply(statusOK)
	reply.add(envelopeID, r.Message.ID.Of(r.Message.Data), envelopeResult, openBrace, openMeta, g.wire.meta, []byte(`},`), result[1:], envelopeEnd)
	return reply
}
