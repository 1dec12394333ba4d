package grpc

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/dynamicpb"

	"weir/translate"
)

// long is a 64-bit number near an edge that floats have: a power of two from 2^53 on, or the ends.
func long(random *rand.Rand) int64 {
	n := int64(1)<<(53+random.IntN(10)) + random.Int64N(7) - 3
	switch random.IntN(4) {
	case 0:
		return -n
	case 1:
		return random.Int64() - random.Int64()
	case 2:
		return int64(-1<<63) + random.Int64N(3)
	}
	return n
}

// TestInt64Survives sends 64-bit numbers at random to a server and back, as digits and as texts, in each place that a field can have. What the server
// noted and what the caller gets are the digits that were sent.
func TestInt64Survives(t *testing.T) {
	s := serve(t, setup{Reflect: "v1"})
	a := dial(t, s, Spec{}, translate.Options{})
	random := rand.New(rand.NewPCG(53, 1))
	numbers, kept := 0, 0
	for range 400 {
		var given, want [6]string
		for i := range given {
			want[i] = `"` + strconv.FormatInt(long(random), 10) + `"`
			if i == 5 {
				want[i] = `"` + strconv.FormatUint(uint64(long(random)), 10) + `"`
			}
			given[i] = want[i]
			if random.IntN(2) == 0 {
				given[i] = strings.Trim(want[i], `"`)
			}
		}
		text := func(v [6]string) string {
			return fmt.Sprintf(`{"fInt64":%s,"oInt64":%s,"rInt64":[%s],"mInt32":{"1":%s},"wInt64":%s,"wUint64":%s}`, v[0], v[1], v[2], v[3], v[4], v[5])
		}
		got := run(t, a, "Greeter_Mirror", text(given))
		calls := s.Calls()
		numbers += len(given)
		if got.Get("structuredContent").JSON() != text(want) || calls[len(calls)-1] != "/weir.test.Greeter/Mirror "+text(want) {
			t.Errorf("%s became %s; the server saw %s", text(given), got.JSON(), calls[len(calls)-1])
			continue
		}
		kept += len(given)
	}
	t.Logf("%d of %d numbers came back as they were sent", kept, numbers)
}

// FuzzInt64 does the same without a network for whatever number comes.
func FuzzInt64(f *testing.F) {
	m, types := mirror(f)
	f.Add(int64(1<<53+1), uint64(1<<64-1), true)
	f.Add(int64(-1<<63), uint64(1<<53+1), false)
	f.Fuzz(func(t *testing.T, signed int64, unsigned uint64, digits bool) {
		form := `{"fSint64":"%d","fFixed64":"%d","rMessage":[{"cInt64":"%d"}]}`
		want := fmt.Sprintf(form, signed, unsigned, signed)
		given := want
		if digits {
			given = fmt.Sprintf(strings.ReplaceAll(form, `"%d"`, "%d"), signed, unsigned, signed)
		}
		args, refused := m.Input.Accept([]byte(given))
		if refused != nil {
			t.Fatalf("%s was refused", given)
		}
		in := dynamicpb.NewMessage(m.descriptor.Input())
		if err := types.read(m.encode(args)[0], in); err != nil {
			t.Fatal(err)
		}
		text, err := types.json(in)
		if got := string(text); err != nil || got != strings.NewReplacer(`"fSint64":"0",`, "", `"fFixed64":"0",`, "").Replace(want) {
			t.Fatalf("%s became %s, %v", given, got, err)
		}
	})
}
