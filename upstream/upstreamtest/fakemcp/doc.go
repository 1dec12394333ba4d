// Fakemcp is the fake MCP server as a program of its own, see [weir/upstream/upstreamtest.Main]. It owns nothing.
//
// It stands outside the line. A fake from a test's own binary starts everything that the test was linked with, which takes five times as long; where
// servers end and start all the time, that is what would be measured.
package main
