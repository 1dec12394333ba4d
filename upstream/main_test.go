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
	const toxiproxy = "github.com/Shopify/toxiproxy/v2" // which leaves these behind where a connection breaks under them
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(toxiproxy+"/toxics.(*ToxicStub).Run"), goleak.IgnoreAnyFunction(toxiproxy+".(*ToxicLink).read"),
		goleak.IgnoreAnyFunction(toxiproxy+".(*ToxicLink).write"))
}
