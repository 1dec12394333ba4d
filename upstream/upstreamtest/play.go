package upstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"
)

// request answers one request as the script says.
func (x *exchange) request(ctx context.Context, act *Act) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(x.ctx, cancel)()
	end := x.begin(cancel)
	var once sync.Once
	// The ledger tells how it ended, and id and token are free, before the client can have the answer.
	x.settle = func(outcome string) {
		once.Do(func() {
			end()
			x.ledger.set(x.seq, func(e *Entry) { e.Outcome = outcome })
		})
	}
	x.settle(x.play(ctx, act))
}

// begin notes that the request is open, and what of it is not unique; the returned func ends that.
func (x *exchange) begin(cancel context.CancelFunc) (end func()) {
	id, token := string(x.id), string(x.params.object("_meta")["progressToken"])
	p := x.peer
	p.mu.Lock()
	_, usedID := p.open[id]
	usedToken := token != "" && p.tokens[token]
	p.open[id] = cancel
	if token != "" {
		p.tokens[token] = true
	}
	p.mu.Unlock()
	if usedID {
		x.breach(x.seq, "id %s is in use", id)
	}
	if usedToken {
		x.breach(x.seq, "progress token %s is in use", token)
	}
	return func() {
		p.mu.Lock()
		delete(p.open, id)
		delete(p.tokens, token)
		p.mu.Unlock()
	}
}

// play does everything an act says, in order, and returns the outcome for the ledger.
func (x *exchange) play(ctx context.Context, act *Act) string {
	if !wait(ctx, act.Delay) {
		return "canceled"
	}
	if j, ok := x.channel.(interface{ junk(Raw) }); ok {
		for _, line := range act.Junk {
			j.junk(line)
		}
	}
	for _, msg := range x.before(act) {
		if x.channel.send(msg) != nil || !wait(ctx, act.Gap) {
			return "canceled"
		}
	}
	if x.method == "subscriptions/listen" && act.Fault == "" {
		return x.listen(ctx, act)
	}
	result, fail := x.answerTo(ctx, act)
	switch {
	case ctx.Err() != nil:
		return "canceled"
	case act.Fault == Hang:
		<-ctx.Done()
		return "canceled"
	case act.Fault == Crash:
		x.settle("broken")
		x.crash()
		return "broken"
	case act.Fault == Forget:
		x.forget()
		x.settle("broken")
		x.channel.answer(answer{status: 404, body: response(x.id, "error", rpcErrorf(-32001, "session not found").object()), act: &Act{}})
		return "broken"
	}
	outcome := "answered"
	if act.Fault != "" {
		outcome = "broken"
	}
	x.settle(outcome)
	x.channel.answer(x.finish(act, result, fail))
	x.late(act)
	return outcome
}

// finish makes the answer of a result or an error.
func (x *exchange) finish(act *Act, result []byte, fail *rpcError) answer {
	a := answer{status: 200, act: act}
	switch id := x.idFor(act.Fault); {
	case act.Message != "":
		a.body = []byte(strings.ReplaceAll(string(act.Message), "«ID»", string(id)))
	case act.Error != "":
		a.body = response(id, "error", []byte(act.Error))
	case fail != nil:
		a.body = response(id, "error", fail.object())
		if x.era == Modern {
			a.status = modernStatus(fail.code)
		}
	default:
		a.body = response(id, "result", result)
	}
	if act.Status != 0 {
		a.status = act.Status
	}
	return a
}

// idFor is the id that goes into the answer.
func (x *exchange) idFor(f Fault) []byte {
	switch f {
	case WrongID:
		return []byte(`987654321`)
	case NoID:
		return nil
	default:
		return x.id
	}
}

// before lists the messages that come before the answer.
func (x *exchange) before(act *Act) [][]byte {
	var all [][]byte
	token := x.params.object("_meta")["progressToken"]
	if token != nil {
		for i := range act.Progress {
			all = append(all, progress(token, i+1, act.Progress))
		}
	}
	if act.Logs > 0 && x.wantsLogs() {
		for i := range act.Logs {
			all = append(all, notification("notifications/message", fmt.Appendf(nil, `{"level":"info","logger":"fake","data":{"n":%d}}`, i+1)))
		}
	}
	for _, m := range act.Before {
		if strings.Contains(string(m), "«TOKEN»") && token == nil {
			continue
		}
		all = append(all, []byte(strings.ReplaceAll(string(m), "«TOKEN»", string(token))))
	}
	return all
}

// late sends what comes after the answer.
func (x *exchange) late(act *Act) {
	token := x.params.object("_meta")["progressToken"]
	for i := range act.Late {
		if token != nil {
			_ = x.channel.send(progress(token, act.Progress+i+1, act.Progress+act.Late))
		}
	}
}

