package ingest

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/saintfish/chardet"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"zonewire"
)

// Decoded is text that came from bytes.
type Decoded struct {
	Text     string // valid UTF-8, without a byte order mark
	Charset  string // what the bytes were: "utf-8", "gb18030", "utf-16le", "big5", ...
	Replaced int    // characters that could not be decoded; each is a U+FFFD in Text
}

const (
	charsetUTF8 = "utf-8"
	charsetGB   = "gb18030"
)

var bomUTF8 = []byte("\xef\xbb\xbf")

// Decode turns bytes into text. The first that answers wins: a byte order mark; the bytes being UTF-8, whatever they
// declare; the charset of the HTTP header; the declaration inside the document; detection; GB18030, since it is
// Chinese portals that still serve no UTF-8. Every label of the GB family means GB18030, which holds the other two.
//
// More than one character in twenty that cannot be decoded, or that is a control character, is a [zonewire.ErrInvalid]:
// such bytes are not text.
func Decode(b []byte, httpCharset string) (Decoded, error) {
	d := decode(b, httpCharset)
	const few = 5 // control characters slip into short lines, too, and are dropped later
	n, strange := utf8.RuneCountInString(d.Text), controls(d.Text)
	if bad := d.Replaced + strange; d.Replaced*20 > n || strange > few && bad*20 > n {
		return Decoded{}, zonewire.Invalidf("this is not text: %d of %d characters cannot be read as %s", bad, n, d.Charset)
	}
	return d, nil
}

func decode(b []byte, httpCharset string) Decoded {
	if bytes.HasPrefix(b, bomUTF8) {
		return decodeUTF8(b[len(bomUTF8):])
	}
	if enc := bomEncoding(b); enc != nil {
		name := "utf-16le"
		if b[0] == 0xfe {
			name = "utf-16be"
		}
		return decodeAs(b, name, enc)
	}
	if mostlyUTF8(b) {
		return decodeUTF8(b)
	}
	// A server's default of iso-8859-1 says nothing about a page.
	for _, label := range []string{httpCharset, declaredCharset(b)} {
		if name, enc := lookup(label); enc != nil && name != "windows-1252" {
			return decodeAs(b, name, enc)
		}
	}
	if name, enc := detect(b); enc != nil {
		return decodeAs(b, name, enc)
	}
	return decodeAs(b, charsetGB, simplifiedchinese.GB18030)
}

func decodeUTF8(b []byte) Decoded {
	if utf8.Valid(b) {
		return Decoded{Text: string(b), Charset: charsetUTF8}
	}
	d := Decoded{Charset: charsetUTF8}
	var text strings.Builder
	text.Grow(len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			d.Replaced++
		}
		text.WriteRune(r)
		b = b[n:]
	}
	d.Text = text.String()
	return d
}

func decodeAs(b []byte, name string, enc encoding.Encoding) Decoded {
	text, err := enc.NewDecoder().Bytes(b)
	if err != nil { // no decoder of x/text that lookup can return ever fails: it writes U+FFFD
		return decodeUTF8(b)
	}
	s := strings.TrimPrefix(string(text), "\ufeff")
	return Decoded{Text: s, Charset: name, Replaced: strings.Count(s, "\ufffd")}
}

// mostlyUTF8 reports whether b is UTF-8, or was until somebody cut it in the middle of a character. Text of the GB
// family passes for UTF-8 in one character of five, so twenty to one is no accident.
func mostlyUTF8(b []byte) bool {
	if utf8.Valid(b) {
		return true
	}
	good, bad := 0, 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		b = b[n:]
	}
	return good > 20*bad
}

// bomEncoding is the UTF-16 that a byte order mark announces, or nil.
func bomEncoding(b []byte) encoding.Encoding {
	if len(b) < 2 {
		return nil
	}
	switch binary.BigEndian.Uint16(b) {
	case 0xfffe:
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case 0xfeff:
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	}
	return nil
}

// In the wild the declaration stands far behind the first 1 024 bytes that browsers look at.
const declarationWithin = 4096

var declaration = regexp.MustCompile(`(?i)(?:<\?xml[^>]{0,100}?encoding|<meta[^>]{0,200}?charset)\s*=\s*["']?\s*([\w.:-]+)`)

func declaredCharset(b []byte) string {
	if m := declaration.FindSubmatch(b[:min(len(b), declarationWithin)]); m != nil {
		return string(m[1])
	}
	return ""
}

// lookup finds the decoder of a label, with the labels that Chinese servers use and the WHATWG does not know. A label
// of UTF-8 finds nothing: bytes that are UTF-8 were recognised before, so it is wrong.
func lookup(label string) (string, encoding.Encoding) {
	label = strings.ToLower(strings.Trim(label, " \t\r\n;\"'"))
	switch label {
	case "":
		return "", nil
	case "cp936", "ms936", "windows-936", "gb-2312", "gb18030-2022", "gb_18030", "x-gb18030", "gb":
		return charsetGB, simplifiedchinese.GB18030
	}
	enc, name := charset.Lookup(label)
	switch name {
	case "", charsetUTF8, "utf-16le", "utf-16be", "replacement", "x-user-defined":
		return "", nil
	case "gbk", charsetGB:
		return charsetGB, simplifiedchinese.GB18030
	}
	return name, enc
}

// detect guesses by the frequencies of characters, which need some text and even then err on short strings.
func detect(b []byte) (string, encoding.Encoding) {
	const enough, sample, sure = 200, 64 << 10, 50
	b = b[:min(len(b), sample)]
	high := 0
	for _, c := range b {
		if c >= 0x80 {
			high++
		}
	}
	if high < enough {
		return "", nil
	}
	best, err := chardet.NewTextDetector().DetectBest(b)
	if err != nil || best.Confidence < sure {
		return "", nil
	}
	return lookup(best.Charset)
}

// decodeHead makes the beginning of a file readable, however short.
func decodeHead(s string) string { return decode([]byte(s), "").Text }

// controls counts the control characters that no text has.
func controls(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' {
			n++
		}
	}
	return n
}
