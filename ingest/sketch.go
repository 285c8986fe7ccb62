package ingest

import (
	"slices"
	"unicode"

	"zonewire"
)

// leastSketched is how many letters a body needs before it can be told from another by its likeness.
const leastSketched = 60

// sketcher takes the likeness of a body, character by character. What counts is letters and digits, small and narrow: neither markup
// and white space nor the width of punctuation makes two portals' copies differ.
type sketcher struct {
	least  [zonewire.SketchSize]uint32 // the smallest hashes so far, ascending
	n      int                         // of them
	gram   uint64                      // the last four letters, 16 bits each
	length int                         // letters so far
}

// add goes on with the next character.
func (k *sketcher) add(r rune) {
	if r = sketched(r); r < 0 {
		return
	}
	k.gram = k.gram<<16 | uint64(uint16(r^r>>16))
	if k.length++; k.length < 4 {
		return
	}
	h := gramHash(k.gram)
	if k.n == len(k.least) && h >= k.least[k.n-1] {
		return
	}
	at, known := slices.BinarySearch(k.least[:k.n], h)
	if known {
		return
	}
	k.n = min(k.n+1, len(k.least))
	copy(k.least[at+1:k.n], k.least[at:])
	k.least[at] = h
}

func (k *sketcher) sketch() zonewire.Sketch {
	if k.length < leastSketched {
		return nil
	}
	return slices.Clone(k.least[:k.n])
}

// sketched is a letter or digit as it counts, or -1 for what does not.
func sketched(r rune) rune {
	switch {
	case r >= 0x4e00 && r <= 0x9fff: // Han
		return r
	case r >= 0xff01 && r <= 0xff5e:
		r -= 0xff01 - '!'
	}
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return r
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r < 0x80, !unicode.IsLetter(r) && !unicode.IsDigit(r):
		return -1
	}
	return unicode.ToLower(r)
}

// gramHash spreads 64 bits evenly over 32 (the finaliser of SplitMix64). Stored sketches are made of it: another
// function would make every stored article unlike every new one.
func gramHash(x uint64) uint32 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return uint32(x >> 32)
}
