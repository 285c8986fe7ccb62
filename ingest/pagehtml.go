package ingest

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"zonewire"
)

// htmlPage is a page while it is read.
type htmlPage struct {
	portalPage
	doc       *goquery.Document
	meta      map[string]string // by small name or property; the first that is not empty
	comments  map[string]commented
	selectors matchers
	lines     []string
	layout    layout
	base      *url.URL
	opts      Options
}

func readHTML(text string, opts Options) (portalPage, error) {
	selectors, err := compile(opts.Selectors)
	if err != nil {
		return portalPage{}, err
	}
	doc, err := parseDocument(text)
	if err != nil {
		return portalPage{}, err
	}
	if err := refusal(doc); err != nil {
		return portalPage{}, err
	}
	p := &htmlPage{doc: doc, opts: opts, selectors: selectors, meta: metaTags(doc), comments: commentFields(doc)}
	p.address()
	p.lines = textLines(nodeText(firstNode(doc.Find("body"))))
	p.layout = findLayout(p.lines)
	p.title()
	p.published(text)
	p.names()
	p.pictures()
	if err := p.body(); err != nil {
		return portalPage{}, err
	}
	p.files()
	// Templates that were never translated say lang="en" over Chinese text.
	lang, _ := doc.Find("html").Attr("lang")
	if tag := languageTag(lang); tag != "" && (strings.HasPrefix(tag, "zh") || han(p.fields.html) < enoughText) {
		p.set(&p.fields.language, "language", tag, "meta")
	}
	return p.portalPage, nil
}

func parseDocument(text string) (*goquery.Document, error) {
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(zonewire.CleanText(text)))
	if err != nil {
		return nil, zonewire.Invalidf("the page cannot be parsed: %v", err)
	}
	return doc, nil
}

// documentBase is what the document's links resolve against, given its own address, which may be nil.
func documentBase(doc *goquery.Document, own *url.URL) *url.URL {
	href, ok := doc.Find("base[href]").Attr("href")
	if !ok {
		return own
	}
	abs, ok := resolveURL(own, href)
	if !ok {
		return own
	}
	base, _ := parseURL(abs)
	return base
}

// firstNode is the first node of a selection, or nil: a frameset has no body.
func firstNode(s *goquery.Selection) *html.Node {
	if len(s.Nodes) == 0 {
		return nil
	}
	return s.Nodes[0]
}

func metaTags(doc *goquery.Document) map[string]string {
	meta := map[string]string{}
	doc.Find("meta[content]").Each(func(_ int, s *goquery.Selection) {
		content := trimSpace(s.AttrOr("content", ""))
		for _, attr := range []string{"name", "property", "itemprop"} {
			name := strings.ToLower(trimSpace(s.AttrOr(attr, "")))
			if name != "" && content != "" && meta[name] == "" {
				meta[name] = content
			}
		}
	})
	return meta
}

// squeezed is all text of the page, squeezed.
func (p *htmlPage) squeezed() string {
	return squeeze(strings.Join(p.lines, ""))
}

// address finds the page's own address, and the one that its links resolve against. A canonical link to the front
// page, which careless templates write on every page, identifies nothing and is passed over.
func (p *htmlPage) address() {
	given, _ := parseURL(p.opts.URL)
	p.base = given
	for _, c := range []struct{ layer, ref string }{
		{"option", p.opts.URL},
		{"canonical", p.doc.Find("link[rel=canonical]").AttrOr("href", "")},
		{"og", p.meta["og:url"]},
		{"meta", p.meta["url"]},
	} {
		abs, ok := resolveURL(given, c.ref)
		if _, identifies := CanonicalURL(abs); !ok || !identifies {
			continue
		}
		if c.layer == "option" {
			abs = c.ref // as given
		}
		p.set(&p.fields.url, "url", abs, c.layer)
		if p.base == nil {
			p.base, _ = parseURL(abs)
		}
	}
	p.base = documentBase(p.doc, p.base)
}

// selected is what the source's selector of a field gives. A field that every article has and that the selector does
// not find is told to the operator: the portal's template has changed.
func (p *htmlPage) selected(name, field string) string {
	v := p.selectors.text(p.doc, name, field)
	if _, given := p.selectors[name]; given && v == "" && (name == "title" || name == "date") {
		p.warn("%s-selector finds nothing in the page", name)
	}
	return v
}

