package bounce

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Bounds of what is read of one mail: whoever can send us a mail can send us anything. They are why MIME is read here
// and not by enmime, which has none, and which opens no mail within a mail.
const (
	maxMail  = 1 << 20
	maxParts = 50
	maxDepth = 8
)

// part is a mail, or a part of one.
type part struct {
	header header
	kind   string  // the media type in lower case
	body   []byte  // its transfer encoding undone; empty if there are parts
	parts  []*part // of a multipart, or the one mail within a mail
}

// mimeReader reads what is there: a part without its end, without a boundary that occurs, with a broken encoding or in
// a place where none may be.
type mimeReader struct {
	left int // parts that may still be read
}

func readMail(raw []byte) *part {
	r := mimeReader{left: maxParts}
	return r.part(raw, maxDepth)
}

func (r *mimeReader) part(raw []byte, depth int) *part {
	r.left--
	p := &part{kind: "text/plain"}
	var body []byte
	p.header, body = splitHeader(raw)
	if kind, _, _ := strings.Cut(p.header.get("content-type"), ";"); strings.Contains(kind, "/") {
		p.kind = strings.ToLower(strings.TrimSpace(kind))
	}
	if boundary := p.param("boundary"); boundary != "" && strings.HasPrefix(p.kind, "multipart/") && depth > 0 {
		for section := range sections(body, boundary) {
			if r.left == 0 {
				break
			}
			p.parts = append(p.parts, r.part(section, depth-1))
		}
		if p.parts != nil {
			return p
		}
	}
	p.body = decodeTransfer(p.header.get("content-transfer-encoding"), body)
	if p.holdsMail() && depth > 0 && r.left > 0 {
		p.parts, p.body = []*part{r.part(p.body, depth-1)}, nil
	}
	return p
}

// holdsMail reports whether the part is a mail, or the header of one: RFC 2046, 3462 and 6533.
func (p *part) holdsMail() bool {
	switch p.kind {
	case "message/rfc822", "message/global", "text/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		return true
	}
	return false
}

// own gives the leaves that the sender wrote: it enters no mail within the mail.
func (p *part) own() []*part {
	switch {
	case p.holdsMail():
		return nil
	case p.parts == nil:
		return []*part{p}
	}
	var leaves []*part
	for _, child := range p.parts {
		leaves = append(leaves, child.own()...)
	}
	return leaves
}

// all gives the part and everything within.
func (p *part) all() []*part {
	parts := []*part{p}
	for _, child := range p.parts {
		parts = append(parts, child.all()...)
	}
	return parts
}

// text is the body in UTF-8, whatever it was.
func (p *part) text() string { return toText(p.body, p.param("charset")) }

var parameter = regexp.MustCompile(`;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]+))`)

// param is a parameter of the content type. The parser of std refuses the whole header for one bad parameter.
func (p *part) param(name string) string {
	for _, m := range parameter.FindAllStringSubmatch(p.header.get("content-type"), 20) {
		if strings.EqualFold(m[1], name) {
			return m[2] + m[3]
		}
	}
	return ""
}

// sections gives what lies between the boundary's lines. The last one needs no end: mails are cut.
func sections(body []byte, boundary string) func(yield func([]byte) bool) {
	delimiter := []byte("--" + boundary)
	return func(yield func([]byte) bool) {
		start, pos := -1, 0
		for line := range bytes.Lines(body) {
			at := pos
			pos += len(line)
			rest, ok := bytes.CutPrefix(line, delimiter)
			if !ok {
				continue
			}
			rest = bytes.TrimSpace(rest)
			if len(rest) > 0 && !bytes.Equal(rest, []byte("--")) {
				continue // a longer boundary, of a multipart within
			}
			if start >= 0 && !yield(body[start:at]) {
				return
			}
			if start = pos; len(rest) > 0 {
				return
			}
		}
		if start >= 0 {
			yield(body[start:])
		}
	}
}

// header is the fields in their order.
type header []field

type field struct{ name, value string } // the name in lower case, the value unfolded but not decoded

