package ingest

import (
	"regexp"
	"strings"
	"time"

	"github.com/mmcdole/gofeed/rss"
)

// wpPost is what the export of WordPress adds to an item of RSS. The zero value is an item of another feed.
type wpPost struct {
	kind, status, password string
	published, excerpt     string
	body                   string // with line breaks for paragraphs
}

func wordPressPost(it *rss.Item) wpPost {
	x := it.Extensions
	p := wpPost{kind: extension(x, "wp", "post_type"), status: extension(x, "wp", "status"), password: extension(x, "wp", "post_password")}
	if p.kind == "" {
		return p
	}
	p.excerpt, p.body = extension(x, "excerpt", "encoded"), it.Content
	p.published = extension(x, "wp", "post_date_gmt") + " UTC" // zeros and all if there is none, which is no date
	return p
}

// hidden reports whether the item is none that anybody could read on the site.
func (p wpPost) hidden() bool {
	return p.kind != "" && (p.kind != "post" || p.status != "publish" || p.password != "")
}

func (p wpPost) fill(f *fields, now time.Time) {
	if p.kind == "" {
		return
	}
	f.published = likelyDate(now, p.published, f.published)
	f.summary = first(p.excerpt, f.summary)
	f.html, f.text = autop(p.body), ""
}

var (
	shortcode = regexp.MustCompile(`\[/?(?:caption|gallery|embed|video|audio|playlist)(?:\s[^\]]*)?\]`)
	blankLine = regexp.MustCompile(`\n[ \t\x{3000}]*\n`)
	openBlock = regexp.MustCompile(`(?i)^</?(?:p|div|h[1-6]|ul|ol|li|dl|table|t[rdh]|thead|tbody|blockquote|pre|hr|figure|section|address|!--)[\s/>-]`)
)

// autop makes paragraphs of a body as WordPress stores it: blank lines part them, other line breaks are kept, and
// what is a block of HTML already stays as it is.
func autop(body string) string {
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(shortcode.ReplaceAllString(body, ""))
	var out []string
	for _, block := range blankLine.Split(body, -1) {
		switch block = trimSpace(block); {
		case block == "":
		case openBlock.MatchString(block), strings.HasPrefix(block, "<!--"):
			out = append(out, block)
		default:
			out = append(out, "<p>"+strings.ReplaceAll(block, "\n", "<br/>")+"</p>")
		}
	}
	return strings.Join(out, "\n")
}
