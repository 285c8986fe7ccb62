package ingest

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"zonewire"
)

// xmlScanner takes XML apart as it is found in feeds: tags that are never closed, attributes without quotes, angle
// brackets and ampersands that mean themselves, references to characters that XML does not have. What it gives reads as
// XML again. Comments, processing instructions and declarations are left out, and with them the encoding that the text
// had once, and every entity that a document type would define: none is ever expanded.
type xmlScanner struct {
	text string
	pos  int

	lines  int // line feeds before counted
	counts int
	// spaces counts the name spaces that tags have declared. The parser behind copies those in scope for each element, so
	// that past maxSpaces they are left out; real feeds declare ten.
	spaces int
}

const maxSpaces = 32

type xmlKind int

const (
	xmlText  xmlKind = iota // with its CDATA sections as they stand
	xmlOpen                 // text is the start tag without its end
	xmlEmpty                // likewise
	xmlClose
)

type xmlToken struct {
	kind xmlKind
	name string // of a tag, with its prefix
	text string
	pos  int
}

// next returns the next token. It answers false at the end, and where the text breaks off inside a token.
func (s *xmlScanner) next() (xmlToken, bool) {
	for s.pos < len(s.text) {
		start, rest := s.pos, s.text[s.pos:]
		switch {
		case rest[0] != '<':
			end := strings.IndexByte(rest, '<')
			if end < 0 {
				end = len(rest)
			}
			s.pos += end
			return xmlToken{kind: xmlText, text: mendReferences(rest[:end]), pos: start}, true
		case strings.HasPrefix(rest, "<![CDATA["):
			if !s.skipPast("]]>") {
				return xmlToken{}, false
			}
			return xmlToken{kind: xmlText, text: s.text[start:s.pos], pos: start}, true
		case strings.HasPrefix(rest, "<!--"):
			s.skipPast("-->")
		case strings.HasPrefix(rest, "<?"):
			s.skipPast(">")
		case strings.HasPrefix(rest, "<!"):
			s.skipDeclaration()
		case strings.HasPrefix(rest, "</"):
			name := xmlName(rest[2:])
			if !s.skipPast(">") {
				return xmlToken{}, false
			}
			if name != "" {
				return xmlToken{kind: xmlClose, name: name, pos: start}, true
			}
		default:
			name := xmlName(rest[1:])
			if name == "" {
				s.pos++
				return xmlToken{kind: xmlText, text: "&lt;", pos: start}, true
			}
			return s.tag(name)
		}
	}
	return xmlToken{}, false
}

// skipPast goes behind the next mark, or to the end.
func (s *xmlScanner) skipPast(mark string) bool {
	i := strings.Index(s.text[s.pos:], mark)
	if i < 0 {
		s.pos = len(s.text)
		return false
	}
	s.pos += i + len(mark)
	return true
}

// skipDeclaration goes behind a document type, with the declarations inside it.
func (s *xmlScanner) skipDeclaration() {
	depth := 0
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case strings.HasPrefix(s.text[s.pos:], "<!--"):
			s.skipPast("-->")
			continue
		case c == '"' || c == '\'':
			s.pos++
			s.skipPast(string(c))
			continue
		case c == '<':
			depth++
		case c == '>':
			if depth--; depth == 0 {
				s.pos++
				return
			}
		}
		s.pos++
	}
}

// tag reads a start tag and writes it anew.
func (s *xmlScanner) tag(name string) (xmlToken, bool) {
	tok := xmlToken{kind: xmlOpen, name: name, pos: s.pos}
	s.pos += 1 + len(name)
	var out strings.Builder
	out.WriteString("<" + name)
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '>':
			s.pos++
			tok.text = out.String()
			return tok, true
		case c == '/':
			s.pos++
			if strings.HasPrefix(s.text[s.pos:], ">") {
				tok.kind = xmlEmpty
			}
		case xmlSpace(c) || c == '=':
			s.pos++
		default:
			key, value := s.attribute()
			if strings.HasPrefix(key, "xmlns") {
				s.spaces++
			}
			switch {
			case xmlName(key) != key, strings.HasPrefix(key, "xmlns") && s.spaces > maxSpaces:
				continue
			case key == "xml:base":
				// The parser behind resolves by it in ways of its own (it takes every base for a folder, and makes
				// absolute even what is an id): it must not see it.
				key = "base"
			}
			// The parser behind decodes what is between two tags as a whole, tags and all: a quote must not be written
			// as a reference if it need not.
			quote := `"`
			if strings.Contains(value, quote) {
				quote = "'"
			}
			out.WriteString(" " + key + "=" + quote + attributeEscape.Replace(mendReferences(value)) + quote)
		}
	}
	return tok, false
}

var attributeEscape = strings.NewReplacer("<", "&lt;", "'", "&#39;")

func (s *xmlScanner) attribute() (key, value string) {
	span := func(stop func(c byte) bool) string {
		start := s.pos
		for s.pos < len(s.text) && !stop(s.text[s.pos]) {
			s.pos++
		}
		return s.text[start:s.pos]
	}
	blank := func() { span(func(c byte) bool { return !xmlSpace(c) }) }
	key = span(func(c byte) bool { return xmlSpace(c) || c == '=' || c == '>' || c == '/' })
	blank()
	if s.pos == len(s.text) || s.text[s.pos] != '=' {
		return key, ""
	}
	s.pos++
	blank()
	if s.pos == len(s.text) {
		return key, ""
	}
	if quote := s.text[s.pos]; quote == '"' || quote == '\'' {
		s.pos++
		value = span(func(c byte) bool { return c == quote })
		s.pos = min(s.pos+1, len(s.text))
		return key, value
	}
	return key, span(func(c byte) bool { return xmlSpace(c) || c == '>' })
}

// line is the number of the line at pos, which never goes back.
func (s *xmlScanner) line(pos int) int {
	s.lines += strings.Count(s.text[s.counts:pos], "\n")
	s.counts = pos
	return s.lines + 1
}

func xmlSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// xmlName is the name at the beginning of s, of an element or an attribute, or empty if none begins there. A name with
// two colons is none (Namespaces in XML 1.0, section 4).
func xmlName(s string) string {
	colons := 0
	for i, r := range s {
		switch {
		case r == '_' || unicode.IsLetter(r):
		case i > 0 && r == ':':
			colons++
		case i > 0 && (r == '-' || r == '.' || unicode.IsDigit(r)):
		case i > 0 && colons < 2 && (r < utf8.RuneSelf && strings.ContainsRune(" \t\r\n/>=", r)):
			return s[:i]
		default:
			return ""
		}
	}
	if colons > 1 {
		return ""
	}
	return s
}

// localName is a name without its prefix in small letters: there are feeds that write <Item>.
func localName(name string) string {
	return strings.ToLower(name[strings.IndexByte(name, ':')+1:])
}

var reference = regexp.MustCompile(`&#(?:[0-9]{1,8}|[xX][0-9a-fA-F]{1,8});`)

// mendReferences drops the references to characters that no text may hold: one would cost the whole document.
func mendReferences(s string) string {
	if !strings.Contains(s, "&#") {
		return s
	}
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if zonewire.CleanText(html.UnescapeString(ref)) == "" {
			return ""
		}
		return ref
	})
}