func progress(token []byte, n, total int) []byte {
	return notification("notifications/progress", fmt.Appendf(nil, `{"progressToken":%s,"progress":%d,"total":%d,"message":"step %d"}`, token, n, total, n))
}

// wantsLogs says whether the client may be sent log messages for this request: modern clients opt in per request.
func (x *exchange) wantsLogs() bool {
	if x.era == Modern {
		return x.params.object("_meta").text(metaLogLevel) != ""
	}
	x.peer.mu.Lock()
	defer x.peer.mu.Unlock()
	switch x.peer.level {
	case "", "debug", "info":
		return true
	}
	return false
}

// answerTo asks the client what the act wants to know, and returns the result or the error.
func (x *exchange) answerTo(ctx context.Context, act *Act) ([]byte, *rpcError) {
	var answers []json.RawMessage
	if len(act.Ask) > 0 || act.State != "" {
		if x.era == Modern {
			pending, got, fail := x.rounds(act)
			if pending != nil || fail != nil {
				return pending, fail
			}
			answers = got
		} else {
			for _, a := range act.Ask {
				got, err := x.ask(ctx, a)
				if err != nil {
					return nil, rpcErrorf(-32603, "%s: %v", a.Method, err)
				}
				answers = append(answers, got)
			}
		}
	}
	if act.Result != "" {
		return x.complete([]byte(act.Result), act.Verbatim), nil
	}
	result, fail := x.normal(act, answers)
	if fail != nil {
		return nil, fail
	}
	return x.complete(result, false), nil
}

// complete puts resultType in front of a modern result that lacks it.
func (x *exchange) complete(result []byte, verbatim bool) []byte {
	has, object := hasKey(result, "resultType")
	if verbatim || x.era != Modern || has || !object {
		return result
	}
	return prepend(result, `"resultType":"complete"`)
}

// rounds is the modern form of asking (SEP-2322): input_required first, the answers with the retry.
func (x *exchange) rounds(act *Act) (pending []byte, answers []json.RawMessage, fail *rpcError) {
	state := act.State
	if state == "" && !act.NoState {
		state = "state of " + x.target()
	}
	given, retry := x.params["requestState"]
	got := x.params.object("inputResponses")
	if len(got) > 0 {
		retry = true
	}
	if !retry {
		if fail := x.missing(act.Ask); fail != nil {
			return nil, nil, fail
		}
		var asks []string
		for i, a := range act.Ask {
			ask := fmt.Sprintf(`"q%d":{"method":%s`, i, quote(a.Method))
			if a.Params != "" {
				ask += `,"params":` + x.filled(a.Params)
			}
			asks = append(asks, ask+"}")
		}
		b := `{"resultType":"input_required"`
		if len(asks) > 0 {
			b += `,"inputRequests":{` + strings.Join(asks, ",") + `}`
		}
		if state != "" {
			b += `,"requestState":` + string(quote(state))
		}
		return []byte(b + "}"), nil, nil
	}
	var s string
	if state != "" && (json.Unmarshal(given, &s) != nil || s != state) || state == "" && given != nil {
		x.breach(x.seq, "requestState is not the one that was given")
		return nil, nil, rpcErrorf(-32602, "requestState is not the one that was given")
	}
	keys := make([]string, 0, len(got))
	for k := range got {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		answers = append(answers, got[k])
	}
	return nil, answers, nil
}

// filled writes a question's params with the arguments of the request.
func (x *exchange) filled(params Raw) string {
	return strings.ReplaceAll(string(params), "«ARGUMENTS»", string(x.params["arguments"]))
}

// missing is the -32021 error when the client did not declare what asks need.
func (x *exchange) missing(asks []Ask) *rpcError {
	caps := x.params.object("_meta").object(metaCapabilities)
	for _, a := range asks {
		need, _, _ := strings.Cut(a.Method, "/")
		if _, ok := caps[need]; !ok {
			return &rpcError{code: -32021, text: "client lacks capability " + need, data: fmt.Sprintf(`{"requiredCapabilities":{%q:{}}}`, need)}
		}
	}
	return nil
}

// wait waits d and reports whether ctx is still open.
func wait(ctx context.Context, d Duration) bool {
	if d > 0 {
		t := time.NewTimer(time.Duration(d))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

// modernStatus is the HTTP status of a JSON-RPC error in the modern era.
func modernStatus(code int) int {
	switch code {
	case -32601:
		return 404
	case -32700, -32600, -32020, -32021, -32022:
		return 400
	}
	return 200
}
