package join

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"weir/server"
)

// Whoever wants an answer instead of MCP begins with the word ask. No message of MCP begins with a letter, so the two cannot be mixed up.
const (
	askWord    = "ask "
	answerWord = "answer "
)

// Ask puts a question, which is one line, and returns the answer. The connection is of no use afterwards.
func (c *Conn) Ask(ctx context.Context, question []byte) ([]byte, error) {
	defer func() { _ = c.Close() }()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write(append(append([]byte(askWord), question...), '\n')); err != nil {
		return nil, fmt.Errorf("join: %w", errors.Join(ctx.Err(), err))
	}
	line, err := readLine(c.reader, math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("join: the gateway did not answer: %w", errors.Join(ctx.Err(), err))
	}
	answer, ok := bytes.CutPrefix(bytes.TrimRight(line, "\n"), []byte(answerWord))
	if !ok {
		return nil, fmt.Errorf("join: it is weir %s, which cannot be asked", c.Weir)
	}
	return answer, nil
}

// asked reads the question that a connection begins with, without its word. ok is false for one that speaks MCP; then rest is what it says, from the
// beginning. It waits until something is said, or ctx ends.
func asked(ctx context.Context, conn *net.UnixConn) (question []byte, ok bool, rest io.Reader, err error) {
	in := bufio.NewReaderSize(conn, 64<<10)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	first, err := in.Peek(1)
	if err != nil || first[0] != askWord[0] {
		return nil, false, in, err
	}
	line, err := readLine(in, maxQuestion)
	if question, ok = bytes.CutPrefix(line, []byte(askWord)); ok {
		return bytes.TrimRight(question, "\n"), true, nil, err
	}
	return nil, false, io.MultiReader(bytes.NewReader(line), in), nil
}

// answer answers one question. Whoever hangs up does not want the answer any more. A panic is the error of this question and of no other.
func (l *Listener) answer(stopping context.Context, conn *net.UnixConn, out io.Writer, question []byte) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stopping))
	defer cancel()
	defer context.AfterFunc(stopping, func() { time.AfterFunc(l.o.Drain, cancel) })()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = conn.Read(make([]byte, 1)) // nothing more comes but the end
		cancel()
	}()
	defer func() {
		if p := recover(); p != nil {
			server.Panicked(l.o.Log, nil, p)
		}
		_ = conn.Close()
		<-gone
	}()
	text := append(append([]byte(answerWord), l.o.Answer(ctx, question)...), '\n')
	_, _ = out.Write(text) // nobody may be there any more
}
