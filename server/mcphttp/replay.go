package mcphttp

import (
	"container/list"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/server"
)

// limits bound what is kept for clients that come back. What was kept longest goes first.
type limits struct {
	events int // of one stream
	bytes  int // of one stream
	inAll  int // bytes, of all streams
	// after is how long a stream can be taken up again once it has ended, or once nobody reads it.
	after time.Duration
}

func defaultLimits() limits {
	return limits{events: 512, bytes: 4 << 20, inAll: 64 << 20, after: 5 * time.Minute}
}

// eventCost is what an event costs beside its text, in bytes.
const eventCost = 256

// replay keeps the last events of legacy clients' streams, so that a client whose connection broke hears what it missed
// (spec 2025-11-25, streamable-http, resumability). Streams are looked up only together with the session they belong to.
type replay struct {
	limits limits

	mu      sync.Mutex
	next    uint64
	streams map[uint64]*stream
	events  list.List // of *event, of all streams, oldest first
	bytes   int
}

// event is one event that was sent, whole.
type event struct {
	of    *stream
	seq   uint64
	frame []byte
	place *list.Element
}

func newReplay(l limits) *replay {
	return &replay{limits: l, streams: make(map[uint64]*stream)}
}

// open begins a stream of a session: of one request, or with an outlet the one that belongs to none.
func (r *replay) open(s *server.Session, outlet *server.Outlet) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	st := &stream{replay: r, id: r.next, session: s, outlet: outlet}
	r.streams[st.id] = st
	return st
}

// find returns the stream of an event id and the event's number in it; nil when s has no such stream.
func (r *replay) find(s *server.Session, id string) (*stream, uint64) {
	name, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return nil, 0
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return nil, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.streams[n]
	if st == nil || st.session != s {
		return nil, 0
	}
	return st, seq
}

// keep adds an event of st.
func (r *replay) keep(st *stream, seq uint64, frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams[st.id] != st {
		return
	}
	e := &event{of: st, seq: seq, frame: frame}
	e.place = r.events.PushBack(e)
	st.kept = append(st.kept, e)
	st.bytes += len(frame) + eventCost
	r.bytes += len(frame) + eventCost
	for len(st.kept) > r.limits.events || st.bytes > r.limits.bytes {
		r.drop(st)
	}
	for r.bytes > r.limits.inAll {
		r.drop(r.events.Front().Value.(*event).of) //nolint:errcheck,forcetypeassert // nothing else is put there
	}
}

// drop forgets the oldest event of st. r.mu is held.
func (r *replay) drop(st *stream) {
	e := st.kept[0]
	st.kept[0] = nil
	st.kept = st.kept[1:]
	st.bytes -= len(e.frame) + eventCost
	r.bytes -= len(e.frame) + eventCost
	r.events.Remove(e.place)
}

// since returns the events of st after number seq of last, and counts st as read unless it is over; false when one of them is not kept any more, or was
// never sent.
func (r *replay) since(st *stream, seq, last uint64, over bool) (frames [][]byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams[st.id] != st || seq > last || seq < last && (len(st.kept) == 0 || st.kept[0].seq > seq+1) {
		return nil, false
	}
	for _, e := range st.kept {
		if e.seq > seq {
			frames = append(frames, e.frame)
		}
	}
	if !over {
		st.left = time.Time{}
	}
	return frames, true
}

// unread notes that nobody reads st from now on.
func (r *replay) unread(st *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.left = time.Now()
}

// others are the streams of st's session that, like st, belong to no request.
func (r *replay) others(st *stream) (unread []*stream, someRead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.streams {
		switch {
		case o == st || o.session != st.session || o.outlet == nil:
		case o.left.IsZero():
			someRead = true
		default:
			unread = append(unread, o)
		}
	}
	return unread, someRead
}

// sweep forgets the streams of ended sessions, and those that were left too long ago at now.
func (r *replay) sweep(now time.Time) {
	var old []*stream
	r.mu.Lock()
	for id, st := range r.streams {
		if hasEnded(st.session) || !st.left.IsZero() && now.Sub(st.left) > r.limits.after {
			for len(st.kept) > 0 {
				r.drop(st)
			}
			delete(r.streams, id)
			old = append(old, st)
		}
	}
	r.mu.Unlock()
	for _, st := range old {
		st.mute()
	}
}

func hasEnded(s *server.Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}
