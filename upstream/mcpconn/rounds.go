package mcpconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/catalog"
	"weir/catalog/fault"
	"weir/catalog/rawjson"
)

const (
	// maxRounds bounds how often a server may ask within one call.
	maxRounds = 10
	// maxQuestions bounds what it may ask at a time.
	maxQuestions = 32
	// shed and maxShed bound the wait before a call is sent again that the server put off without asking anything; it doubles.
	shed    = 100 * time.Millisecond
	maxShed = 2 * time.Second
)

// rounds drives a call through the rounds of a modern server for a caller that cannot do so itself (spec 2026-07-28, basic/patterns/mrtr): the
// caller is asked, and the call is sent again with the answers and the server's state, byte for byte. resp is the first input_required result.
func (x *exchange) rounds(ctx context.Context, resp *response) (*response, error) {
	call := x.call
	for round := 1; ; round++ {
		if round > maxRounds {
			resp.release()
			return nil, &catalog.Error{
				Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the server asked %d times without coming to an end", call.Entry.Ref, maxRounds),
				Execution: catalog.Unknown,
			}
		}
		next, err := x.answer(ctx, resp, round)
		resp.release()
		if err != nil {
			return nil, err
		}
		again := *call
		again.Message = next
		x = &exchange{c: x.c, call: &again}
		x.headers = paramHeaders(call.Entry, next)
		if resp, err = x.run(ctx); err != nil {
			return nil, err
		}
		if resp.message.Kind == rawjson.Error {
			return x.hopError(ctx, resp)
		}
		if !asksInput(&resp.message) {
			return resp, nil
		}
	}
}

// asksInput reports whether a result is an input_required one.
func asksInput(m *rawjson.Message) bool {
	return string(m.ResultType.Of(m.Data)) == `"input_required"`
}

// answer asks the caller what the result asks, and makes the message of the next round.
func (x *exchange) answer(ctx context.Context, resp *response, round int) (*rawjson.Message, error) {
	m := &resp.message
	result := m.Result.Of(m.Data)
	f, err := rawjson.Fields(result, "inputRequests", "requestState")
	if err != nil {
		return nil, x.badInput(err)
	}
	asked, err := questions(f[0].Of(result))
	if err != nil {
		return nil, x.badInput(err)
	}
	if len(asked) == 0 {
		if !pause(ctx, min(shed<<(round-1), maxShed)) {
			return nil, ended(ctx, x.c.name, catalog.NotExecuted)
		}
	}
	answers, err := x.askAll(ctx, asked)
	if err != nil {
		return nil, err
	}
	return nextRound(x.call.Message, answers, f[1].Of(result))
}

func (x *exchange) badInput(err error) error {
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the server asked for input in a form that is not MCP's", x.call.Entry.Ref), Execution: catalog.Unknown, Err: err,
	}
}

// asking is one entry of inputRequests.
type asking struct {
	key     []byte
	request catalog.Request
	answer  []byte
}

// questions reads inputRequests.
func questions(raw []byte) ([]asking, error) {
	if raw == nil {
		return nil, nil
	}
	var asked []asking
	var fault error
	err := rawjson.Members(raw, func(key []byte, _, value rawjson.Span) bool {
		obj := value.Of(raw)
		f, err := rawjson.Fields(obj, "method", "params")
		if err != nil {
			fault = err
			return false
		}
		method, _ := rawjson.String(f[0].Of(obj))
		if !askable(method) || len(asked) == maxQuestions {
			fault = errors.New("unknown method or too many requests")
			return false
		}
		asked = append(asked, asking{key: slices.Clone(key), request: catalog.Request{Method: method, Params: slices.Clone(f[1].Of(obj))}})
		return true
	})
	return asked, errors.Join(err, fault)
}

// askAll asks the caller everything at once.
func (x *exchange) askAll(ctx context.Context, asked []asking) ([]asking, error) {
	var wg sync.WaitGroup
	faults := make([]error, len(asked))
	for i := range asked {
		wg.Go(func() {
			faults[i] = fault.Catch(x.c.cfg.Log, func() (err error) {
				asked[i].answer, err = x.c.pass(ctx, x.call.Ask, asked[i].request)
				return err
			}, "upstream", x.c.name)
		})
	}
	wg.Wait()
	for i, err := range faults {
		if err != nil {
			return nil, x.unanswered(ctx, asked[i].request.Method, err)
		}
	}
	return asked, nil
}

// unanswered is the error of a call whose question the client did not answer.
func (x *exchange) unanswered(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, x.c.name, catalog.NotExecuted)
	}
	if refused, ok := errors.AsType[*questionError](err); ok {
		return x.c.refusedInput(x.call, refused)
	}
	return &catalog.Error{
		Code: catalog.Unavailable, Msg: fmt.Sprintf("%s: the server needs %s, and the client did not give it", x.call.Entry.Ref, method),
		Execution: catalog.NotExecuted, Err: err,
	}
}

// nextRound is the caller's message with the answers and the state of the server added.
func nextRound(m *rawjson.Message, answers []asking, state []byte) (*rawjson.Message, error) {
	var extra []rawjson.Member
	if len(answers) > 0 {
		b := []byte(`{`)
		for _, a := range answers {
			b = append(rawjson.AppendString(comma(b), string(a.key)), ':')
			b = append(b, a.answer...)
		}
		extra = append(extra, rawjson.Member{Key: "inputResponses", Value: append(b, '}')})
	}
	if state != nil {
		extra = append(extra, rawjson.Member{Key: "requestState", Value: slices.Clone(state)})
	}
	return edited(m, nil, extra...)
}