func (p *htmlPage) title() {
	whole := oneLine(commentTag.ReplaceAllString(p.doc.Find("head title").First().Text(), ""))
	listed := p.opts.Listed.Title
	if isCut(listed) {
		listed = ""
	}
	p.set(&p.fields.title, "title", p.selected("title", "title"), "selector")
	p.set(&p.fields.title, "title", p.meta["articletitle"], "meta")
	p.set(&p.fields.title, "title", p.comments["title"].text, "comment")
	p.set(&p.fields.title, "title", oneLine(p.doc.Find("#activity-name").First().Text()), "heading")
	// A heading that the list has, too, is the article's; so is one that begins the window's title. One that is elsewhere
	// in that may be the portal's name.
	for _, is := range []func(t string) bool{
		func(t string) bool { return squeeze(t) == squeeze(listed) },
		func(t string) bool { return strings.HasPrefix(squeeze(whole), squeeze(t)) },
	} {
		p.doc.Find("h1, h2, h3").EachWithBreak(func(_ int, s *goquery.Selection) bool {
			if t := oneLine(s.Text()); han(t)+len(strings.Fields(t)) > 3 && is(t) {
				p.set(&p.fields.title, "title", t, "heading")
			}
			return p.fields.title == ""
		})
	}
	if h := p.doc.Find("h1"); h.Length() == 1 && !strings.HasSuffix(squeeze(whole), squeeze(h.Text())) {
		p.set(&p.fields.title, "title", oneLine(h.Text()), "heading")
	}
	if listed != "" && slices.ContainsFunc(p.lines, func(l string) bool { return len(l) < 2*len(listed) && squeeze(l) == squeeze(listed) }) {
		p.set(&p.fields.title, "title", listed, "list")
	}
	// Above a line of labels stands the title. Without labels the line is a guess, and the last.
	guess := ""
	if l := p.layout; l.title >= 0 {
		guess = p.lines[l.title]
		if l.anchor != "" {
			p.set(&p.fields.title, "title", guess, "layout")
		}
	}
	p.set(&p.fields.title, "title", p.meta["og:title"], "og")
	if listed != "" && strings.Contains(squeeze(whole), squeeze(listed)) {
		p.set(&p.fields.title, "title", listed, "list")
	}
	p.set(&p.fields.title, "title", p.windowTitle(whole), "title")
	p.set(&p.fields.title, "title", p.opts.Listed.Title, "list")
	p.set(&p.fields.title, "title", guess, "layout")
}

var (
	commentTag = regexp.MustCompile(`<!--.*?-->`) // in a title it is text
	// What portals put behind the title, told by how it ends.
	siteSuffix = regexp.MustCompile(`^(.*\S)\s*[-—–|_]+\s*[^-—–|_]{2,30}?(?:网|网站|门户|平台|政府|管委会|委员会|开发区|高新区|新区|园区|保税区|频道|中心|在线|新闻|动态|要闻|信息|公告|资讯|首页)$`)
)

// windowTitle takes the names of the column and of the site off the window's title.
func (p *htmlPage) windowTitle(s string) string {
	const separators = "-_|—–·> "
	for range 3 {
		for _, name := range []string{p.meta["sitename"], p.meta["columnname"], p.meta["og:site_name"]} {
			if name == "" {
				continue
			}
			if cut := strings.TrimSuffix(s, name); cut != s && strings.TrimRight(cut, separators) != cut {
				s = strings.TrimRight(cut, separators)
			}
			if cut := strings.TrimPrefix(s, name); cut != s && strings.TrimLeft(cut, separators) != cut {
				s = strings.TrimLeft(cut, separators)
			}
		}
	}
	enough := func(head string) bool { return han(head)+len(strings.Fields(head)) > 5 }
	for _, sep := range []string{"_", "|", " - ", " – "} {
		if head, _, ok := strings.Cut(s, sep); ok && enough(head) {
			s = head
		}
	}
	for range 3 {
		if m := siteSuffix.FindStringSubmatch(s); m != nil && enough(m[1]) {
			s = m[1]
		}
	}
	return s
}

// weChatTime is where WeChat keeps the moment of publication; what it shows may be "yesterday".
var weChatTime = regexp.MustCompile(`\bct\s*=\s*["'](\d{10})["']`)

