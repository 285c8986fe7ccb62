package ingest

import "fmt"

// For tests in the other package, which compare the short ways with the long ones.
var (
	CleanAny   = cleanAny
	CleanPlain = cleanPlain
	IsClean    = isClean
	Settled    = settled
	EachPart   = eachPart
)

// ObjectBothWays gives the fields of an object as the short way reads them, if it does, and as the long way does.
func ObjectBothWays(s string) (quick string, taken bool, long string, err error) {
	q, taken := quickObject(s)
	l, err := decodeObject([]byte(s))
	return fmt.Sprintf("%#v", q), taken, fmt.Sprintf("%#v", l), err
}
