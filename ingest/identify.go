package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"golang.org/x/net/html"

	"zonewire"
)

// Identify fills what tells one article from another: URLCanon, TitleKey and ContentHash. Call it again after any field
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
		a.TitleKey = hash(squeeze(a.Title), day)
	}
	a.ContentHash = contentHash(a)
}

// contentHash changes when what the article says changes: its title, the words of its body, where its links and
// pictures lead, its attachments. It does not see tags and white space, so neither a new template of the portal nor
// a new version of the sanitiser makes every article an edited one.
func contentHash(a *zonewire.Article) string {
	parts := []string{strings.Join(strings.Fields(a.Title), " ")}
	if a.ContentHTML == "" {
		parts = append(parts, strings.Join(strings.Fields(a.Summary), " "))
	}
	z := html.NewTokenizer(strings.NewReader(a.ContentHTML))
	var words strings.Builder
	for z.Next() != html.ErrorToken {
		switch t := z.Token(); t.Type {
		case html.TextToken:
			words.WriteString(strings.Join(strings.Fields(t.Data), ""))
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, at := range t.Attr {
				if at.Key == "href" || at.Key == "src" {
					words.WriteString("\x01" + at.Val + "\x01")
				}
			}
		}
	}
	parts = append(parts, words.String())
	for _, f := range a.Attachments {
		parts = append(parts, f.URL, f.Name)
	}
	return hash(parts...)
}

// hash is 128 bits of SHA-256 over the parts, in hex. A zero byte, which no stored text holds, stands between them.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// ParserVersion grows when feeds or pages are read differently than before: what was read by another version is asked
// for once more without a condition.
const ParserVersion = 1
