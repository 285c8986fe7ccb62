package zonewire

import (
	"strings"
	"unicode/utf8"
)

// TextRune reports whether a code point may stand in text that is stored or served: Char of XML 1.0 (section 2.2)
// without U+FFFD, DEL, the C1 controls and the noncharacters, which are legal there but draw a warning from validators.
// Bidi marks, emoji and four-byte Han may. A byte that is no UTF-8 reads as U+FFFD, so it may not.
func TextRune(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return true
	case r < 0x20, r >= 0x7F && r <= 0x9F, r == utf8.RuneError, r > utf8.MaxRune:
		return false
	case r >= 0xD800 && r <= 0xDFFF, r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
		return false
	}
	return true
}

// CleanText drops every code point that is no [TextRune], and changes nothing else: it is safe on HTML.
func CleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if TextRune(r) {
			return r
		}
		return -1
	}, s)
}

// Shorten cuts a text to at most max characters, the last of them an ellipsis if anything was cut.
func Shorten(s string, max int) string {
	if len(s) <= max {
		return s
	}
	n := 0
	for i := range s {
		if n == max-1 && utf8.RuneCountInString(s[i:]) > 1 {
			return strings.TrimSpace(s[:i]) + "…"
		}
		n++
	}
	return s
}
