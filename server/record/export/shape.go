package export

import (
	"encoding/json"
	"strconv"
	"strings"

	"weir/server/record/requestlog"
)

// refused reports whether it was refused.
func refused(r *requestlog.Row) bool {
	return r.Outcome == "denied" || r.Outcome == "not_found" || r.Outcome == "unauthenticated"
}

// shaped is one message, without line breaks.
func shaped(shape, version string, r *requestlog.Row) ([]byte, error) {
	switch shape {
	case "cef":
		return cef(version, r), nil
	case "ocsf":
		return json.Marshal(ocsf(version, r))
	default:
		return json.Marshal(r)
	}
}

// cef is a row in the ArcSight Common Event Format, version 0 of its header.
func cef(version string, r *requestlog.Row) []byte {
	header := strings.NewReplacer(`\`, `\\`, `|`, `\|`, "\n", " ", "\r", " ")
	value := strings.NewReplacer(`\`, `\\`, `=`, `\=`, "\n", `\n`, "\r", `\r`)
	severity := "2"
	switch {
	case refused(r):
		severity = "6"
	case requestlog.Failed(r.Outcome):
		severity = "5"
	}
	name := r.Method
	if r.Upstream != "" {
		name += " " + r.Upstream + "/" + r.Name
	}
	b := []byte("CEF:0")
	for _, field := range [...]string{"weir", "weir", version, r.Method, name, severity} {
		b = append(append(b, '|'), header.Replace(field)...)
	}
	b = append(b, '|')
	put := func(key, text string) {
		if text != "" {
			b = append(append(append(append(b, key...), '='), value.Replace(text)...), ' ')
		}
	}
	put("rt", strconv.FormatInt(r.At.UnixMilli(), 10))
	put("externalId", r.ID)
	put("suser", r.Who)
	put("src", r.Address)
	put("act", r.Method)
	put("outcome", r.Outcome)
	put("reason", r.Reason)
	put("destinationServiceName", r.Upstream)
	put("in", strconv.Itoa(r.In))
	put("out", strconv.Itoa(r.Out))
	for i, custom := range [...]struct{ label, text string }{{"tool", r.Name}, {"rule", r.Rule}, {"trace", r.Trace}, {"era", r.Era}, {"execution", r.Execution}} {
		if custom.text != "" {
			key := "cs" + strconv.Itoa(i+1)
			put(key+"Label", custom.label)
			put(key, custom.text)
		}
	}
	for i, part := range [...]struct {
		label  string
		millis float64
	}{{"milliseconds", r.Millis}, {"queue", r.Queue}, {"upstream", r.Upstreams}} {
		if i == 0 || part.millis > 0 {
			key := "cfp" + strconv.Itoa(i+1)
			put(key+"Label", part.label)
			put(key, strconv.FormatFloat(part.millis, 'f', -1, 64))
		}
	}
	return b[:len(b)-1]
}

// object is a JSON object.
type object = map[string]any

// ocsf is a row as an API Activity (class 6003) of the Open Cybersecurity Schema Framework 1.3.
func ocsf(version string, r *requestlog.Row) object {
	status, severity := 1, 1
	switch {
	case refused(r):
		status, severity = 2, 3
	case requestlog.Failed(r.Outcome):
		status, severity = 2, 2
	}
	source := object{"name": "local"}
	if r.Address != "" {
		source = object{"ip": r.Address}
	}
	api := object{"operation": r.Method, "request": object{"uid": r.ID}}
	metadata := object{"version": "1.3.0", "uid": r.ID, "product": object{"name": "weir", "vendor_name": "weir", "version": version}}
	o := object{
		"class_uid": 6003, "category_uid": 6, "activity_id": 99, "activity_name": r.Method, "type_uid": 600399, "severity_id": severity, "status_id": status,
		"status_code": r.Outcome, "time": r.At.UnixMilli(), "duration": int64(r.Millis),
		"metadata": metadata,
		"actor":    object{"user": object{"name": r.Who}}, "api": api, "src_endpoint": source,
	}
	if r.Trace != "" {
		metadata["correlation_uid"] = r.Trace
	}
	if requestlog.Failed(r.Outcome) {
		api["response"] = object{"error": r.Outcome, "error_message": r.Reason}
	}
	if r.Reason != "" {
		o["status_detail"] = r.Reason
	}
	if r.Upstream != "" {
		api["service"] = object{"name": r.Upstream}
		o["resources"] = []object{{"name": r.Upstream + "/" + r.Name, "type": r.Kind}}
	}
	if r.Upstream != "" || r.Rule != "" {
		o["unmapped"] = object{"rule": r.Rule, "era": r.Era, "execution": r.Execution, "queue_ms": r.Queue, "upstream_ms": r.Upstreams}
	}
	return o
}
