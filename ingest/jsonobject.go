package ingest

import (
	"encoding/json"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// quickObject reads an object of the NDJSON form in one pass, its strings without a copy where nothing is escaped. It answers
// false for whatever it does not take, right or wrong: decodeObject then reads it again and finds the words for what is
// wrong.
func quickObject(s string) (fields, bool) {
	var f fields
	s, ok := after(skipWhite(s), '{')
	if !ok {
		return f, false
	}
	if s = skipWhite(s); strings.HasPrefix(s, "}") {
		return f, skipWhite(s[1:]) == ""
	}
	for {
		var name string
		if name, s, ok = quickString(skipWhite(s)); !ok {
			return f, false
		}
		if s, ok = after(skipWhite(s), ':'); !ok {
			return f, false
		}
		if s, ok = f.quickValue(name, skipWhite(s)); !ok {
			return f, false
		}
		s = skipWhite(s)
		if strings.HasPrefix(s, "}") {
			return f, skipWhite(s[1:]) == ""
		}
		if s, ok = after(s, ','); !ok {
			return f, false
		}
	}
}

// quickValue takes the value that s begins with, and gives what follows it.
func (f *fields) quickValue(name, s string) (rest string, ok bool) {
	to, numbers := f.named(name)
	if strings.HasPrefix(s, `"`) {
		v, rest, ok := quickString(s)
		if to != nil {
			*to = v
		}
		return rest, ok && name != "attachments"
	}
	n := valueLength(s)
	raw := s[:n]
	if !json.Valid([]byte(raw)) {
		return s, false
	}
	switch {
	case name == "attachments":
		f.attachments = nil
		if json.Unmarshal([]byte(raw), &f.attachments) != nil {
			return s, false
		}
	case to == nil:
	case raw == "null":
		*to = "" // it may have been there before
	case numbers && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'):
		*to = raw
	default:
		return s, false
	}
	return s[n:], true
}

// named is where the text field of the name goes, nil if there is none, and whether it may be a number.
func (f *fields) named(name string) (to *string, numbers bool) {
	switch name {
	case "id": // systems number their articles
		return &f.id, true
	case "published": // or date them in seconds
		return &f.published, true
	case "deadline":
		return &f.deadline, true
	case "zone":
		return &f.zone, false
	case "url":
		return &f.url, false
	case "title":
		return &f.title, false
	case "summary":
		return &f.summary, false
	case "content_html":
		return &f.html, false
	case "content_text":
		return &f.text, false
	case "source":
		return &f.source, false
	case "author":
		return &f.author, false
	case "category":
		return &f.category, false
	case "city":
		return &f.city, false
	case "province":
		return &f.province, false
	case "language":
		return &f.language, false
	case "image":
		return &f.image, false
	}
	return nil, false
}

func skipWhite(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t' || s[0] == '\n' || s[0] == '\r') {
		s = s[1:]
	}
	return s
}

func after(s string, c byte) (string, bool) {
	if s == "" || s[0] != c {
		return s, false
	}
	return s[1:], true
}

// valueLength is the length of the value, no string, that s begins with, if it is one. Brackets in strings do not count.
func valueLength(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c <= ' '):
			return i
		}
	}
	return len(s)
}

// quickString reads the string that s begins with. It answers false for what RFC 8259 (section 7) does not allow.
func quickString(s string) (text, rest string, ok bool) {
	s, ok = after(s, '"')
	if !ok {
		return "", s, false
	}
	plain := 0
	for plain < len(s) && s[plain] != '"' && s[plain] != '\\' {
		if s[plain] < ' ' {
			return "", s, false
		}
		plain++
	}
	if plain == len(s) {
		return "", s, false
	}
	if s[plain] == '"' {
		return s[:plain], s[plain+1:], true
	}
	var out strings.Builder
	out.Grow(min(len(s), 2*plain+1024))
	for {
		out.WriteString(s[:plain])
		switch s = s[plain:]; {
		case s[0] == '"':
			return out.String(), s[1:], true
		case len(s) < 2:
			return "", s, false
		case s[1] == 'u':
			r, n := quickEscape(s)
			if n == 0 {
				return "", s, false
			}
			out.WriteRune(r)
			s = s[n:]
		default:
			i := strings.IndexByte(`"\/bfnrt`, s[1])
			if i < 0 {
				return "", s, false
			}
			out.WriteByte("\"\\/\b\f\n\r\t"[i])
			s = s[2:]
		}
		for plain = 0; plain < len(s) && s[plain] != '"' && s[plain] != '\\'; plain++ {
			if s[plain] < ' ' {
				return "", s, false
			}
		}
		if plain == len(s) {
			return "", s, false
		}
	}
}

// quickEscape reads a \u escape, or the two of a surrogate pair, and gives their length; 0 if it is none. Half a pair is
// U+FFFD.
func quickEscape(s string) (rune, int) {
	r := hex4(s)
	if !utf16.IsSurrogate(r) {
		if r < 0 {
			return 0, 0
		}
		return r, 6
	}
	if pair := utf16.DecodeRune(r, hex4(s[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
}

// hex4 is the value of the escape \uXXXX that s begins with; -1 if it is none.
func hex4(s string) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	r := 0
	for i := 2; i < 6; i++ {
		d := unhex(s[i])
		if d < 0 {
			return -1
		}
		r = r<<4 | d
	}
	return rune(r)
}
