package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// expectation is what the answer to one request must hold.
type expectation struct {
	id      []byte // digits
	payload []byte // echoed text, nil for lists
	tools   int
	events  bool
	// first is the first list that a worker received and checked in full; later ones must equal it but for the id.
	first *[]byte
}

// check says what is wrong with an answer; [errTruncated] when it is not all there.
func (e *expectation) check(p reply) error {
	if p.status != 200 {
		return fmt.Errorf("status %d: %.200s", p.status, p.body)
	}
	if e.first != nil {
		return e.checkList(p.body)
	}
	answer := p.body
	if p.events {
		var err error
		if answer, err = e.checkEvents(p.body); err != nil {
			return err
		}
	} else if e.events {
		return fmt.Errorf("an answer without its %d notifications", eventCount)
	}
	return e.checkEcho(answer)
}

// checkEcho looks for the payload and then reads what stands around it, so that a megabyte costs a comparison and not a parse.
func (e *expectation) checkEcho(answer []byte) error {
	at := bytes.Index(answer, e.payload)
	end := at + len(e.payload)
	if at < 1 || answer[at-1] != '"' || end >= len(answer) || answer[end] != '"' {
		if !json.Valid(answer) {
			return errTruncated
		}
		return fmt.Errorf("the answer does not echo what was sent: %.300s", answer)
	}
	rest := append(append(make([]byte, 0, len(answer)-len(e.payload)), answer[:at]...), answer[end:]...)
	var m struct {
		ID     json.RawMessage
		Error  json.RawMessage
		Result struct {
			IsError bool
			Content []struct{ Type, Text string }
		}
	}
	if err := json.Unmarshal(rest, &m); err != nil {
		return errTruncated
	}
	switch {
	case !bytes.Equal(m.ID, e.id):
		return fmt.Errorf("id %s, sent %s", m.ID, e.id)
	case m.Error != nil || m.Result.IsError || len(m.Result.Content) != 1 || m.Result.Content[0].Text != "":
		return fmt.Errorf("not the result: %.300s", rest)
	}
	return nil
}

// checkEvents takes an event stream apart: all notifications in order with the token that was sent, then the answer, which it returns.
func (e *expectation) checkEvents(body []byte) ([]byte, error) {
	progress := 0
	for event := range bytes.SplitSeq(body, []byte("\n\n")) {
		_, data, _ := bytes.Cut(event, []byte("data:"))
		data = bytes.TrimSpace(data)
		if !bytes.HasPrefix(data, []byte("{")) {
			continue
		}
		if !bytes.Contains(data[:min(len(data), 80)], []byte(`"notifications/progress"`)) {
			if e.events && progress != eventCount {
				return nil, fmt.Errorf("%d notifications before the answer, want %d", progress, eventCount)
			}
			return data, nil
		}
		var n struct {
			Params struct {
				ProgressToken json.RawMessage
				Progress      int
			}
		}
		if err := json.Unmarshal(data, &n); err != nil {
			return nil, errTruncated
		}
		progress++
		if n.Params.Progress != progress || !bytes.Equal(n.Params.ProgressToken, e.id) {
			return nil, fmt.Errorf("notification %d: %.200s", progress, data)
		}
	}
	return nil, errTruncated // the stream ended without the answer
}

// checkList reads the first list in full and compares the others with it.
func (e *expectation) checkList(body []byte) error {
	at := bytes.Index(body, e.id)
	if at < 0 {
		return fmt.Errorf("no id %s in the answer", e.id)
	}
	end := at + len(e.id)
	if first := *e.first; first != nil {
		if len(body) != len(first) {
			return fmt.Errorf("a list of %d bytes after one of %d", len(body), len(first))
		}
		if !bytes.Equal(body[:at], first[:at]) || !bytes.Equal(body[end:], first[end:]) {
			return errors.New("a list that differs from the one before")
		}
		return nil
	}
	var m struct {
		Result struct {
			Tools      []struct{ Name string }
			NextCursor string
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return errTruncated
	}
	if len(m.Result.Tools) != e.tools || m.Result.NextCursor != "" {
		return fmt.Errorf("%d tools, want %d on one page", len(m.Result.Tools), e.tools)
	}
	*e.first = bytes.Clone(body)
	return nil
}
