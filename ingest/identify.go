package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"

	"zonewire"
)

// Identify fills what tells one article from another: URLCanon, TitleKey, ContentHash and Sketch. Call it again after any field
// has changed.
func Identify(a *zonewire.Article) {
	a.URLCanon, _ = CanonicalURL(a.URL)
	a.TitleKey = ""
	if a.ExternalID == "" && a.URLCanon == "" {
		// The day, not the moment: another copy of the page may say the time as well. An article that was dated by
		// its arrival would get another key with each import, so it has none but its title.
		day := ""
		if !a.Suspect {
			day = a.Published.Format("2006-01-02")
		}
		a.TitleKey = hash([]byte(squeeze(a.Title) + "\x00" + day))
	}
	a.ContentHash, a.Sketch = content(a)
}

// content gives a hash that changes when what the article says changes: its title, the words of its body, where its links
// and pictures lead, its attachments. It does not see tags and white space, so neither a new template of the portal nor a
// new version of the sanitiser makes every article an edited one. With it comes the likeness of the body.
func content(a *zonewire.Article) (string, zonewire.Sketch) {
	said := make([]byte, 0, len(a.ContentHTML)+len(a.Title)+256)
	said = append(said, strings.Join(strings.Fields(a.Title), " ")...)
	if a.ContentHTML == "" {
		said = append(append(said, 0), strings.Join(strings.Fields(a.Summary), " ")...)
	}
	said = append(said, 0)
	var body sketcher
	eachPart(a.ContentHTML, func(text string) {
		from := 0
		for i, r := range text {
			if r < 0x4e00 && unicode.IsSpace(r) {
				said = append(said, text[from:i]...)
				from = i + utf8.RuneLen(r)
				continue
			}
			body.add(r)
		}
		said = append(said, text[from:]...)
	}, func(address string) {
		said = append(append(append(said, 1), address...), 1)
	})
	for _, f := range a.Attachments {
		said = append(append(said, 0), f.URL...)
		said = append(append(said, 0), f.Name...)
	}
	return hash(said), body.sketch()
}

// eachPart gives the texts of a body and the addresses of its links and pictures, in their order.
func eachPart(markup string, text, address func(string)) {
	for markup != "" {
		words, rest := cutText(markup)
		if !written(words) {
			break
		}
		t, after, ok := tag{}, "", rest == ""
		if !ok {
			if t, after, ok = cutTag(rest); !ok || rawText[t.name] {
				break
			}
		}
		if words != "" {
			text(unescape(words))
		}
		for _, a := range t.attrs() {
			if a.key == "href" || a.key == "src" {
				address(unescape(a.value))
			}
		}
		markup = after
	}
	z := html.NewTokenizer(strings.NewReader(markup)) // for what is not as we write it
	for z.Next() != html.ErrorToken {
		switch t := z.Token(); t.Type {
		case html.TextToken:
			text(t.Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range t.Attr {
				if a.Key == "href" || a.Key == "src" {
					address(a.Val)
				}
			}
		}
	}
}

// rawText are the elements in which a tokenizer sees no tags.
var rawText = set("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")

// hash is 128 bits of SHA-256, in hex. Between the parts of what is hashed stands a zero byte, which no stored text holds.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// ParserVersion grows when feeds or pages are read differently than before: what was read by another version is asked
// for once more without a condition.
const ParserVersion = 1
