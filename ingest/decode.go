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
	By       string // what told so: "bom", "utf-8", "http", "declared", "detected" or "default"
	Replaced int    // characters that could not be decoded; each is a U+FFFD in Text
}

// Charsets is what was said about bytes from outside. A label may be any that servers use; an unknown one says nothing.
type Charsets struct {
	HTTP    string // of the Content-Type that they came with
	Default string // of their source, for what says nothing itself; empty is gb18030
}

const (
	charsetUTF8   = "utf-8"
	charsetGB     = "gb18030"
	charsetLatin1 = "windows-1252" // what the WHATWG reads as iso-8859-1
)

var bomUTF8 = []byte("\xef\xbb\xbf")

// Decode is [DecodeAs] for bytes of no known source.
func Decode(b []byte, httpCharset string) (Decoded, error) {
	return DecodeAs(b, Charsets{HTTP: httpCharset})
}

// DecodeAs turns bytes into text. The first that answers wins: a byte order mark; the bytes being UTF-8, whatever they
// declare; the charset of the HTTP header; the declaration inside the document; detection; the default of the source,
// which is GB18030 unless it is told, since it is Chinese portals that still serve no UTF-8. Every label of the GB family
// means GB18030, which holds the other two. A charset that the bytes prove wrong is passed over.
//
// More than one character in twenty that cannot be decoded, or that is a control character, is a [zonewire.ErrInvalid]:
// such bytes are not text.
func DecodeAs(b []byte, said Charsets) (Decoded, error) {
	d := decode(b, said)
	if !d.readable() {
		bad, n := d.bad()
		return Decoded{}, zonewire.Invalidf("this is not text: %d of %d characters cannot be read as %s", bad, n, d.Charset)
	}
	return d, nil
}

// CheckCharset reports as [zonewire.ErrInvalid] a label that cannot be the default of a source.
func CheckCharset(label string) error {
	if name, _ := lookup(label); name == "" && label != "" && !isUTF8Label(label) {
		return zonewire.Invalidf("charset %q is not known: use gb18030, big5 or utf-8", zonewire.Shorten(label, 40))
	}
	return nil
}

func isUTF8Label(label string) bool {
	_, name := charset.Lookup(label)
	return name == charsetUTF8
}

// bad counts the characters that are none, of how many.
func (d Decoded) bad() (bad, of int) {
	return d.Replaced + controls(d.Text), utf8.RuneCountInString(d.Text)
}

func (d Decoded) readable() bool {
	const few = 5 // control characters slip into short lines, too, and are dropped later
	if d.Replaced == 0 && controls(d.Text) <= few {
		return true // as nearly all text: nothing is to be counted
	}
	bad, n := d.bad()
	return d.Replaced*20 <= n && (bad-d.Replaced <= few || bad*20 <= n)
}

// damaged reports whether more is lost than a reader overlooks: one character in a thousand.
func (d Decoded) damaged() bool {
	return d.Replaced > 0 && d.Replaced*1000 > utf8.RuneCountInString(d.Text)
}

func decode(b []byte, said Charsets) Decoded {
	if bytes.HasPrefix(b, bomUTF8) {
		return decodeUTF8(b[len(bomUTF8):], "bom")
	}
	if enc := bomEncoding(b); enc != nil {
		name := "utf-16le"
		if b[0] == 0xfe {
			name = "utf-16be"
		}
		return decodeWith(b, name, enc, "bom")
	}
	if mostlyUTF8(b) {
		return decodeUTF8(b, charsetUTF8)
	}
	var best Decoded
	// try reports whether the matter is settled: hardly a character is lost.
	try := func(by, label string) bool {
		name, enc := lookup(label)
		// Servers and templates say iso-8859-1 for want of a setting, and any bytes can be read as it.
		if enc == nil || name == charsetLatin1 && (by == "http" || by == "declared") {
			return false
		}
		d := decodeWith(b, name, enc, by)
		if best.By == "" || d.Replaced < best.Replaced {
			best = d
		}
		return best.readable() && !best.damaged()
	}
	if try("http", said.HTTP) {
		return best
	}
	for _, label := range declaredCharsets(b) {
		if try("declared", label) {
			return best
		}
	}
	// The default is for what says nothing: GB18030 can be made of nearly all bytes and would win over damaged Big5.
	if try("detected", detect(b)) || best.By != "" && best.readable() {
		return best
	}
	if !try("default", said.Default) {
		try("default", charsetGB)
	}
	return best
}

func decodeUTF8(b []byte, by string) Decoded {
	if utf8.Valid(b) {
		return Decoded{Text: string(b), Charset: charsetUTF8, By: by}
	}
	d := Decoded{Charset: charsetUTF8, By: by}
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

func decodeWith(b []byte, name string, enc encoding.Encoding, by string) Decoded {
	text, err := enc.NewDecoder().Bytes(b)
	if err != nil { // no decoder of x/text that lookup can return ever fails: it writes U+FFFD
		return decodeUTF8(b, by)
	}
	s := strings.TrimPrefix(string(text), "\ufeff")
	return Decoded{Text: s, Charset: name, By: by, Replaced: strings.Count(s, "\ufffd")}
}

// mostlyUTF8 reports whether b is UTF-8, or was until somebody cut it in the middle of a character or pasted other bytes
// into it. Text of the GB family passes for UTF-8 in one character of five, so twenty to one is no accident; nor is three
// to one over some length.
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
	const length = 60
	return good > 20*bad || good > 3*bad && good+bad >= length
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

// declaredCharsets are the labels that the document gives itself; templates put together from parts give several.
func declaredCharsets(b []byte) []string {
	const most = 4
	var labels []string
	for _, m := range declaration.FindAllSubmatch(b[:min(len(b), declarationWithin)], most) {
		labels = append(labels, string(m[1]))
	}
	return labels
}

// lookup finds the decoder of a label, with the labels that Chinese servers use and the WHATWG does not know. A label
// of UTF-8 finds nothing: bytes that are UTF-8 were recognised before, so it is wrong.
func lookup(label string) (string, encoding.Encoding) {
	label = strings.ToLower(strings.Trim(label, " \t\r\n;\"'"))
	switch label {
	case "":
		return "", nil
	case "cp936", "ms936", "windows-936", "gb-2312", "gb-18030", "gb18030-2022", "gb_18030", "x-gb18030", "gb":
		return charsetGB, simplifiedchinese.GB18030
	}
	enc, name := charset.Lookup(label)
	switch name {
	case "", charsetUTF8, "utf-16le", "utf-16be", "replacement", "x-user-defined":
		// hz-gb-2312 is a "replacement"; "unicode" is UTF-16, which has a byte order mark wherever it is served.
		return "", nil
	case "gbk", charsetGB:
		return charsetGB, simplifiedchinese.GB18030
	}
	return name, enc
}

// detect guesses a label by the frequencies of characters, which need some text and even then err on short strings.
func detect(b []byte) string {
	const enough, sample, sure = 200, 64 << 10, 50
	b = b[:min(len(b), sample)]
	high := 0
	for _, c := range b {
		if c >= 0x80 {
			high++
		}
	}
	if high < enough {
		return ""
	}
	best, err := chardet.NewTextDetector().DetectBest(b)
	if err != nil || best.Confidence < sure {
		return ""
	}
	return best.Charset
}

// decodeHead makes the beginning of a file readable, however short.
func decodeHead(s string) string { return decode([]byte(s), Charsets{}).Text }

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