func (p *htmlPage) published(text string) {
	now, l := p.opts.Now, p.layout
	selected := p.selected("date", "published")
	p.setDate("selector", selected, now)
	p.setDate("meta", p.meta["pubdate"], now)
	p.setDate("comment", p.comments["published"].text, now)
	if p.doc.Find("#js_content").Length() > 0 {
		if m := weChatTime.FindStringSubmatch(text); m != nil {
			p.setDate("script", m[1], now)
		}
	}
	p.setDate("label", l.labels["published"], now)
	p.setDate("jsonld", p.linkedDate(), now)
	p.setDate("og", p.meta["article:published_time"], now)
	if d, ok := urlDate(p.fields.url, now); ok {
		p.setDate("url", d.t.Format("2006-01-02"), now)
	}
	p.setDate("list", p.opts.Listed.Date, now)
	p.setDate("near", l.labels["lead"], now)
	p.setDate("near", fullDate.FindString(fold(l.near)), now)
	p.setDate("label", first(selected, p.meta["pubdate"], l.labels["published"]), time.Time{})
}

// linkedDate is the datePublished of the page's JSON-LD.
func (p *htmlPage) linkedDate() (found string) {
	p.doc.Find(`script[type="application/ld+json"]`).EachWithBreak(func(_ int, s *goquery.Selection) bool {
		var v any
		if json.Unmarshal([]byte(s.Text()), &v) == nil { // broken JSON-LD is as good as none
			found = findString(v, "datePublished", 5)
		}
		return found == ""
	})
	return found
}

func findString(v any, key string, depth int) string {
	if depth == 0 {
		return ""
	}
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v[key].(string); ok {
			return s
		}
		if s := findString(v["@graph"], key, depth-1); s != "" {
			return s
		}
		return findString(v["mainEntity"], key, depth-1)
	case []any:
		for _, e := range v {
			if s := findString(e, key, depth-1); s != "" {
				return s
			}
		}
	}
	return ""
}

// names finds who tells the story, and of which place and column it is.
func (p *htmlPage) names() {
	f := &p.fields
	p.set(&f.source, "source", p.selected("source", "source"), "selector")
	p.set(&f.author, "author", p.selected("author", "author"), "selector")
	p.set(&f.zone, "zone", p.selected("zone", "zone"), "selector")
	p.set(&f.city, "city", p.selected("city", ""), "selector")
	p.set(&f.category, "category", p.selected("category", ""), "selector")
	p.setName(&f.source, "source", p.meta["contentsource"], "meta")
	p.setName(&f.source, "source", unlabelled(p.comments["source"].text, "source"), "comment")
	p.setName(&f.author, "author", unlabelled(p.comments["author"].text, "author"), "comment")
	p.layout.fill(&p.portalPage)
	p.set(&f.source, "source", p.doc.Find("#js_name").First().Text(), "layout")
	p.set(&f.source, "source", p.meta["sitename"], "meta")
	p.set(&f.source, "source", p.meta["og:site_name"], "og")
	p.setName(&f.author, "author", p.meta["author"], "meta")
	p.set(&f.category, "category", p.meta["columnname"], "meta")
}

// nodeText is the text of a page as it is seen: blocks on lines of their own, the cells of a row two spaces apart.
func nodeText(n *html.Node) string {
	var text strings.Builder
	if n != nil {
		writeText(&text, n)
	}
	return text.String()
}

var lineSpace = strings.NewReplacer("\n", " ", "\r", " ", "\t", " ")

func writeText(out *strings.Builder, n *html.Node) {
	switch n.Type {
	case html.TextNode:
		out.WriteString(lineSpace.Replace(n.Data))
		return
	case html.ElementNode:
		if dropped[n.Data] {
			return
		}
	case html.CommentNode, html.DoctypeNode:
		return
	}
	edge := ""
	switch {
	case n.Data == "td" || n.Data == "th":
		edge = "  "
	case blockElements[n.Data]:
		edge = "\n"
	}
	out.WriteString(edge)
	for c := range n.ChildNodes() {
		writeText(out, c)
	}
	out.WriteString(edge)
}

// headText is the beginning of the text in n, cut off at limit bytes: what is asked of many nodes must not cost the whole
// page each time.
func headText(n *html.Node, limit int) string {
	var text strings.Builder
	for d := range n.Descendants() {
		left := limit - text.Len()
		if left <= 0 {
			break
		}
		if d.Type == html.TextNode && !dropped[d.Parent.Data] {
			text.WriteString(lineSpace.Replace(d.Data[:min(left, len(d.Data))]))
		}
	}
	return strings.ToValidUTF8(text.String(), "")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func hasContent(body string) bool { return strings.Contains(body, "<img") || PlainText(body) != "" }

// han counts Han characters.
func han(s string) int {
	n := 0
	for _, r := range s {
		if unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}
