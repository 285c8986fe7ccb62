package ingest

// For tests in the other package, which compare the short ways with the long one.
var (
	CleanAny   = cleanAny
	CleanPlain = cleanPlain
	IsClean    = isClean
	Settled    = settled
	EachPart   = eachPart
)
