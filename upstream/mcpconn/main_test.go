package mcpconn

import (
	"testing"

	"go.uber.org/goleak"

	"weir/upstream/upstreamtest"
)

func TestMain(m *testing.M) {
	upstreamtest.RunChild()
	goleak.VerifyTestMain(m)
}
