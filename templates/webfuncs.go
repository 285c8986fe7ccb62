package templates

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

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

// WebLink gives the address if a page may link to it, or nothing.
func WebLink(address string) string {
	if u, err := url.Parse(address); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return ""
	}
	return address
}

// host names the site that an address is on.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Hostname(), "www.")
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
