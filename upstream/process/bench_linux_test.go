package process

import (
	"context"
	"os"
	"testing"
)

// BenchmarkStart is what it costs to start a child and see it end, with and without a sandbox. The launcher is the test binary here, which starts
// faster than weir: that has more packages to initialize.
func BenchmarkStart(b *testing.B) {
	for name, box := range map[string]Sandbox{"plain": {}, "limits": {OpenFiles: 100}, "files and ports": {Read: []string{}, Connect: []int{443}}} {
		b.Run(name, func(b *testing.B) {
			s := New(Options{})
			defer func() { _ = s.Close(context.Background()) }()
			for b.Loop() {
				p, err := s.Start(Spec{Name: "true", Command: "true", Env: Environ(os.Environ(), nil), Sandbox: box})
				if err != nil {
					b.Fatal(err)
				}
				<-p.Done()
				_ = p.Stdout.Close()
				_ = p.Stop(context.Background())
			}
		})
	}
}
