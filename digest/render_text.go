package digest

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/idna"
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

// maxLink is the longest link that is mailed, in bytes.
const maxLink = 1000

// webURL gives a link in the one spelling that both parts of the mail print, all ASCII. It is false for what is no
// link of the web (javascript:, data:) and for one too long to mail.
func webURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > maxLink || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", false
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }) {
		if u.Host, err = idna.Lookup.ToASCII(u.Host); err != nil {
			return "", false
		}
	}
	var b strings.Builder
	for _, c := range []byte(u.String()) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	_, err = url.Parse(b.String()) // a host with a quote in it is none after all
	return b.String(), err == nil && b.Len() <= maxLink
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
