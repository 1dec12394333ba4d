package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// OnceKey is the member of a call's _meta with which a caller says which calls are one and the same: a text of the caller's own choice, new for each call that
// is meant. The proposal for such a key in the specification (SEP-3182) was not taken, so it is weir's own.
const OnceKey = "weir/idempotencyKey"

const (
	// onceKeySize bounds a key, in bytes.
	onceKeySize = 256
	// onceAnswerSize bounds an answer that is kept, in bytes.
	onceAnswerSize = 1 << 20
)

// Digest tells calls apart without saying what is in them.
type Digest = [sha256.Size]byte

// Once keeps what became of calls that have a key, so that they last. It is safe for concurrent use.
type Once interface {
	// Claim notes that a call is about to be made, and returns nil; or what is known of the call that had the key before.
	Claim(ctx context.Context, key, arguments Digest) (*Earlier, error)
	// Settle notes what became of a call that was claimed. It changes nothing of one of which that is known.
	Settle(key Digest, e *Earlier) error
	// Forget lets the key of a call that is under way, and was not executed, be used again.
	Forget(key Digest) error
}

// Earlier is what is known of a call with a key. One that is neither answered nor unsure is under way.
type Earlier struct {
	Arguments Digest
	Unsure    bool // it may have been executed
	Answered  bool
	Answer    []byte      // JSON-RPC response in the gateway's terms, nil for one that was withheld or too large to keep
	Era       catalog.Era // of the upstream
}

// course is what has to be known of a request's call to keep what became of it.
type course struct {
	answered catalog.Era // of the upstream that answered
	waits    bool        // it is not over: it waits for what its caller was asked
	withheld bool        // what it was answered is not for the caller
}

// useOnce makes a call, unless one with the same key was made before: then it answers what that one was answered.
func (g *Gateway) useOnce(ctx context.Context, r *Request, e *Event, call func() (*Reply, error)) (*Reply, error) {
	key, arguments, err := onceOf(r, e)
	switch {
	case err != nil:
		return nil, catalog.Errorf(catalog.Invalid, "_meta: %v", err)
	case key == nil:
		return call()
	}
	if r.Message.RequestState.Absent() { // else it goes on with a call that was claimed
		earlier, err := g.once.Claim(ctx, *key, arguments)
		switch {
		case err != nil:
			return nil, &catalog.Error{
				Code: catalog.Unavailable, Msg: e.Ref.String() + ": calls with a key cannot be made now", Execution: catalog.NotExecuted, Retry: time.Second, Err: err,
			}
		case earlier != nil:
			return g.again(r, e, earlier, arguments)
		}
	}
	reply, err := call()
	if failed := g.settle(*key, r, e, err); failed != nil {
		g.log.Error("it could not be kept what became of a call with a key; the key is not taken again", "ref", e.Ref.String(), "error", failed)
	}
	return reply, err
}

// onceOf is the key of a call, of its caller and for this tool alone, and its arguments; nil for a call without.
func onceOf(r *Request, e *Event) (key *Digest, arguments Digest, err error) {
	meta := r.Message.Meta.Object.Of(r.Message.Data)
	if !bytes.Contains(meta, []byte("idempotencyKey")) && !bytes.Contains(meta, []byte(`\u`)) { // many write the / as \/
		return nil, arguments, nil
	}
	f, err := rawjson.Fields(meta, OnceKey)
	if err != nil || f[0].Absent() {
		return nil, arguments, err
	}
	text, ok := rawjson.String(f[0].Of(meta))
	if !ok || text == "" || len(text) > onceKeySize {
		return nil, arguments, fmt.Errorf("%s is no text of 1 to %d bytes", OnceKey, onceKeySize)
	}
	h := sha256.New()
	for _, part := range []string{r.Principal.Owner(), e.Ref.String(), text} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	key = new(Digest)
	h.Sum(key[:0])
	return key, sha256.Sum256(rawjson.Compact(nil, r.Message.Arguments.Of(r.Message.Data))), nil
}

