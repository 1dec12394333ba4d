package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/server/record/requestlog"
)

// Others is the hidden tool whose callers see what belongs to others.
const Others = "others"

// Requests is the request log.
type Requests interface {
	List(ctx context.Context, f requestlog.Filter, cursor string, limit int) (rows []requestlog.Row, next string, err error)
	Count(ctx context.Context, f requestlog.Filter, by []requestlog.Dimension, order requestlog.Measure, limit int) (counts []requestlog.Count, cut bool, err error)
}

// Options are what the tools are made of. Upstreams, Endpoints, Policy and Rank are required.
type Options struct {
	Version   string
	Upstreams func() []Upstream     // where each upstream stands, in the order of the configuration
	Endpoints func() []Endpoint     // where clients reach the gateway
	Policy    func() *policy.Policy // in force
	Rank      func([]Document) Search
	Requests  Requests // nil without a request log
}

// Tools are the gateway's own tools. They are safe for concurrent use.
type Tools struct {
	o       Options
	server  *mcpserver.MCPServer
	tools   []tool
	source  *catalog.Source
	indexes *lru.Cache[*catalog.Snapshot, *index]
}

// indexesKept is one for the whole namespace and some for virtual servers.
const indexesKept = 16

// tool is one of them.
type tool struct {
	mcp.Tool
	examples []example
	run      func(ctx context.Context, c server.Caller, raw []byte) (any, error)
}

// New makes the tools.
func New(o Options) (*Tools, error) {
	t := &Tools{o: o, server: mcpserver.NewMCPServer("weir", o.Version, mcpserver.WithInputSchemaValidation(), mcpserver.WithRecovery())}
	var err error
	if t.indexes, err = lru.New[*catalog.Snapshot, *index](indexesKept); err != nil {
		return nil, err
	}
	t.tools = append(t.aboutUpstreams(), t.aboutTools()...)
	t.tools = append(t.tools, t.aboutAccess())
	if o.Requests != nil {
		t.tools = append(t.tools, t.aboutRequests()...)
	}
	t.source = &catalog.Source{Upstream: server.OwnUpstream, Capabilities: []byte(`{"tools":{}}`)}
	for _, one := range t.tools {
		t.server.AddTool(one.Tool, handler(one.run))
		raw, err := json.Marshal(one.Tool)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.Name, err)
		}
		t.source.Tools = append(t.source.Tools, raw)
	}
	t.source.Hidden = [][]byte{[]byte(`{"name":"` + Others + `","description":"see requests, access and upstreams of others","inputSchema":{"type":"object"}}`)}
	return t, nil
}

// Source is what the catalogue gets, always the same one.
func (t *Tools) Source() *catalog.Source { return t.source }

// Rules give the tools their public names, which are the same whatever names are made of otherwise.
func (t *Tools) Rules() catalog.Rules {
	alias := make(map[string]string, len(t.tools))
	for _, one := range t.tools {
		alias[one.Name] = server.OwnUpstream + "__" + one.Name
	}
	return catalog.Rules{Alias: alias}
}

// callerKey finds the caller in the context of a tool's func.
type callerKey struct{}

// Call implements server.Own.
func (t *Tools) Call(ctx context.Context, who server.Caller, c *catalog.Call) (*catalog.Answer, error) {
	data := rawjson.AppendString([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`), c.Target)
	arguments := c.Message.Arguments.Of(c.Message.Data)
	if arguments == nil {
		arguments = []byte(`{}`)
	}
	if err := rawjson.UniqueKeys(arguments); err != nil {
		return nil, catalog.Errorf(catalog.Invalid, "%s: arguments: %v", c.Entry.Ref, err)
	}
	data = append(append(append(data, `,"arguments":`...), arguments...), `}}`...)
	raw, err := json.Marshal(t.server.HandleMessage(context.WithValue(ctx, callerKey{}, who), data))
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: c.Entry.Ref.String() + ": the answer cannot be written", Err: err}
	}
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, raw); err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: c.Entry.Ref.String() + ": the answer cannot be read", Err: err}
	}
	return catalog.NewAnswer(m, catalog.Legacy, nil), nil
}

// handler makes a tool's func one of mcp-go's. Errors become results, for the model to read.
func handler(run func(context.Context, server.Caller, []byte) (any, error)) mcpserver.ToolHandlerFunc {
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		who, ok := ctx.Value(callerKey{}).(server.Caller)
		if !ok {
			return nil, errors.New("nobody calls")
		}
		raw, err := json.Marshal(r.GetRawArguments())
		if err != nil {
			return nil, err
		}
		answer, err := run(ctx, who, raw)
		if err != nil {
			return mcp.NewToolResultError(err.Error()), nil
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(string(text)), nil
	}
}

// define makes a tool that only reads.
func define[A any](name, description string, run func(context.Context, server.Caller, A) (any, error), examples []example, arguments ...mcp.ToolOption) tool {
	options := append([]mcp.ToolOption{
		mcp.WithDescription(description), mcp.WithReadOnlyHintAnnotation(true), mcp.WithDestructiveHintAnnotation(false),
		mcp.WithIdempotentHintAnnotation(true), mcp.WithOpenWorldHintAnnotation(false), mcp.WithSchemaAdditionalProperties(false),
	}, arguments...)
	return tool{
		Tool: mcp.NewTool(name, options...), examples: examples,
		run: func(ctx context.Context, c server.Caller, raw []byte) (any, error) {
			var a A
			if err := json.Unmarshal(raw, &a); err != nil {
				return nil, fmt.Errorf("arguments: %w", err)
			}
			return run(ctx, c, a)
		},
	}
}

// seesOthers reports whether a caller may see what belongs to others.
func seesOthers(c server.Caller) bool {
	e := c.Profile.View.Snapshot().Hidden(server.OwnUpstream, Others)
	return e != nil && c.Profile.Decide(policy.Call, e).Allowed
}

// needOthers is the answer to somebody who asks about others and may not.
func needOthers(what string) error {
	return fmt.Errorf("%s: you may ask about yourself only; a rule that allows %s/%s shows others too", what, server.OwnUpstream, Others)
}

// moment is a time for people and models.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
