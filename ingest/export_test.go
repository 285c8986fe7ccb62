package ingest

import (
	"fmt"
	"strings"
)

// For tests in the other package, which compare the short ways with the long ones.
var (
	CleanAny   = cleanAny
	CleanPlain = cleanPlain
	IsClean    = isClean
	Settled    = settled
	EachPart   = eachPart
)

// StripBothWays takes the tags off a text the short way and the long way.
func StripBothWays(s string) (short, long string) {
	var text strings.Builder
	stripAny(&text, s)
	return stripTags(s), text.String()
}

// ObjectBothWays gives the fields of an object as the short way reads them, if it does, and as the long way does.
func ObjectBothWays(s string) (quick string, taken bool, long string, err error) {
	q, taken := quickObject(s)
	l, err := decodeObject([]byte(s))
	return fmt.Sprintf("%#v", q), taken, fmt.Sprintf("%#v", l), err
}
