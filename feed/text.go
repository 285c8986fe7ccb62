package feed

import (
	"errors"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	bcp47 "golang.org/x/text/language"

	"zonewire"
)

// How long the plain fields may be, in characters.
const (
	maxTitle   = 300
	maxSummary = 1000
	maxExcerpt = 200
	maxName    = 100
)

// clean drops what makes a document unreadable or draws a warning from a validator. Line ends become LF: a CR would come
// out as a character reference.
func clean(s string) string {
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return zonewire.CleanText(mended(s))
}

// twice matches letters that may be bytes of UTF-8 which somebody took for Latin-1, as "Ã©" is for é, with all of Latin-1
// around them up to what cuts a text into pieces when it is parsed.
var twice = regexp.MustCompile(`[^&<>"'\n\x{100}-\x{10FFFF}]*[ÂÃ][\x{80}-\x{BF}][^&<>"'\n\x{100}-\x{10FFFF}]*`)

// mended puts right what was encoded twice: validators warn of it, and nobody can read it.
func mended(s string) string {
	if strings.IndexByte(s, "Ã"[0]) < 0 { // most texts, told by their bytes
		return s
	}
	return twice.ReplaceAllStringFunc(s, func(letters string) string {
		var raw []byte
		for _, r := range letters {
			raw = append(raw, byte(r))
		}
		if !utf8.Valid(raw) { // they are letters
			return letters
		}
		return string(raw)
	})
}

// markup matches the tags of elements that HTML has or had, and comments. Only these are taken out of plain text, so that
// a title may speak of <AI>.
var markup = regexp.MustCompile(`(?is)<!--.*?-->|</?(?:a|abbr|acronym|address|applet|area|article|aside|audio|b|base|basefont|bdi|bdo|big|` +
	`blockquote|body|br|button|canvas|caption|center|cite|code|col|colgroup|command|comment|data|datagrid|datalist|` +
	`dd|del|details|dfn|dialog|dir|div|dl|dt|em|embed|eventsource|fieldset|figcaption|figure|font|footer|form|frame|` +
	`frameset|h[1-6]|head|header|hgroup|hr|html|i|iframe|img|input|ins|isindex|kbd|label|legend|li|link|listing|m|` +
	`main|map|mark|menu|meta|meter|nav|noframes|noscript|object|ol|optgroup|option|output|p|param|picture|plaintext|` +
	`pre|progress|q|rp|rt|ruby|s|samp|script|section|select|slot|small|source|span|strike|strong|style|sub|summary|` +
	`sup|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|track|tt|u|ul|var|video|wbr|xmp)(?:\s[^<>]*)?/?>`)

// line makes one line of plain text of at most max characters: no tags, no character references, single spaces.
// References are decoded until none is left, for portals escape twice, and a validator warns of any that is seen.
func line(s string, max int) string {
	const bytesPerChar = 8 // enough for what decoding takes away; more would be work without an end
	if len(s) > max*bytesPerChar {
		s = s[:max*bytesPerChar]
	}
	for {
		next := strings.Join(strings.Fields(clean(html.UnescapeString(markup.ReplaceAllString(s, " ")))), " ")
		if next == s {
			break
		}
		s = next
	}
	return zonewire.Shorten(s, max)
}

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// language gives a language tag (RFC 5646), or nothing if it is none. Portals write cn for Chinese, and of the codes of
// three letters validators know the older ones only.
func language(s string) string {
	s = strings.TrimSpace(s)
	if !languageTag.MatchString(s) {
		return ""
	}
	code, _, _ := strings.Cut(s, "-")
	if base, err := bcp47.ParseBase(code); err != nil || len(base.String()) != 2 {
		return ""
	}
	return s
}

var mediaType = regexp.MustCompile(`^[a-z0-9.+-]+/[a-z0-9.+-]+$`)

// extensions gives the types of what portals attach. It is a table of our own because that of package mime depends on
// the machine, and the bytes of a feed may not.
var extensions = map[string]string{
	"pdf": "application/pdf", "ofd": "application/ofd", "txt": "text/plain", "csv": "text/csv",
	"doc": "application/msword", "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls": "application/vnd.ms-excel", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"ppt": "application/vnd.ms-powerpoint", "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"zip": "application/zip", "rar": "application/vnd.rar", "7z": "application/x-7z-compressed",
	"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
	"mp3": "audio/mpeg", "mp4": "video/mp4",
}

// fileType gives a media type that is well-formed: as told, else by the extension of the address, else unknown bytes.
func fileType(told, address string) string {
	told, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(told)), ";")
	if mediaType.MatchString(told) {
		return told
	}
	if u, err := url.Parse(address); err == nil {
		if dot := strings.LastIndexByte(u.Path, '.'); dot >= 0 {
			if t, ok := extensions[strings.ToLower(u.Path[dot+1:])]; ok {
				return t
			}
		}
	}
	return "application/octet-stream"
}

// webAddress gives an absolute http or https address in ASCII, as links outside HTML must be: the host in punycode, the
// rest percent-encoded (RFC 3987 section 3.1). base resolves a relative one and may be nil. It gives nothing if there is
// no such address. A user name in it is left out.
func webAddress(s string, base *url.URL) string {
	u, err := url.Parse(strings.TrimSpace(clean(s)))
	if err != nil {
		return ""
	}
	if base != nil {
		u = base.ResolveReference(u)
	}
	if scheme := strings.ToLower(u.Scheme); (scheme != "http" && scheme != "https") || u.Hostname() == "" {
		return ""
	}
	host, err := asciiHost(u.Hostname())
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(strings.ToLower(u.Scheme) + "://" + host)
	if port := u.Port(); port != "" {
		b.WriteString(":" + port)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	percentEncode(&b, path)
	if u.RawQuery != "" {
		b.WriteByte('?')
		percentEncode(&b, u.RawQuery)
	}
	if u.Fragment != "" {
		b.WriteByte('#')
		percentEncode(&b, u.EscapedFragment())
	}
	return b.String()
}

var errNoHost = errors.New("no host name")

func asciiHost(host string) (string, error) {
	if strings.Contains(host, ":") { // an IPv6 address: its brackets are none of the characters that RSS allows
		return "", errNoHost
	}
	host, err := idna.Lookup.ToASCII(host)
	if err != nil { // an underscore is not allowed, yet portals have it
		host, err = idna.Punycode.ToASCII(host)
	}
	if err != nil || strings.ContainsFunc(host, func(r rune) bool { return !hostByte(r) }) {
		return "", errNoHost
	}
	return host, nil
}

func hostByte(r rune) bool {
	return r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// percentEncode writes what may stand in an address (RFC 3986 appendix A, without brackets) as it is and encodes the
// rest, a percent sign that encodes nothing included.
func percentEncode(b *strings.Builder, s string) {
	const allowed = ";/?:@&=+$!~*'(),"
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c < utf8.RuneSelf && (hostByte(rune(c)) || strings.IndexByte(allowed, c) >= 0),
			c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
