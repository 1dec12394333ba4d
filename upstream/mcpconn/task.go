package mcpconn

import (
	"context"
	"errors"
	"slices"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Tasks of 2025-11-25. weir offers none to its clients, so a call that asks for one is made without, and a tool that its server runs as a task
// alone is called as one here, and its result awaited.

// relatedTask is the member of _meta that ties a message to a task (spec 2025-11-25, basic/utilities/tasks).
const relatedTask = "io.modelcontextprotocol/related-task"

// farewell bounds the telling of a server that a task is not wanted any more.
const farewell = 5 * time.Second

// runsTasks reports whether a legacy server lets tools/call ask for a task: clients must not try otherwise.
func runsTasks(capabilities []byte) bool {
	for _, name := range []string{"tasks", "requests", "tools", "call"} {
		f, err := rawjson.Fields(capabilities, name)
		if err != nil || f[0].Absent() {
			return false
		}
		capabilities = f[0].Of(capabilities)
	}
	return true
}

// runTask makes the call as a task and waits for what it comes to. The server holds tasks/result back until then, and asks on its stream what it has to ask.
func (x *exchange) runTask(ctx context.Context) (*response, error) {
	message, err := edited(x.call.Message, nil, rawjson.Member{Key: "task", Value: []byte(`{}`)})
	if err != nil {
		return nil, err
	}
	call := *x.call
	call.Message = message
	x.call = &call
	resp, err := x.run(ctx)
	if err != nil || resp.message.Kind == rawjson.Error {
		return resp, err
	}
	id := taskOf(&resp.message)
	if id == nil {
		return resp, nil // it was answered at once
	}
	resp.release()
	await := x.request // messages about it are messages about the call
	await.method, await.name, await.token = "tasks/result", "", x.id
	result, err := x.c.send(ctx, &await, taskParams(id))
	x.finish()
	if err != nil {
		if ctx.Err() != nil {
			x.c.cancelTask(id)
		}
		return nil, executed(err)
	}
	return withoutTask(result)
}

// taskOf returns the raw id of the task that a result created, nil when it created none.
func taskOf(m *rawjson.Message) []byte {
	result := m.Result.Of(m.Data)
	f, err := rawjson.Fields(result, "task")
	if err != nil || f[0].Absent() {
		return nil
	}
	task := f[0].Of(result)
	if f, err = rawjson.Fields(task, "taskId"); err != nil {
		return nil
	}
	return slices.Clone(f[0].Of(task))
}

func taskParams(id []byte) []byte { return append(append([]byte(`{"taskId":`), id...), '}') }

// cancelTask tells the server, in the background, that nobody waits for a task any more.
func (c *Conn) cancelTask(id []byte) {
	c.crew.run(func() {
		ctx, cancel := context.WithTimeout(c.ctx, farewell)
		defer cancel()
		if resp, err := c.ask(ctx, "tasks/cancel", taskParams(id)); err == nil {
			resp.release()
		}
	})
}

// executed is err, of a task that was begun: whatever it says of the request that asked for the result, the call was executed or may have been.
func executed(err error) error {
	if own, ok := errors.AsType[*catalog.Error](err); ok && own.Execution == catalog.NotExecuted {
		e := *own
		e.Execution = catalog.Unknown
		return &e
	}
	return err
}

// withoutTask takes out of a result what ties it to a task that the caller does not know of.
func withoutTask(resp *response) (*response, error) {
	m := &resp.message
	if m.Kind != rawjson.Result || m.Meta.Object.Absent() {
		return resp, nil
	}
	meta := rawjson.AppendObject(nil, m.Meta.Object.Of(m.Data), func(key []byte) bool { return string(key) == relatedTask })
	data := rawjson.Splice(nil, m.Data, rawjson.Span{End: len(m.Data)}, rawjson.Edit{Span: m.Meta.Object, With: meta})
	next := &response{release: resp.release}
	if err := rawjson.Scan(&next.message, data); err != nil {
		resp.release()
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "internal error", Execution: catalog.Executed, Err: err}
	}
	return next, nil
}

// trimmed returns the call without what means something else, or nothing, to this server: a wish for a task of 2025-11-25, and in the legacy era the answers
// and the state of rounds.
func (c *Conn) trimmed(call *catalog.Call) (*catalog.Call, error) {
	m := call.Message
	legacy := c.era == catalog.Legacy
	wish := !m.Task.Absent() && m.Data[m.Task.Start] == '{' && (legacy || call.Client.Era == catalog.Legacy)
	rounds := legacy && (!m.InputResponses.Absent() || !m.RequestState.Absent())
	if !wish && !rounds {
		return call, nil
	}
	message, err := edited(m, func(key []byte) bool {
		switch string(key) {
		case "task":
			return wish
		case "inputResponses", "requestState":
			return rounds
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	own := *call
	own.Message = message
	return &own, nil
}

// edited is m with members of its params dropped and others added.
func edited(m *rawjson.Message, drop func(key []byte) bool, extra ...rawjson.Member) (*rawjson.Message, error) {
	params := rawjson.AppendObject(nil, m.Params.Of(m.Data), drop, extra...)
	data := rawjson.Splice(nil, m.Data, rawjson.Span{End: len(m.Data)}, rawjson.Edit{Span: m.Params, With: params})
	next := new(rawjson.Message)
	if err := rawjson.Scan(next, data); err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: "internal error", Execution: catalog.NotExecuted, Err: err}
	}
	return next, nil
}
