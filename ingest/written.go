package ingest

import (
	"strings"

	"golang.org/x/net/html"
)

// HTML as html.Render writes it is easily read: names are small, every value stands in double quotes, and no angle bracket,
// quote or ampersand is anything but markup. What follows reads that and nothing else, at a tenth of a tokenizer's cost.

// tag is one tag as html.Render writes it.
type tag struct {
	name string
	end  bool // </name>
	void bool // <name/>
	attr [4]attribute
	n    int // of attr
}

type attribute struct{ key, value string } // value as written: see unescape

// attrs are the attributes, in the order written.
func (t *tag) attrs() []attribute { return t.attr[:t.n] }

// cutTag reads the tag that s begins with. It answers false for what is no tag as html.Render writes them.
func cutTag(s string) (t tag, rest string, ok bool) {
	if len(s) < 3 || s[0] != '<' {
		return t, s, false
	}
	s = s[1:]
	if t.end = s[0] == '/'; t.end {
		s = s[1:]
	}
	n := 0
	for n < len(s) && (s[n] >= 'a' && s[n] <= 'z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	if n == 0 {
		return t, s, false
	}
	t.name, s = s[:n], s[n:]
	for !t.end && t.n < len(t.attr) && strings.HasPrefix(s, " ") {
		n = 1
		for n < len(s) && s[n] >= 'a' && s[n] <= 'z' {
			n++
		}
		key := s[1:n]
		if s = s[n:]; key == "" || !strings.HasPrefix(s, `="`) {
			return t, s, false
		}
		s = s[2:]
		end := strings.IndexByte(s, '"')
		if end < 0 || !written(s[:end]) {
			return t, s, false
		}
		t.attr[t.n] = attribute{key, s[:end]}
		t.n++
		s = s[end+1:]
	}
	if !t.end && strings.HasPrefix(s, "/") {
		t.void = true
		s = s[1:]
	}
	if !strings.HasPrefix(s, ">") {
		return t, s, false
	}
	return t, s[1:], true
}

// cutText splits s before its first tag.
func cutText(s string) (text, rest string) {
	if i := strings.IndexByte(s, '<'); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// written reports whether html.Render could have written s for a text or a value, line ends aside.
func written(s string) bool {
	for i := 0; i < len(s); i++ {
		if !special[s[i]] {
			continue
		}
		n := entity(s[i:])
		if n == 0 {
			return false
		}
		i += n - 1
	}
	return true
}

// special are the bytes that a text holds only as part of a reference.
var special = [256]bool{'<': true, '>': true, '"': true, '\'': true, '&': true, '\r': true, 0: true}

// entity is the length of the reference that s begins with, if it is one of those that html.Render writes; else 0.
func entity(s string) int {
	for _, e := range [...]string{"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"} {
		if strings.HasPrefix(s, e) {
			return len(e)
		}
	}
	return 0
}

// unescape reads a text that is [written].
func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return html.UnescapeString(s)
}
