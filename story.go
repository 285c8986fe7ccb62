package zonewire

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode"
)

// SketchSize is how many hashes a sketch holds at most.
const SketchSize = 64

// Sketch is a small likeness of a body: the smallest hashes of its runs of four characters, ascending, each once
// (a bottom-k sketch, Cohen and Kaplan 2007). Two sketches tell how much two bodies share without the bodies. A body of less
// than 60 characters has none: two short notices may agree by chance.
type Sketch []uint32

// Likeness estimates the share of four-character runs that two bodies have in common, from 0 to 1, within about 0.05.
func (s Sketch) Likeness(other Sketch) float64 {
	if len(s) == 0 || len(other) == 0 {
		return 0
	}
	// The smallest hashes of both together are a fair sample of their union.
	both, union, i, j := 0, 0, 0, 0
	for union < SketchSize && (i < len(s) || j < len(other)) {
		switch {
		case j == len(other) || i < len(s) && s[i] < other[j]:
			i++
		case i == len(s) || s[i] > other[j]:
			j++
		default:
			both++
			i++
			j++
		}
		union++
	}
	return float64(both) / float64(union)
}

// Keys are two numbers by which bodies that are alike find each other: those that share nine tenths have at least one in
// common 99 times of 100. 0 means none.
func (s Sketch) Keys() (int64, int64) {
	if len(s) == 0 {
		return 0, 0
	}
	// The smallest hash under two orders: the hash's own, and that of the hash scrambled.
	second := scramble(s[0])
	for _, h := range s[1:] {
		second = min(second, scramble(h))
	}
	return int64(s[0]) + 1, int64(second) + 1
}

// scramble is a bijection of 32 bits (Murmur3's finaliser).
func scramble(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// Bytes writes a sketch for the store, four bytes a hash.
func (s Sketch) Bytes() []byte {
	b := make([]byte, 0, 4*len(s))
	for _, h := range s {
		b = binary.BigEndian.AppendUint32(b, h)
	}
	return b
}

// SketchOf reads what [Sketch.Bytes] has written.
func SketchOf(b []byte) Sketch {
	s := make(Sketch, 0, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		s = append(s, binary.BigEndian.Uint32(b))
	}
	return s
}

// StoryWindow is how far apart two tellings of one story may be dated.
const StoryWindow = 3 * 24 * time.Hour

// SameStory reports whether two articles tell one story: their bodies are nearly the same, or their titles agree and
// most of the bodies does. That they were published within [StoryWindow] is up to the caller. It looks at title and
// sketch only.
func SameStory(a, b Article) bool {
	const nearly, mostly = 0.8, 0.6
	like := a.Sketch.Likeness(b.Sketch)
	switch {
	case like >= nearly:
		// A sketch that is not full is of a short body, which proves something only under the same title.
		return min(len(a.Sketch), len(b.Sketch)) == SketchSize || like == 1 || titlesAgree(a.Title, b.Title)
	case like >= mostly:
		return titlesAgree(a.Title, b.Title)
	}
	return false
}

// titlesAgree reports whether two titles are the same but for spaces and punctuation, or one holds the other, as when a
// portal adds 【头条】 before it.
func titlesAgree(a, b string) bool {
	const enough = 8 * 3 // bytes of eight Han characters
	a, b = lettersOf(a), lettersOf(b)
	if a == b {
		return a != ""
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= enough && strings.Contains(b, a)
}

func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}
