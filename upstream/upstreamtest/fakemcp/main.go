package main

import "weir/upstream/upstreamtest"

func main() { upstreamtest.Main() }