// splitHeader takes the fields off the front. The first line that can be none of them begins the body, with or without
// an empty line between.
func splitHeader(raw []byte) (header, []byte) {
	var h header
	var value strings.Builder
	end := func() {
		if len(h) > 0 {
			h[len(h)-1].value = strings.TrimSpace(value.String())
		}
		value.Reset()
	}
	pos := 0
	for line := range bytes.Lines(raw) {
		text := bytes.TrimRight(line, "\r\n")
		name, rest, colon := bytes.Cut(text, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		switch {
		case len(text) == 0:
			end()
			return h, raw[pos+len(line):]
		case len(h) > 0 && (text[0] == ' ' || text[0] == '\t'):
			value.WriteByte(' ')
			value.Write(bytes.TrimSpace(text))
		case colon && fieldName(name):
			end()
			h = append(h, field{name: strings.ToLower(string(name))})
			value.Write(rest)
		case len(h) == 0 && bytes.HasPrefix(bytes.TrimLeft(text, ">"), []byte("From ")): // of an mbox
		default:
			end()
			return h, raw[pos:]
		}
		pos += len(line)
	}
	end()
	return h, nil
}

// fieldName holds RFC 5322 section 2.2.
func fieldName(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) > 0
}

// get is the first field of a name in lower case, as it stands there.
func (h header) get(name string) string {
	for _, f := range h {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

var words = mime.WordDecoder{CharsetReader: func(label string, r io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(r)
	return strings.NewReader(toText(b, label)), err
}}

// text is the first field of a name with its encoded words decoded (RFC 2047). A long one is cut: decoding takes
// quadratic time on words that never end.
func (h header) text(name string) string {
	raw := h.get(name)
	raw = toText([]byte(raw[:min(len(raw), 2000)]), "")
	if s, err := words.DecodeHeader(raw); err == nil {
		return s
	}
	return raw
}

// decodeTransfer undoes the transfer encoding, as far as it is one.
func decodeTransfer(name string, b []byte) []byte {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "base64":
		return decodeBase64(b)
	case "quoted-printable":
		return decodeQP(b)
	}
	return b
}

func decodeBase64(b []byte) []byte {
	digits := make([]byte, 0, len(b))
	for _, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
			digits = append(digits, c)
		}
	}
	if len(digits)%4 == 1 { // one digit too many is no byte
		digits = digits[:len(digits)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, _ := base64.RawStdEncoding.Decode(out, digits) // what was decoded stands
	return out[:n]
}

// decodeQP reads RFC 2045 section 6.7. An "=" that begins nothing stands for itself, where std gives up.
func decodeQP(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for line := range bytes.Lines(b) {
		text := bytes.TrimRight(line, " \t\r\n")
		soft := bytes.HasSuffix(text, []byte("="))
		if soft {
			text = text[:len(text)-1]
		}
		for i := 0; i < len(text); i++ {
			if text[i] == '=' && i+2 < len(text) {
				if c, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8); err == nil {
					out = append(out, byte(c))
					i += 2
					continue
				}
			}
			out = append(out, text[i])
		}
		if !soft {
			out = append(out, '\n')
		}
	}
	return out
}

// toText makes bytes readable. What is labelled as nothing, or as the ASCII or UTF-8 that it is not, is GB18030: it is
// the old systems of China that still label nothing.
func toText(b []byte, label string) string {
	valid := utf8.Valid(b)
	enc := lookup(label)
	if enc == nil {
		if valid {
			return string(b)
		}
		enc = simplifiedchinese.GB18030
	}
	text, err := enc.NewDecoder().Bytes(b)
	if err != nil || valid && bytes.ContainsRune(text, utf8.RuneError) {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(text)
}

// lookup finds the decoder of a label; nil for UTF-8, ASCII and what nobody knows. GB18030 holds the whole GB family,
// whose labels in mails are many.
func lookup(label string) encoding.Encoding {
	label = strings.ToLower(strings.Trim(label, " '\""))
	if strings.HasPrefix(label, "gb") || strings.HasSuffix(label, "936") {
		return simplifiedchinese.GB18030
	}
	enc, name := charset.Lookup(label)
	switch {
	case name == "utf-8", name == "replacement", label == "us-ascii", label == "ascii":
		return nil
	}
	return enc
}
