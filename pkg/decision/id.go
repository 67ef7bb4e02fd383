package decision

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// id is a UUID.
type id [16]byte

// parseID reads a UUID in its usual form of 36 characters.
func parseID(s string) (u id, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, false
	}
	a, badA := unhex(four(s[0:4]) | four(s[4:8])<<32)
	b, badB := unhex(four(s[9:13]) | four(s[14:18])<<32)
	c, badC := unhex(four(s[19:23]) | four(s[24:28])<<32)
	d, badD := unhex(four(s[28:32]) | four(s[32:36])<<32)
	binary.LittleEndian.PutUint64(u[:8], a|b<<32)
	binary.LittleEndian.PutUint64(u[8:], c|d<<32)
	return u, badA|badB|badC|badD == 0
}

// four reads four characters, the first one lowest.
func four(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// unhex reads eight hexadecimal digits at once, a byte each, into four bytes;
// bad is not 0 when one of them is none.
func unhex(digits uint64) (value, bad uint64) {
	const every = 0x0101010101010101
	letters := digits >> 6 & every
	n := digits&(0x0f*every) + 9*letters
	// What these values are written as, in lower case, is what was read.
	written := n + '0'*every + (n+6*every)>>4&every*('a'-'0'-10)
	bad = written ^ (digits | letters<<5) | n&(0xf0*every)
	value = (n<<4 | n>>8) & 0x00ff00ff00ff00ff
	value = (value | value>>8) & 0x0000ffff0000ffff
	return (value | value>>16) & 0xffffffff, bad
}

// optionalID reads a UUID that may be left out.
func optionalID(s string) (u id, given, ok bool) {
	if s == "" {
		return u, false, true
	}
	u, ok = parseID(s)
	return u, ok, ok
}

func (u id) String() string {
	var s [36]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:36], u[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// hash spreads ids evenly. It is the same in all processes and versions:
// cursors are positions in its order.
func (u id) hash() uint64 {
	high, low := bits.Mul64(
		binary.LittleEndian.Uint64(u[:8])^0x9e3779b97f4a7c15,
		binary.LittleEndian.Uint64(u[8:])^0xd6e8feb86659fd93)
	return high ^ low
}
