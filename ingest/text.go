package ingest

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"zonewire"
)

// clean makes text storable: forbidden code points dropped, NFC. It is not for HTML, where NFC would melt a '>' and
// a combining mark behind it into one character.
func clean(s string) string {
	if settled(s) {
		return s
	}
	return norm.NFC.String(zonewire.CleanText(s))
}

// settled reports whether cleaning would change nothing: all characters may be stored, and they are NFC wherever the text
// is cut, because none combines with what stands before it. Chinese text is, so most text needs no more than this.
func settled(s string) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
				return false
			}
			i++
			continue
		} else if c >= 0xe5 && c <= 0xe8 && i+2 < len(s) && s[i+1]&0xc0 == 0x80 && s[i+2]&0xc0 == 0x80 {
			i += 3 // U+5000 to U+8FFF: most Han, without the cost of decoding it
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r >= 0x4e00 && r <= 0x9fff, r >= 0xff01 && r <= 0xff5e, r >= 0x3001 && r <= 0x3029, // Han, full width, punctuation
			r >= 0x2010 && r <= 0x2027, r >= 0xa0 && r <= 0x2ff:
		case !zonewire.TextRune(r), !norm.NFC.IsNormalString(s[i : i+n]), !norm.NFC.PropertiesString(s[i:]).BoundaryBefore():
			return false
		}
		i += n
	}
	return true
}

// line is clean text on one line: every run of white space, of any width, is one space.
func line(s string) string { return strings.Join(strings.Fields(clean(s)), " ") }

// truncate cuts s to n characters.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return strings.TrimRight(s[:i], " ")
		}
		n--
	}
	return s
}

// PlainText makes a title or summary of what a publisher gave: tags off, entities decoded until nothing changes (some
// systems escape twice), forbidden characters dropped, white space collapsed. Angle brackets that enclose no HTML
// element, as in "5 < 6" and "<AI>", stay.
func PlainText(s string) string {
	// A title needs no more than this; the bound also keeps hostile nesting of entities cheap.
	const enough, rounds = 64 << 10, 8
	if len(s) > enough {
		s = strings.ToValidUTF8(s[:enough], "")
	}
	s = clean(s)
	for range rounds {
		t := html.UnescapeString(stripTags(s))
		if t == s {
			break
		}
		s = t
	}
	return line(s)
}

// stripTags removes the tags of known elements, comments, and the content of scripts and styles. Block elements leave
// a space, so that words do not run together.
func stripTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	var text strings.Builder
	for {
		words, rest := cutText(s)
		if text.WriteString(words); rest == "" {
			return text.String()
		}
		t, after, ok := cutTag(rest)
		if !ok || rawText[t.name] || !knownElements[t.name] {
			stripAny(&text, rest)
			return text.String()
		}
		if blockElements[t.name] {
			text.WriteByte(' ')
		}
		s = after
	}
}

// stripAny goes on where HTML is not as we write it.
func stripAny(text *strings.Builder, s string) {
	z := html.NewTokenizer(strings.NewReader(s))
	skip := ""
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			text.Write(z.Raw()) // a '<' that opens nothing to the end
			return
		case html.TextToken:
			if skip == "" {
				text.Write(z.Raw())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw := string(z.Raw())
			name, _ := z.TagName()
			tag := string(name)
			switch {
			case tag == "script" || tag == "style":
				skip = ""
				if kind == html.StartTagToken {
					skip = tag
				}
			case !knownElements[tag]:
				text.WriteString(raw)
			case blockElements[tag]:
				text.WriteByte(' ')
			}
		}
	}
}

// TextToHTML makes paragraphs of plain text: one a block between blank lines, with line breaks kept inside; one a line
// where no line is blank. Indents go, since they are a matter of style.
func TextToHTML(text string) string {
	text = lineEnds.Replace(text)
	var blocks [][]string
	open := false
	for l := range strings.SplitSeq(clean(text), "\n") {
		l = trimMarks(trimSpace(l))
		switch {
		case l == "":
			open = false
			continue
		case !open:
			blocks = append(blocks, nil)
			open = true
		}
		blocks[len(blocks)-1] = append(blocks[len(blocks)-1], html.EscapeString(l))
	}
	if len(blocks) == 1 {
		return paragraphs(blocks[0])
	}
	joined := make([]string, len(blocks))
	for i, b := range blocks {
		joined[i] = strings.Join(b, "<br/>")
	}
	return paragraphs(joined)
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n\n", "\f", "\n")

// paragraphs wraps each HTML text in a p element.
func paragraphs(texts []string) string {
	var out strings.Builder
	for _, t := range texts {
		if t != "" {
			out.WriteString("<p>" + t + "</p>\n")
		}
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// trimSpace trims white space of any width, and the zero-width characters that copy-and-paste leaves.
func trimSpace(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' })
}

// trimMarks drops combining marks that have nothing to combine with: behind a tag they would change the tag as soon as
// anybody normalises the HTML.
func trimMarks(s string) string {
	for s != "" && !norm.NFC.PropertiesString(s).BoundaryBefore() {
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	return s
}

// summarize makes a summary of a body's text: all of a short one, else the sentences that fit, else the beginning and
// an ellipsis.
func summarize(text string) string {
	text = closeUp(line(text))
	cut := truncate(text, madeSummary)
	if cut == text {
		return text
	}
	if end := strings.LastIndexFunc(cut, func(r rune) bool { return strings.ContainsRune("。！？!?；", r) }); end > 0 {
		_, n := utf8.DecodeRuneInString(cut[end:])
		end += n
		for _, r := range text[end:] { // the quote that the sentence ends is part of it
			if !strings.ContainsRune("”’」』）)\"", r) {
				break
			}
			end += utf8.RuneLen(r)
		}
		if utf8.RuneCountInString(text[:end]) >= madeSummary/3 {
			return text[:end]
		}
	}
	if space := strings.LastIndexByte(cut, ' '); space > len(cut)*3/4 {
		cut = cut[:space] // not inside a Latin word
	}
	return strings.TrimRight(cut, ",，、;；:： ") + "…"
}

// closeUp drops the spaces that stand between two Chinese characters, where paragraphs were joined.
func closeUp(s string) string {
	var out strings.Builder
	wide := func(r rune) bool { return r >= 0x2e80 || r >= 0x2018 && r <= 0x201d }
	last := rune(0)
	for i, r := range s {
		if r == ' ' && wide(last) {
			if next, _ := utf8.DecodeRuneInString(s[i+1:]); wide(next) {
				continue
			}
		}
		out.WriteRune(r)
		last = r
	}
	return out.String()
}

// fold is s as it is compared, never as it is stored: full-width forms narrow, letters small.
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

// squeeze is fold without any white space.
func squeeze(s string) string { return strings.Join(strings.Fields(fold(s)), "") }
