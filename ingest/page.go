package ingest

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"zonewire"
)

// ReadPage reads one article page of a portal: its HTML, or its text as a browser shows it. What is no text, and a page
// without a title, without any text of an article, or that is an error served as if it were none, is a
// [zonewire.ErrInvalid].
//
// Each field is taken from the most trusted place that has it, and Layers says which that was: "selector" (the source's),
// "meta" (government meta tags), "comment" (fields that Hanweb delimits by comments), "label" (发布时间：…), "heading",
// "layout" (where the line stands), "marker" and "readability" (of bodies), "crumb", "jsonld", "og", "script", "title",
// "url", "list" (what the list page said), "near" (an unlabelled date by the title), "content" and "block" (of
// attachments and pictures), "option" (what the caller said). The layer of "charset" is the By of [Decoded].
func ReadPage(b []byte, opts Options) Record {
	if len(b) > maxPage {
		return Record{Err: zonewire.Invalidf("the page is larger than %d MB", maxPage>>20)}
	}
	text, err := DecodeAs(b, Charsets{HTTP: opts.HTTPCharset, Default: opts.Charset})
	if err != nil {
		return Record{Err: err}
	}
	a, warnings, err := page(text, opts)
	if err != nil {
		return Record{Err: err}
	}
	if text.damaged() {
		warnings = append(replacedWarning(text), warnings...)
	}
	return Record{Article: a, Line: 1, Warnings: warnings}
}

func page(text Decoded, opts Options) (a zonewire.Article, warnings []string, err error) {
	if trimSpace(text.Text) == "" {
		return a, nil, zonewire.Invalidf("the page is empty")
	}
	var p portalPage
	if looksLikeHTML(text.Text) || beginsWithTag.MatchString(text.Text) {
		p, err = readHTML(text.Text, opts)
	} else {
		p = readText(text.Text, opts)
	}
	if err != nil {
		return a, nil, err
	}
	if p.fields.title == "" {
		return a, nil, zonewire.Invalidf("no title was found in the page")
	}
	if PlainText(p.fields.html) == "" && !strings.Contains(p.fields.html, "<img") && len(p.fields.attachments) == 0 {
		return a, nil, zonewire.Invalidf("no text of an article was found in the page")
	}
	if opts.URL != "" {
		p.set(&p.fields.url, "url", opts.URL, "option")
	}
	a, warnings, err = p.fields.article(opts)
	if err != nil {
		return a, nil, err
	}
	warnings = append(p.warnings, warnings...)
	a.Charset, a.Replaced = text.Charset, text.Replaced
	a.Layers = p.layers
	a.Layers["charset"] = text.By
	if p.fields.zone == "" && opts.Zone != "" {
		a.Layers["zone"] = "option"
	}
	if a.Suspect {
		a.Layers["published"] = "received"
	}
	if a.Image != "" && a.Layers["image"] == "" {
		a.Layers["image"] = "content"
	}
	return a, warnings, nil
}

// beginsWithTag tells the HTML of an empty page from text.
var beginsWithTag = regexp.MustCompile(`^\s*<[!a-zA-Z]`)

// portalPage is what was found in a page, and where.
type portalPage struct {
	fields   fields
	layers   map[string]string
	warnings []string
}

func (p *portalPage) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

// layer notes where a field was found first.
func (p *portalPage) layer(name, layer string) {
	if p.layers == nil {
		p.layers = map[string]string{}
	}
	if p.layers[name] == "" {
		p.layers[name] = layer
	}
}

// set fills a field that is still empty.
func (p *portalPage) set(to *string, name, value, layer string) {
	if *to != "" || trimSpace(value) == "" {
		return
	}
	*to = trimSpace(value)
	p.layer(name, layer)
}

// nobody is what templates print where they know no source or author.
var nobody = regexp.MustCompile(`^(?:未知|不详|佚名|无|本站|本网|本网站|本站原创|原创|admin|administrator|(?:系统|超级|网站)?管理员)$`)

// setName fills a source or an author that is still empty.
func (p *portalPage) setName(to *string, name, value, layer string) {
	if !nobody.MatchString(squeeze(value)) {
		p.set(to, name, value, layer)
	}
}

// setDate takes a date if there is none yet and this one can be; with a zero now it takes any text, so that the reader
// of the warning sees what stood there.
func (p *portalPage) setDate(layer, value string, now time.Time) {
	if now.IsZero() {
		p.set(&p.fields.published, "published", value, layer)
		return
	}
	if d, ok := parseDate(value, now); ok && plausible(d.t, now) {
		p.set(&p.fields.published, "published", value, layer)
		return
	}
	inside := fullDate.FindString(fold(value)) // a label that ran into the next word
	if d, ok := parseDate(inside, now); ok && plausible(d.t, now) {
		p.set(&p.fields.published, "published", inside, layer)
	}
}

// readText reads the text of a page: slogan, breadcrumb, title, label line, body, and what portals print below it.
func readText(text string, opts Options) portalPage {
	lines := textLines(strings.ReplaceAll(text, "\r\n", "\n"))
	var p portalPage
	l := findLayout(lines)
	l.fill(&p)
	p.setDate("label", l.labels["published"], opts.Now)
	p.setDate("list", opts.Listed.Date, opts.Now)
	p.setDate("near", l.labels["lead"], opts.Now)
	p.setDate("near", fullDate.FindString(fold(l.near)), opts.Now)
	p.setDate("label", first(l.labels["published"], l.labels["lead"]), time.Time{})
	if l.title >= 0 {
		p.set(&p.fields.title, "title", lines[l.title], "layout")
	}
	p.set(&p.fields.title, "title", opts.Listed.Title, "list")
	p.set(&p.fields.html, "content", paragraphsOf(bodyLines(lines[l.body:], p.fields.title)), "layout")
	return p
}

func textLines(text string) []string {
	var lines []string
	for l := range strings.SplitSeq(text, "\n") {
		lines = append(lines, trimSpace(clean(l)))
	}
	return lines
}

// paragraphsOf makes a paragraph of each line that is not empty.
func paragraphsOf(lines []string) string {
	return TextToHTML(strings.Join(lines, "\n\n"))
}
