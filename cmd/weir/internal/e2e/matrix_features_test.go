package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/upstream/upstreamtest"
)

// feature is one row of the matrix: what is played, and what must cross the wire on either side. Each side depends on its own era and transport
// alone. A line is a method with its params, "result" with a result, or "answer" with a client's response; see [stage.tidy] for placeholders.
type feature struct {
	name             string
	play             func(*stage)
	client, upstream func(way) []string
	// only restricts what is looked at upstream to one method, of all that came since the start; "" is all since the feature began.
	only string
}

// slowCall is how long the tool slow takes, but for its first call, which ends only when it is taken back.
const slowCall = upstreamtest.Duration(300 * time.Millisecond)

// question is what a tool asks the client, and what that answers.
type question struct{ method, params, answer string }

// questions are those of an era, by the name of the tool. The legacy era gives an elicitation by URL an id.
func questions(e era) map[string]question {
	id := ""
	if e == legacy {
		id = `"elicitationId":"e-1",`
	}
	return map[string]question{
		"form": {
			"elicitation/create", `{"message":"who?","mode":"form","requestedSchema":{"properties":{"name":{"type":"string"}},"type":"object"}}`,
			`{"action":"accept","content":{"name":"Ada"}}`,
		},
		"url": {"elicitation/create", `{` + id + `"message":"sign in","mode":"url","url":"https://example.com/sign-in"}`, `{"action":"accept"}`},
		"sample": {
			"sampling/createMessage", `{"maxTokens":9007199254740993,"messages":[{"content":{"text":"a word?","type":"text"},"role":"user"}]}`,
			`{"content":{"text":"weir","type":"text"},"model":"m","role":"assistant"}`,
		},
		"roots": {"roots/list", "", `{"roots":[{"name":"work","uri":"file:///work"}]}`},
	}
}

// attributed are the params of a question as the client sees them: an elicitation says who asks.
func attributed(params string) string {
	return strings.Replace(params, `"message":"`, `"message":"up: `, 1)
}

// answerTo is what the client answers to a server's request.
func answerTo(method string, params json.RawMessage) object {
	name := map[string]string{"sampling/createMessage": "sample", "roots/list": "roots"}[method]
	if method == "elicitation/create" {
		name = "form"
		if strings.Contains(string(params), `"mode":"url"`) {
			name = "url"
		}
	}
	var answer object
	_ = json.Unmarshal([]byte(questions(modern)[name].answer), &answer) // it is JSON
	return answer
}

// done is the answer of a tool as an era writes it.
func done(e era) string {
	if e == modern {
		return `result {"content":[{"text":"done","type":"text"}],"resultType":"complete"}`
	}
	return `result {"content":[{"text":"done","type":"text"}]}`
}

// called is a call of a tool as it reaches the upstream.
func called(tool string) string { return `tools/call {"arguments":{"x":1},"name":"` + tool + `"}` }

func features() []feature {
	return []feature{
		asking("elicitation (form)", "form"),
		asking("elicitation (URL)", "url"),
		asking("sampling", "sample"),
		asking("roots", "roots"),
		progressing(), canceling(), completing(), paging(), listChanging(), resourceUpdating(),
		logging(), // last: a level holds for the rest of a legacy session
	}
}

// asking is a tool that asks the client before it answers: by a request of its own in the legacy era, by an unfinished result in the modern one.
func asking(name, tool string) feature {
	return feature{
		name: name,
		play: func(s *stage) { s.use(tool, nil) },
		client: func(w way) []string {
			q := questions(w.client)[tool]
			q.params = attributed(q.params)
			if w.client == legacy {
				if w.server == modern {
					q.params = strings.Replace(q.params, `"e-1"`, `"«id»"`, 1) // weir makes one
				}
				return []string{strings.TrimSpace(q.method + " " + q.params), done(legacy)}
			}
			params := ""
			if own := questions(w.server)[tool].params; own != "" { // as the upstream wrote them
				params = `,"params":` + attributed(own)
			}
			return []string{
				`result {"inputRequests":{"«key»":{"method":"` + q.method + `"` + params + `}},"requestState":"«state»","resultType":"input_required"}`,
				done(modern),
			}
		},
		upstream: func(w way) []string {
			q := questions(w.server)[tool]
			if w.server == legacy {
				return []string{called(tool), "answer " + q.answer}
			}
			return []string{
				called(tool),
				`tools/call {"arguments":{"x":1},"inputResponses":{"q0":` + q.answer + `},"name":"` + tool + `","requestState":"state of ` + tool + `"}`,
			}
		},
	}
}

