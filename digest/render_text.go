package digest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// clean makes one line of a text of others: white space collapsed, control characters gone, and with them the
// characters that turn the direction of writing, which could show a link's text backwards.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == unicode.ReplacementChar, unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// columns is the width of a text, a Chinese character counting two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += width(r)
	}
	return n
}

func width(r rune) int {
	if r >= 0x1100 { // Hangul and, far above the Latin, Greek and Cyrillic letters, all that is written in squares
		return 2
	}
	return 1
}

// clip shortens a text to that many columns, an ellipsis included, and does not break a Latin word if it can help it.
func clip(s string, limit int) string {
	if limit <= 0 {
		return ""
	}
	n, end := 0, 0 // end: where the text must stop to leave room for the ellipsis
	for i, r := range s {
		if n += width(r); n <= limit-2 {
			end = i + len(string(r))
		}
		if n > limit {
			s = s[:end]
			if space := strings.LastIndexByte(s, ' '); space > end-20 && space > end/2 && s[end-1] < 0x80 {
				s = s[:space]
			}
			return strings.TrimRight(s, " ，、；：,;:·") + "…"
		}
	}
	return s
}

// plainText is the beginning of a document's text, about that many columns of it.
func plainText(document string, limit int) string {
	var b strings.Builder
	code := false // inside a script or a style sheet, should one have come so far
	for z := html.NewTokenizer(strings.NewReader(document)); columns(b.String()) < limit; {
		kind := z.Next()
		switch kind {
		case html.ErrorToken: // the end: a reader of a string fails in no other way
			return clean(b.String())
		case html.TextToken:
			if !code {
				b.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			code = kind == html.StartTagToken && (string(name) == "script" || string(name) == "style")
			if last, _ := utf8.DecodeLastRuneInString(b.String()); !phrasing[string(name)] && !(width(last) == 2 && unicode.IsPunct(last)) {
				b.WriteByte(' ') // after a Chinese full stop no space is due
			}
		}
	}
	return clean(b.String())
}

// phrasing are the elements that stand inside a sentence: no space where one begins or ends.
var phrasing = map[string]bool{
	"a": true, "b": true, "em": true, "font": true, "i": true, "span": true, "strong": true, "sub": true, "sup": true, "u": true,
}
