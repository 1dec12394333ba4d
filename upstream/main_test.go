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
	// toxiproxy leaves these behind where a connection breaks under them.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}