// progressing asks for progress under a token of the client's own; upstream it has another one.
func progressing() feature {
	return feature{
		name: "progress",
		play: func(s *stage) { s.use("steps", object{"progressToken": "my tokén"}) },
		client: func(w way) []string {
			var lines []string
			for i := range 3 {
				lines = append(lines, fmt.Sprintf(`notifications/progress {"message":"step %d","progress":%d,"progressToken":"my tokén","total":3}`, i+1, i+1))
			}
			return append(lines, done(w.client))
		},
		upstream: func(way) []string {
			return []string{`tools/call {"_meta":{"progressToken":"«token»"},"arguments":{"x":1},"name":"steps"}`}
		},
	}
}

// logging calls a tool that logs: before the client wants to hear of it, and after.
func logging() feature {
	const setLevel, logLevel = `logging/setLevel {"level":"info"}`, "io.modelcontextprotocol/logLevel"
	return feature{
		name: "log",
		play: func(s *stage) {
			s.use("chatter", nil)
			if s.client == modern {
				s.use("chatter", object{logLevel: "info"})
				return
			}
			s.call("logging/setLevel", object{"level": "info"})
			s.use("chatter", nil)
		},
		client: func(w way) []string {
			lines := []string{done(w.client)}
			if w.client == legacy {
				lines = append(lines, "result {}")
			}
			for i := range 2 {
				lines = append(lines, fmt.Sprintf(`notifications/message {"data":{"n":%d},"level":"info","logger":"fake"}`, i+1))
			}
			return append(lines, done(w.client))
		},
		upstream: func(w way) []string {
			if w.server == legacy {
				return []string{called("chatter"), setLevel, called("chatter")}
			}
			return []string{called("chatter"), `tools/call {"_meta":{"` + logLevel + `":"info"},"arguments":{"x":1},"name":"chatter"}`}
		},
	}
}

// canceling takes back the first of two calls. The upstream hears of it in its own way, and the second call is not touched.
func canceling() feature {
	return feature{
		name: "cancellation",
		play: func(s *stage) {
			var calls []*openCall
			for n := range 2 {
				calls = append(calls, s.peer.open("tools/call", object{"name": "up__slow", "arguments": object{"n": n + 1}}))
				upstreamtest.Eventually(s.t, func() bool { return len(s.received("")) > n }, "call %d", n+1)
			}
			calls[0].cancel()
			events, err := calls[1].wait()
			must(s.t, err)
			nothing, _ := calls[0].wait()
			for _, m := range append(nothing, events...) {
				s.note(m)
			}
		},
		client: func(w way) []string { return []string{done(w.client)} },
		upstream: func(w way) []string {
			lines := []string{`tools/call {"arguments":{"n":1},"name":"slow"} → canceled`, `tools/call {"arguments":{"n":2},"name":"slow"}`}
			if w.server == modern && w.serverOver == "http" { // a request is taken back by leaving
				return lines
			}
			return append(lines, `notifications/cancelled {"requestId":"«1»"}`)
		},
	}
}

// listChanging makes a list longer and shorter again; each change is told once, and is to be seen by who hears of it.
func listChanging() feature {
	const changed = "notifications/prompts/list_changed"
	return feature{
		name: "list changed",
		play: func(s *stage) {
			defer s.peer.listen(s.t, object{"promptsListChanged": true})()
			if s.client == modern {
				s.hear(1)
			}
			prompts := matrixConfig(s.way.server).Prompts
			s.up.Change(upstreamtest.Content{Prompts: append(slices.Clip(prompts), `{"name":"later"}`)})
			s.hear(1)
			s.names("prompts")
			s.up.Change(upstreamtest.Content{Prompts: prompts})
			s.hear(1)
			s.names("prompts")
		},
		client: func(w way) []string {
			if w.client == legacy {
				return []string{changed, "prompts: up__greet up__later", changed, "prompts: up__greet"}
			}
			const tagged = changed + ` {"_meta":{"io.modelcontextprotocol/subscriptionId":"«listen»"}}`
			return []string{
				`notifications/subscriptions/acknowledged {"_meta":{"io.modelcontextprotocol/subscriptionId":"«listen»"},"notifications":{"promptsListChanged":true}}`,
				tagged, "prompts: up__greet up__later", tagged, "prompts: up__greet",
			}
		},
		only: "prompts/list",
		upstream: func(way) []string { // at the start, and once after each change
			return []string{"prompts/list", "prompts/list", "prompts/list"}
		},
	}
}

