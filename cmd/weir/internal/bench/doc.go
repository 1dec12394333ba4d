// Package bench owns the measurement of what weir costs: the CPU its process burns for one call, beside what a body-buffering
// httputil.ReverseProxy burns for the same call in the same minutes, and whether every answer arrived whole.
//
// It stands outside the line. Its command is
//
//	go run ./cmd/weir/internal/bench/weirbench [-quick] [-json] [-stock] [-run REGEXP]
//
// and its Go benchmarks, with the gateway in the process of the test and everything else outside, are for profiles:
//
//	go test -run '^$' -bench Call/modern/4KiB -cpuprofile cpu.out ./cmd/weir/internal/bench
//
// Decisions:
//
//   - CPU time of the gateway's process comes first, time on the clock second. On a machine with few cores client, gateway and upstream
//     fight for the same ones, and latency tells more about the fight than about the gateway. The kernel counts CPU per process, in
//     nanoseconds, whoever else runs.
//   - Ratios, never absolutes. Targets take turns in short slices within one run, so what disturbs one disturbs its neighbours, and a
//     ratio is the median over rounds of the ratio within a round.
//   - Every part is a process of its own: upstream, proxy and gateway are separate programs, the load comes from this one. All have the
//     same GOMAXPROCS and the collector's defaults.
//   - The proxy that weir is compared with reads the request's body before it forwards it and keeps enough connections. Handing the inbound
//     body on truncates answers, and the default of two idle connections per host opens a new one for most calls at concurrency 32;
//     to win against that would mean nothing. It also has a pool of copy buffers; without one, as it comes, it costs up to 1.8 times as much,
//     and -stock shows that one beside it.
//   - Every answer is checked: it must be complete JSON with the right id and the payload that was sent, every stream must hold all its
//     notifications before the answer. The load is an HTTP/1.1 client on bare connections, because what is not spent on the client is
//     left to the measured.
//   - What it costs to translate between the eras is told in terms of weir where nothing is to be translated: two gateways before one upstream, which
//     they are told to call in one era or the other, take turns in the same rounds.
//   - Go's testing.B alone would not do: it measures its own process, and has no rounds.
package bench
