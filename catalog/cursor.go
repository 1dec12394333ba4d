package catalog

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// A cursor is base64url of: version, kind, checksum (4 bytes), the public name of the last entry that was shown. It names a place in the
// order of names, so it is good on any node and for any later snapshot. The checksum is against mistakes, not against people:
// a made-up cursor names a place in the caller's own list, and nothing more.
const (
	cursorVersion = 1
	cursorHeader  = 6
	cursorDomain  = "weir cursor"
)

func appendCursorBytes(dst []byte, kind Kind, last string) []byte {
	start := len(dst)
	dst = append(dst, cursorVersion, byte(kind), 0, 0, 0, 0)
	dst = append(dst, last...)
	binary.BigEndian.PutUint32(dst[start+2:], cursorSum(kind, dst[start+cursorHeader:]))
	return dst
}

func cursorSum(kind Kind, last []byte) uint32 {
	var room [len(cursorDomain) + 2]byte
	domain := append(append(room[:0], cursorDomain...), cursorVersion, byte(kind))
	return crc32.Update(crc32.ChecksumIEEE(domain), crc32.IEEETable, last)
}

// newCursor returns the cursor of the page that follows the entry named last.
func newCursor(kind Kind, last string) string {
	var room [256]byte
	return base64.RawURLEncoding.EncodeToString(appendCursorBytes(room[:0], kind, last))
}

// parseCursor returns the name in cursor. The error is a *Error with code Invalid.
func parseCursor(kind Kind, cursor string) (last []byte, err error) {
	var room [256]byte
	data, decodeErr := base64.RawURLEncoding.AppendDecode(room[:0], []byte(cursor))
	switch {
	case decodeErr != nil, len(data) < cursorHeader, data[0] != cursorVersion, data[1] >= byte(kinds):
		return nil, badCursor("cursor %s is not one that this gateway gave out", cursor)
	case binary.BigEndian.Uint32(data[2:]) != cursorSum(Kind(data[1]), data[cursorHeader:]):
		return nil, badCursor("cursor %s is damaged or from elsewhere", cursor)
	case data[1] != byte(kind):
		return nil, badCursor("cursor %s belongs to the list of "+Kind(data[1]).String()+"s", cursor)
	}
	return data[cursorHeader:], nil
}

func badCursor(format, cursor string) *Error {
	e := Errorf(Invalid, format, quote(cursor))
	e.Hint = "ask for the list again without a cursor"
	return e
}