// names notes the names on a list.
func (s *stage) names(kind string) {
	s.t.Helper()
	events, err := s.peer.call(kind+"/list", nil)
	must(s.t, err)
	var page map[string]json.RawMessage
	var items []struct{ Name string }
	must(s.t, json.Unmarshal(events[len(events)-1].Result, &page))
	must(s.t, json.Unmarshal(page[kind], &items))
	line := kind + ":"
	for _, item := range items {
		line += " " + item.Name
	}
	s.lines = append(s.lines, line)
}

// resourceUpdating subscribes to a resource, hears of two updates, and ends that.
func resourceUpdating() feature {
	const uri = "note://one"
	return feature{
		name: "resource updated",
		play: func(s *stage) {
			stop := s.peer.listen(s.t, object{"resourceSubscriptions": []string{uri}})
			if s.client == legacy {
				s.call("resources/subscribe", object{"uri": uri})
			} else {
				s.hear(1)
			}
			for range 2 {
				s.up.Update(uri)
				s.hear(1)
			}
			if s.client == legacy {
				s.call("resources/unsubscribe", object{"uri": uri})
			}
			stop()
		},
		client: func(w way) []string {
			if w.client == legacy {
				const updated = `notifications/resources/updated {"uri":"note://one"}`
				return []string{"result {}", updated, updated, "result {}"}
			}
			const tag = `"_meta":{"io.modelcontextprotocol/subscriptionId":"«listen»"}`
			const updated = `notifications/resources/updated {` + tag + `,"uri":"note://one"}`
			return []string{`notifications/subscriptions/acknowledged {` + tag + `,"notifications":{"resourceSubscriptions":["note://one"]}}`, updated, updated}
		},
		upstream: func(w way) []string {
			const listen = `subscriptions/listen {"notifications":{"resourceSubscriptions":["note://one"]}} → canceled`
			switch {
			case w.server == legacy:
				return []string{`resources/subscribe {"uri":"note://one"}`, `resources/unsubscribe {"uri":"note://one"}`}
			case w.serverOver == "http":
				return []string{listen}
			default:
				return []string{listen, `notifications/cancelled {"requestId":"«1»"}`}
			}
		},
	}
}

// completing asks for the completion of a prompt's argument; the prompt has another name upstream.
func completing() feature {
	const params = `{"argument":{"name":"who","value":"A"},"context":{"arguments":{"x":"y"}},"ref":{"name":"%s","type":"ref/prompt"}}`
	return feature{
		name: "completion",
		play: func(s *stage) {
			s.call("completion/complete", decode(s.t, fmt.Appendf(nil, params, "up__greet")))
		},
		client: func(w way) []string {
			if w.client == modern {
				return []string{`result {"completion":{"hasMore":false,"total":1,"values":["A-completed"]},"resultType":"complete"}`}
			}
			return []string{`result {"completion":{"hasMore":false,"total":1,"values":["A-completed"]}}`}
		},
		upstream: func(way) []string { return []string{"completion/complete " + fmt.Sprintf(params, "greet")} },
	}
}

// paging goes through a list page by page. The cursors are weir's: those of the upstream are used by weir alone, at the start.
func paging() feature {
	return feature{
		name: "pagination",
		play: func(s *stage) {
			params := object{}
			for {
				events, err := s.peer.call("tools/list", params)
				must(s.t, err)
				var page struct {
					Tools      []struct{ Name string }
					NextCursor *string
				}
				must(s.t, json.Unmarshal(events[len(events)-1].Result, &page))
				s.lines = append(s.lines, fmt.Sprintf("a page of %d", len(page.Tools)))
				if page.NextCursor == nil {
					break
				}
				params = object{"cursor": *page.NextCursor}
			}
			s.call("tools/list", object{"cursor": "at-3"})
		},
		client: func(way) []string { return []string{"a page of 5", "a page of 3", "error -32602"} },
		only:   "tools/list",
		upstream: func(way) []string {
			return []string{"tools/list", `tools/list {"cursor":"at-3"}`, `tools/list {"cursor":"at-6"}`}
		},
	}
}