// again answers a call whose key was used before.
func (g *Gateway) again(r *Request, e *Event, earlier *Earlier, arguments Digest) (*Reply, error) {
	about := e.Ref.String()
	switch {
	case earlier.Arguments != arguments:
		return nil, catalog.Errorf(catalog.Invalid, "%s: the call that had this key before had other arguments; a new call needs a new key", about)
	case earlier.Answered && earlier.Answer == nil:
		return nil, &catalog.Error{Code: catalog.TooLarge, Msg: about + ": the call with this key was made before, and its answer was withheld, or too large to keep", Execution: catalog.Executed}
	case earlier.Answered:
		m := new(rawjson.Message)
		if err := rawjson.Scan(m, repeated(earlier.Answer)); err != nil {
			return nil, fmt.Errorf("an answer that was kept: %w", err)
		}
		a, err := g.guardOut(r, e, catalog.NewAnswer(m, earlier.Era, nil)) // the guards may be others by now
		if err != nil {
			return nil, err
		}
		return g.deliver(r, e, a), nil
	case earlier.Unsure:
		return nil, &catalog.Error{
			Code: catalog.Unavailable, Msg: about + ": the call with this key was made before, and it is not known what became of it; it is not made again",
			Hint: "Find out whether it was executed before you call with a new key.",
		}
	default:
		return nil, &catalog.Error{Code: catalog.Unavailable, Msg: about + ": the call with this key is under way", Execution: catalog.NotExecuted, Retry: time.Second}
	}
}

// repeated is a kept answer whose result says that it is one.
func repeated(answer []byte) []byte {
	var m rawjson.Message
	if rawjson.Scan(&m, answer) != nil || m.Result.Absent() {
		return answer
	}
	meta := rawjson.AppendObject(nil, m.Meta.Object.Of(answer), nil, rawjson.Member{Key: "weir/repeated", Value: []byte("true")})
	result := rawjson.AppendObject(nil, m.Result.Of(answer), nil, rawjson.Member{Key: "_meta", Value: meta})
	return append(append([]byte(`{"jsonrpc":"2.0","id":0,"result":`), result...), '}')
}

// settle keeps what became of a call that was made. One that waits for its caller stays under way.
func (g *Gateway) settle(key Digest, r *Request, e *Event, err error) error {
	switch {
	case err != nil && !executed(err) && !r.Message.RequestState.Absent():
		return nil // the call that the state is of, if there is one, is still where it was
	case err != nil && !executed(err):
		return g.once.Forget(key)
	case err != nil:
		return g.once.Settle(key, &Earlier{Unsure: true})
	case e.Answer == nil && r.waits:
		return nil
	case e.Answer == nil && e.Outcome == "input_required": // the caller's user has to do something first, and the call comes again
		return g.once.Forget(key)
	case e.Answer == nil: // it was answered, and that could not be told
		return g.once.Settle(key, &Earlier{Unsure: true})
	}
	m := e.Answer
	if wantsInput(m) {
		if f, err := rawjson.Fields(m.Result.Of(m.Data), "requestState"); err == nil && !f[0].Absent() {
			return nil
		}
		return g.once.Forget(key)
	}
	if _, wanted := wantsVisits(m); wanted {
		return g.once.Forget(key)
	}
	kept := &Earlier{Answered: true, Era: r.answered}
	if len(m.Data) <= onceAnswerSize && !r.withheld {
		kept.Answer = m.Data
	}
	return g.once.Settle(key, kept)
}

// executed reports whether a call that failed may have been executed.
func executed(err error) bool {
	own, ok := errors.AsType[*catalog.Error](err)
	if !ok {
		return true
	}
	switch own.Code {
	case catalog.Invalid, catalog.NotFound, catalog.Unauthenticated, catalog.Denied, catalog.NeedsLogin, catalog.Config:
		return own.Execution == catalog.Executed
	default:
		return own.Execution != catalog.NotExecuted
	}
}
