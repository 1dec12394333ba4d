package rawjson

import "bytes"

// MethodName returns the method of a request or notification, unescaped, and "" for other kinds. It allocates only for
// a method that no MCP revision has or that is written with escapes.
func (m *Message) MethodName() string {
	raw := m.Method.Of(m.Data)
	if len(raw) < 2 {
		return ""
	}
	text := raw[1 : len(raw)-1]
	var name string
	if bytes.HasPrefix(text, []byte("notifications/")) {
		name = notificationMethod(text)
	} else {
		name = requestMethod(text)
	}
	if name == "" {
		name, _ = String(raw)
	}
	return name
}

// requestMethod returns the constant equal to text, "" when there is none.
func requestMethod(text []byte) string {
	switch string(text) {
	case "tools/call":
		return "tools/call"
	case "tools/list":
		return "tools/list"
	case "resources/read":
		return "resources/read"
	case "resources/list":
		return "resources/list"
	case "resources/templates/list":
		return "resources/templates/list"
	case "resources/subscribe":
		return "resources/subscribe"
	case "resources/unsubscribe":
		return "resources/unsubscribe"
	case "prompts/get":
		return "prompts/get"
	case "prompts/list":
		return "prompts/list"
	case "completion/complete":
		return "completion/complete"
	case "subscriptions/listen":
		return "subscriptions/listen"
	case "server/discover":
		return "server/discover"
	case "initialize":
		return "initialize"
	case "ping":
		return "ping"
	case "logging/setLevel":
		return "logging/setLevel"
	}
	return lateMethod(text)
}

// lateMethod knows the requests that a server sends in the handshake revisions, and those of tasks.
func lateMethod(text []byte) string {
	switch string(text) {
	case "sampling/createMessage":
		return "sampling/createMessage"
	case "elicitation/create":
		return "elicitation/create"
	case "roots/list":
		return "roots/list"
	case "tasks/get":
		return "tasks/get"
	case "tasks/update":
		return "tasks/update"
	case "tasks/cancel":
		return "tasks/cancel"
	case "tasks/list":
		return "tasks/list"
	case "tasks/result":
		return "tasks/result"
	}
	return ""
}

// notificationMethod returns the constant equal to text, "" when there is none.
func notificationMethod(text []byte) string {
	switch string(text) {
	case "notifications/progress":
		return "notifications/progress"
	case "notifications/cancelled":
		return "notifications/cancelled"
	case "notifications/message":
		return "notifications/message"
	case "notifications/initialized":
		return "notifications/initialized"
	case "notifications/tools/list_changed":
		return "notifications/tools/list_changed"
	case "notifications/prompts/list_changed":
		return "notifications/prompts/list_changed"
	case "notifications/resources/list_changed":
		return "notifications/resources/list_changed"
	case "notifications/resources/updated":
		return "notifications/resources/updated"
	case "notifications/roots/list_changed":
		return "notifications/roots/list_changed"
	case "notifications/subscriptions/acknowledged":
		return "notifications/subscriptions/acknowledged"
	case "notifications/elicitation/complete":
		return "notifications/elicitation/complete"
	case "notifications/tasks":
		return "notifications/tasks"
	case "notifications/tasks/status":
		return "notifications/tasks/status"
	}
	return ""
}
