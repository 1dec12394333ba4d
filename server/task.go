package server

import (
	"context"
	"encoding/binary"
	"slices"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
)

// Tasks of modern upstreams for modern clients (extension io.modelcontextprotocol/tasks). Upstreams keep them; weir keeps nothing. The id that a
// client gets is a sealed token of the upstream, the tool and the upstream's id, bound to its owner: it finds its way back by itself,
// cannot be guessed or made, and means nothing in the hands of another.

// maxTaskID bounds an upstream's task id in bytes: the client's travels in a header.
const maxTaskID = 2 << 10

// task is what a sealed id says.
type task struct {
	upstream, tool, id string
}

// bindTask digests who a task belongs to.
func bindTask(p policy.Principal) [32]byte { return digest([]byte("task"), []byte(p.Owner())) }

// sealTask makes the id of a task for p.
func (g *Gateway) sealTask(p policy.Principal, t task) string {
	var plain []byte
	for _, part := range []string{t.upstream, t.tool} {
		plain = append(binary.AppendUvarint(plain, uint64(len(part))), part...)
	}
	bound := bindTask(p)
	return g.parking.sealer.wrap(append(plain, t.id...), bound[:])
}

// openTask reads an id that sealTask made for p.
func (g *Gateway) openTask(p policy.Principal, token string) (t task, ok bool) {
	bound := bindTask(p)
	plain, ok := g.parking.sealer.unwrap(token, bound[:])
	if !ok {
		return task{}, false
	}
	for _, part := range []*string{&t.upstream, &t.tool} {
		n, size := binary.Uvarint(plain)
		if size <= 0 || n > uint64(len(plain)-size) {
			return task{}, false
		}
		*part, plain = string(plain[size:size+int(n)]), plain[size+int(n):]
	}
	t.id = string(plain)
	return t, true
}

// noTask is the one answer about tasks that do not exist or are another's.
func noTask() error {
	return &catalog.Error{Code: catalog.NotFound, Msg: "unknown task", Execution: catalog.NotExecuted}
}

// followTask finds the task of an id and the tool that made it, which decides whether p may go on with it. The call that made the task was decided with
// its arguments; here what counts is that p may still call the tool at all.
func (g *Gateway) followTask(p policy.Principal, token string) (t task, entry *catalog.Entry, err error) {
	t, ok := g.openTask(p, token)
	if !ok {
		return task{}, nil, noTask()
	}
	profile := g.profile(p)
	ref := catalog.Ref{Upstream: t.upstream, Name: t.tool}
	entries := profile.View.Snapshot().Entries()
	i := slices.IndexFunc(entries, func(e *catalog.Entry) bool { return e.Kind == catalog.Tool && e.Ref == ref })
	if i < 0 || !mayFollow(profile, entries[i]) {
		return task{}, nil, noTask()
	}
	return t, entries[i], nil
}

func mayFollow(profile *policy.Profile, entry *catalog.Entry) bool {
	d := profile.Decide(policy.Call, entry)
	return d.Allowed || d.Conditional
}

// task answers tasks/get, tasks/update and tasks/cancel of a modern client.
func (g *Gateway) task(ctx context.Context, r *Request, e *Event) (*Reply, error) {
	if !offered(g.catalog.Snapshot(), tasksExtension) {
		return nil, errNoMethod
	}
	if !extends(r.Client.Capabilities, tasksExtension) {
		e.Outcome = "rpc_error"
		return missing(r, `{"extensions":{"`+tasksExtension+`":{}}}`), nil
	}
	raw := r.Message.TaskID.Of(r.Message.Data)
	token, ok := rawjson.String(raw)
	if !ok {
		return nil, catalog.Errorf(catalog.Invalid, "%s: params.taskId is missing", e.Method)
	}
	if err := checkName(r, token); err != nil {
		return nil, err
	}
	t, entry, err := g.followTask(r.Principal, token)
	if err != nil {
		return nil, err
	}
	e.Kind, e.Ref = entry.Kind, entry.Ref
	if err := g.guardIn(r, e); err != nil {
		return nil, err
	}
	answer, err := g.send(ctx, e, g.call(r, e, entry, t.id))
	if err != nil {
		return nil, err
	}
	return g.answerAbout(r, e, answer, raw), nil
}

// wrapTask returns the raw id under which the caller knows the task that an answer to tools/call created, nil when it created none.
func (g *Gateway) wrapTask(r *Request, e *Event, m *rawjson.Message) ([]byte, error) {
	if string(m.ResultType.Of(m.Data)) != `"task"` || e.Method != "tools/call" {
		return nil, nil
	}
	result := m.Result.Of(m.Data)
	f, err := rawjson.Fields(result, "taskId")
	if err != nil {
		return nil, nil //nolint:nilerr // not a task of the extension; the client decides
	}
	id, ok := rawjson.String(f[0].Of(result))
	if !ok || len(id) > maxTaskID {
		return nil, &catalog.Error{Code: catalog.Unavailable, Msg: e.Ref.String() + ": the server made a task without a usable id", Execution: catalog.Executed}
	}
	return rawjson.AppendString(nil, g.sealTask(r.Principal, task{e.Ref.Upstream, e.Ref.Name, id})), nil
}

// watchTask subscribes p to what its upstream tells of the task that its client knows as w.Name.
func (g *Gateway) watchTask(ctx context.Context, p policy.Principal, w Watching) (stop func(), err error) {
	t, entry, err := g.followTask(p, w.Name)
	if err != nil || g.watching == nil {
		return nil, noTask()
	}
	updated := w.Updated
	w.Updated = func(name string, params []byte) {
		params = g.taskParams(t.upstream, params)
		if s := g.sieve(entry.Ref); s != nil {
			params = s.clean(s.rules.Results, "notifications/tasks", params)
		}
		updated(name, params)
	}
	return g.watch(ctx, watchID{t.upstream, catalog.Topic{Task: true, ID: t.id}}, &watcher{
		Watching: w, may: func() bool { return mayFollow(g.profile(p), entry) },
	})
}

// taskParams puts the result in the params of a notifications/tasks into the caller's terms.
func (g *Gateway) taskParams(upstream string, params []byte) []byte {
	t := g.terms(upstream, params)
	if t == nil {
		return params
	}
	t.result("tasks/get", rawjson.Span{End: len(params)})
	return t.apply()
}

// TaskUpdated is the notification of a task for a client that knows it as id, on the listen stream that subscription opened.
func TaskUpdated(id string, params, subscription []byte) []byte {
	return notice("notifications/tasks", "taskId", id, params, subscription)
}
