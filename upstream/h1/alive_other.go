//go:build !unix

package h1

// alive reports whether a resting connection can be used, as far as can be told without reading from it.
func (c *conn) alive() bool { return c.in.Buffered() == 0 }
