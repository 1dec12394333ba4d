package admin

// The examples are questions as people ask them. Their words are what the ranker finds them by, so each has words that the others lack.

type args = map[string]any

func upstreamExamples() []example {
	return []example{
		{"which upstreams servers services apis are connected", nil},
		{"status health of upstreams, is everything up and running", nil},
		{"which upstreams servers backends are down, offline, broken, unreachable, not working", args{"state": "failed"}},
		{"which upstreams need a sign in, login, credentials", args{"state": "sign_in"}},
		{"which upstreams are disabled, switched off", args{"state": "disabled"}},
		{"which upstreams are starting", args{"state": "starting"}},
	}
}

func topologyExamples() []example {
	return []example{
		{"topology, layout, overview, map of the gateway", nil},
		{"which virtual servers and endpoints are there, and which upstreams do they offer", nil},
	}
}

func listExamples() []example {
	return []example{
		{"list all tools", nil},
		{"what can i call here", nil},
		{"which tools does an upstream offer", nil},
		{"which prompts are there", args{"kind": "prompt"}},
		{"which resources are there", args{"kind": "resource"}},
		{"which resource templates are there", args{"kind": "template"}},
	}
}

func findExamples() []example {
	return []example{
		{"find, search a tool for a task, is there a tool to do something", nil},
		{"which tool can do this, how do i do this", nil},
	}
}

func describeExamples() []example {
	return []example{
		{"describe a tool, what does it do", nil},
		{"which arguments, parameters, input schema does a tool take", nil},
	}
}

func accessExamples() []example {
	return []example{
		{"why am i not allowed to call, why was access denied, forbidden", nil},
		{"may i call, am i permitted, do i have access", nil},
		{"which rule of the policy decides, explain access of a user", nil},
	}
}

func fieldExamples() []example {
	return []example{
		{"which fields, dimensions, measures, filters can analytics be grouped by", nil},
		{"what do the analytics fields mean", nil},
	}
}

func countExamples() []example {
	by := func(dimensions ...string) args {
		list := make([]any, len(dimensions))
		for i, d := range dimensions {
			list[i] = d
		}
		return args{"by": list}
	}
	with := func(a args, key string, value any) args {
		a[key] = value
		return a
	}
	return []example{
		{"which upstreams services servers had the most errors failures", with(by("upstream"), "order", "failed")},
		{"which tools fail most, had most errors failures", with(by("upstream", "name"), "order", "failed")},
		{"which tools are used most, popular, top, most called", by("upstream", "name")},
		{"which upstreams services are used most, busiest, traffic", by("upstream")},
		{"which tools are slowest, latency, take longest", with(by("upstream", "name"), "order", "mean_ms")},
		{"which upstreams services are slowest, latency, response time", with(by("upstream"), "order", "mean_ms")},
		{"who, which users callers made the most calls requests", by("who")},
		{"who, which users callers are refused denied most", with(by("who"), "denied", true)},
		{"which rules of the policy refuse deny most", with(by("rule"), "denied", true)},
		{"how many requests calls in all, total, number", nil},
		{"number of requests calls per hour, over time, hourly", by("hour")},
		{"number of requests calls per day, daily", by("day")},
		{"when did the errors failures begin, errors over time", with(by("hour"), "failed", true)},
		{"which kinds of failures, errors, outcomes are there", with(by("outcome"), "failed", true)},
		{"which tools send the largest answers results, most bytes data volume", with(by("upstream", "name"), "order", "out")},
		{"how many clients speak the legacy old or modern protocol era", by("era")},
		{"how many calls timed out, timeouts per upstream", with(by("upstream"), "outcome", "timeout")},
	}
}

func requestExamples() []example {
	return []example{
		{"show the latest recent last requests calls", nil},
		{"show latest recent errors, failed requests calls, error messages", args{"failed": true}},
		{"show latest recent denied refused requests calls", args{"denied": true}},
		{"show requests of this trace id", nil},
		{"show my own requests calls", args{"who": "me"}},
		{"what did i call myself", args{"who": "me"}},
		{"what did a user call, requests calls of user", nil},
		{"show requests calls that timed out", args{"outcome": "timeout"}},
	}
}
