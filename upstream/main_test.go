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
	// toxiproxy leaves this one behind where a connection breaks under it.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*SlicerToxic).Pipe"))
}
