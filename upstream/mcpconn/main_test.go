package mcpconn

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"weir/upstream/process"
	"weir/upstream/upstreamtest"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // for the guard: under the race detector every process sleeps a second at its end
	process.MaybeGuard()
	runRawChild()
	upstreamtest.RunChild()
	goleak.VerifyTestMain(m)
}
