package templates

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"zonewire"
)

// webHelpers are the functions that only pages call.
func webHelpers(locale string) template.FuncMap {
	return template.FuncMap{
		"articleDate": func(a zonewire.Article) ArticleDate { return articleDate(locale, a) },
		// clip takes the text last, so that a template can pipe into it
		"clip":    func(n int, text string) string { return zonewire.Shorten(text, n) },
		"weblink": WebLink,
		"host":    host,
		"size":    size,
		// foreign gives the language to mark a text with: none if it is the page's own. Unknown means Chinese.
		"foreign": func(language string) string {
			if language = cmp.Or(language, zonewire.LocaleZH); language == locale {
				return ""
			}
			return language
		},
		// zoneLanguage is foreign for a zone's display name.
		"zoneLanguage": func(z zonewire.Zone) string {
			if locale == zonewire.LocaleZH || z.DisplayName(locale) != z.Name {
				return ""
			}
			return zonewire.LocaleZH
		},
	}
}

// ArticleDate is when an article appeared, no more precise than its portal was.
type ArticleDate struct {
	ISO      string // for <time datetime>
	Text     string
	Received bool // the portal gave no usable date: this is when the article came in
}

func articleDate(locale string, a zonewire.Article) ArticleDate {
	switch {
	case a.Suspect, a.Precision == "", a.Published.IsZero():
		at := a.Received.In(zonewire.Shanghai)
		return ArticleDate{at.Format(time.DateOnly), Date(locale, at), true}
	case a.Precision == zonewire.PrecisionDay:
		return ArticleDate{a.Published.Format(time.DateOnly), Date(locale, a.Published), false}
	}
	text := Date(locale, a.Published) + " " + a.Published.Format("15:04")
	return ArticleDate{a.Published.Format(time.RFC3339), text, false}
}

// WebLink gives an address of others in the one spelling that pages and mails print, all ASCII, or nothing if it is no
// link of the web (javascript:, data:).
func WebLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return ""
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }) {
		if u.Host, err = idna.Lookup.ToASCII(u.Host); err != nil {
			return ""
		}
	}
	var b strings.Builder
	for _, c := range []byte(u.String()) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if _, err := url.Parse(b.String()); err != nil { // a host with a quote in it is none after all
		return ""
	}
	return b.String()
}

// host names the site that an address is on, in its own script.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	name := strings.TrimPrefix(u.Hostname(), "www.")
	if own, err := idna.Display.ToUnicode(name); err == nil {
		return own
	}
	return name
}

// size reads a number of bytes out, or nothing for 0, which means unknown.
func size(bytes int64) string {
	switch {
	case bytes <= 0:
		return ""
	case bytes < 1_000_000:
		return fmt.Sprintf("%d KB", max(1, bytes/1000))
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
