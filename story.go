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
// common 96 times of 100, those that share all but a line nearly always. 0 means none.
//
// Each is of two hashes, not of one: any two articles of development zones share a hundredth of their runs (高质量发), so by
// one hash an article would find twenty strangers a day among a few thousand, and by two of them hardly any.
func (s Sketch) Keys() (int64, int64) {
	if len(s) < 2 {
		return 0, 0
	}
	// The two smallest hashes under two orders: the hash's own, and that of the hash scrambled.
	low, next := scramble(s[0]), scramble(s[1])
	if low > next {
		low, next = next, low
	}
	for _, h := range s[2:] {
		if h = scramble(h); h < low {
			low, next = h, low
		} else if h < next {
			next = h
		}
	}
	return pair(s[0], s[1]), pair(low, next)
}

// pair makes one number of two, never 0 and never negative.
func pair(a, b uint32) int64 { return (int64(a)<<31 ^ int64(b)) | 1 }

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
//
// The bulletin of the next day has the frame of the last: half to three quarters of it agree. Hence the limits, and hence a
// title that agrees but for its numbers, as in 第311期 and 第312期, is of another story unless the bodies are the same.
func SameStory(a, b Article) bool {
	const nearly, mostly = 0.8, 0.75
	like := a.Sketch.Likeness(b.Sketch)
	switch {
	case like < mostly:
		return false
	case like == 1:
		return true
	case inSeries(a.Title, b.Title):
		return false
	case like >= nearly && min(len(a.Sketch), len(b.Sketch)) == SketchSize:
		return true
	}
	// A sketch that is not full is of a short body, which proves something only under the same title.
	return agree(lettersOf(a.Title), lettersOf(b.Title))
}

// inSeries reports whether two titles are the same but for the numbers in them.
func inSeries(a, b string) bool {
	wordsA, numbersA := partNumbers(lettersOf(a))
	wordsB, numbersB := partNumbers(lettersOf(b))
	return numbersA != numbersB && numbersA != "" && numbersB != "" && agree(wordsA, wordsB)
}

// agree reports whether two texts are the same, or one holds the other, as when a portal adds 【头条】 before a title.
func agree(a, b string) bool {
	const enough = 8 * 3 // bytes of eight Han characters
	if a == b {
		return a != ""
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= enough && strings.Contains(b, a)
}

// lettersOf is a text without spaces and punctuation, small and narrow.
func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			r -= 0xff01 - '!'
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// partNumbers parts the numbers in a text, Chinese ones too, from the rest.
func partNumbers(s string) (words, numbers string) {
	number := func(r rune) bool {
		return unicode.IsDigit(r) || strings.ContainsRune("〇零一二三四五六七八九十百", r)
	}
	part := func(want bool) string {
		return strings.Map(func(r rune) rune {
			if number(r) == want {
				return r
			}
			return -1
		}, s)
	}
	return part(false), part(true)
}
