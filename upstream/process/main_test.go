package process

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleVar makes the test binary another program: "weir", which starts children and waits to be ended.
const roleVar = "WEIR_TEST_ROLE"

func TestMain(m *testing.M) {
	MaybeGuard()
	if os.Getenv(roleVar) == "weir" {
		os.Exit(weir())
	}
	goleak.VerifyTestMain(m)
}
