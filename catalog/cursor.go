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
	cursorSeed    = 0x77656972 // so that no plain CRC-32 passes
)

// cursorSum is the checksum of a cursor: of all its bytes but the checksum's own.
func cursorSum(data []byte) uint32 {
	return crc32.Update(crc32.Update(cursorSeed, crc32.IEEETable, data[:2]), crc32.IEEETable, data[cursorHeader:])
}

// newCursor returns the cursor of the page that follows the entry named last.
func newCursor(kind Kind, last string) string {
	data := make([]byte, cursorHeader, cursorHeader+len(last))
	data[0], data[1] = cursorVersion, byte(kind)
	data = append(data, last...)
	binary.BigEndian.PutUint32(data[2:], cursorSum(data))
	var room [128]byte
	return string(base64.RawURLEncoding.AppendEncode(room[:0], data))
}

// parseCursor returns the name in cursor. The error is a *Error with code Invalid.
func parseCursor(kind Kind, cursor string) (last []byte, err error) {
	data, decodeErr := base64.RawURLEncoding.DecodeString(cursor)
	switch {
	case decodeErr != nil, len(data) < cursorHeader, data[0] != cursorVersion, data[1] >= byte(kinds):
		return nil, badCursor("cursor %s is not one that this gateway gave out", cursor)
	case binary.BigEndian.Uint32(data[2:]) != cursorSum(data):
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
