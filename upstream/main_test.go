package upstream

import (
	"testing"

	"go.uber.org/goleak"

	"weir/upstream/process"
	"weir/upstream/upstreamtest"
)

func TestMain(m *testing.M) {
	process.MaybeGuard()
	upstreamtest.RunChild()
	goleak.VerifyTestMain(m)
}
