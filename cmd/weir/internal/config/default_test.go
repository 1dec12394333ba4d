package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/cmd/weir/internal/help"
)

// What weir help config says stands where the file says nothing does stand there.
func TestDefaultsAreAsDocumented(t *testing.T) {
	t.Parallel()
	f, err := Parse("/work/weir.yaml", []byte("mcpServers: {}\n"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	topic, ok := help.Topic("config")
	if !ok {
		t.Fatal("there is no such topic")
	}
	row := regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\| `([^`]+)` \\|")
	seen := 0
	for section, at := range map[string]any{"telemetry": f.Telemetry, "audit": f.Audit, "requestLog": f.RequestLog, "idempotency": f.Idempotency, "guards": f.Guards} {
		_, text, found := strings.Cut(topic, "\n## Keys of "+section+"\n")
		if !found {
			t.Fatalf("there are no keys of %s", section)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			seen++
			if m[1] == "segmentBytes" {
				continue // the log's own, for 0
			}
			v := reflect.ValueOf(at)
			for key := range strings.SplitSeq(m[1], ".") {
				v = v.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, key) })
			}
			got := fmt.Sprint(v.Interface())
			if d, ok := reflect.TypeAssert[time.Duration](v); ok {
				want, err := time.ParseDuration(m[2])
				if err != nil || d != want {
					t.Errorf("%s.%s is %s, documented as %s", section, m[1], got, m[2])
				}
			} else if got != m[2] {
				t.Errorf("%s.%s is %s, documented as %s", section, m[1], got, m[2])
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d defaults are documented", seen)
	}
}
