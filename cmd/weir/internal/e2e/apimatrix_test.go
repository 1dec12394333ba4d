package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// apiMatrix notes what was seen to hold: which feature of an API, behind which server, for clients of which era.
type apiMatrix struct {
	features, servers []string
	held              map[string]bool
}

// row is one call of a feature: what its answer has in it, and what the ledger of the server has then.
type row struct {
	feature, what, tool string
	arguments           object
	want, sent          []string
}

func cellName(feature, server string, e era) string {
	return feature + " | " + server + " | " + string(e)
}

// cell checks one feature. It is noted when nothing was amiss.
func (m *apiMatrix) cell(t *testing.T, feature, server string, e era, check func(t *testing.T)) {
	t.Helper()
	t.Run(feature, func(t *testing.T) {
		check(t)
		m.held[cellName(feature, server, e)] = !t.Failed()
	})
}

// whole shows the matrix, and fails for each cell that nobody looked into.
func (m *apiMatrix) whole(t *testing.T) {
	t.Helper()
	t.Run("every cell", func(t *testing.T) {
		var table strings.Builder
		cells := 0
		for _, feature := range m.features {
			fmt.Fprintf(&table, "\n%-28s", feature)
			for _, server := range m.servers {
				for _, e := range []era{legacy, modern} {
					holds, ran := m.held[cellName(feature, server, e)]
					if !ran {
						t.Errorf("%s was not looked into", cellName(feature, server, e))
					}
					cells++
					fmt.Fprintf(&table, "  %s %s: %t", server, e, holds)
				}
			}
		}
		t.Logf("%d cells%s", cells, table.String())
	})
}
