package ingest

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"codeberg.org/readeck/go-readability/v2"
	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"zonewire"
)

// bodyMarkers are the elements that content systems put round a body. A new system is one more selector here, and a
// page in testdata.
var bodyMarkers = []string{
	"#zoom", "#zoomcon", // Hanweb, Guangdong
	".TRS_Editor", ".trs_editor_view", ".trs_paper_default", // TRS WCM
	"[id^=vsb_content]", ".v_news_content", // VSB
	"ucapcontent", "#UCAP-CONTENT", ".pages_content", // ucap, gov.cn
	"#js_content", // WeChat, which hides it by a style until its script has run
	"[itemprop=articleBody]", ".article-content", ".article_content", "#article_content", ".art_con", ".xxgk_content",
}

// enoughText is the number of Han characters and Latin words under which a body that was only guessed is not believed:
// on short pages the guess is the whole page with its menus.
const enoughText = 50

// htmlPage is a page while it is read.
type htmlPage struct {
	portalPage
	doc  *goquery.Document
	meta map[string]string // by small name or property; the first that is not empty
	base *url.URL
	opts Options
}

func readHTML(text string, opts Options) (portalPage, error) {
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(zonewire.CleanText(text)))
	if err != nil {
		return portalPage{}, zonewire.Invalidf("the page cannot be parsed: %v", err)
	}
	p := &htmlPage{doc: doc, opts: opts, meta: metaTags(doc)}
	p.address()
	lines := textLines(nodeText(firstNode(doc.Find("body"))))
	l := findLayout(lines)
	p.title(lines, l)
	p.published(text, l)
	p.set(&p.fields.source, "source", p.meta["contentsource"], "meta")
	l.fill(&p.portalPage)
	p.set(&p.fields.source, "source", doc.Find("#js_name").First().Text(), "layout")
	p.set(&p.fields.source, "source", p.meta["sitename"], "meta")
	p.set(&p.fields.source, "source", p.meta["og:site_name"], "og")
	p.set(&p.fields.author, "author", p.meta["author"], "meta")
	p.set(&p.fields.category, "category", p.meta["columnname"], "meta")
	if err := p.body(lines, l); err != nil {
		return portalPage{}, err
	}
	// Templates that were never translated say lang="en" over Chinese text.
	lang, _ := doc.Find("html").Attr("lang")
	if tag := languageTag(lang); tag != "" && (strings.HasPrefix(tag, "zh") || han(p.fields.html) < enoughText) {
		p.set(&p.fields.language, "language", tag, "meta")
	}
	return p.portalPage, nil
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
	if href, ok := p.doc.Find("base[href]").Attr("href"); ok {
		if abs, ok := resolveURL(p.base, href); ok {
			p.base, _ = parseURL(abs)
		}
	}
}

func (p *htmlPage) title(lines []string, l layout) {
	whole := oneLine(p.doc.Find("head title").First().Text())
	p.set(&p.fields.title, "title", p.meta["articletitle"], "meta")
	p.set(&p.fields.title, "title", oneLine(p.doc.Find("#activity-name").First().Text()), "heading")
	// A heading that begins the window's title is the article's. One that is elsewhere in it may be the portal's name.
	p.doc.Find("h1, h2, h3").EachWithBreak(func(_ int, s *goquery.Selection) bool {
		if t := oneLine(s.Text()); han(t)+len(strings.Fields(t)) > 3 && strings.HasPrefix(squeeze(whole), squeeze(t)) {
			p.set(&p.fields.title, "title", t, "heading")
		}
		return p.fields.title == ""
	})
	if h := p.doc.Find("h1"); h.Length() == 1 && !strings.HasSuffix(squeeze(whole), squeeze(h.Text())) {
		p.set(&p.fields.title, "title", oneLine(h.Text()), "heading")
	}
	if l.title >= 0 {
		p.set(&p.fields.title, "title", lines[l.title], "layout")
	}
	p.set(&p.fields.title, "title", p.meta["og:title"], "og")
	p.set(&p.fields.title, "title", p.windowTitle(whole), "title")
}

// windowTitle takes the names of the column and of the site off the window's title.
func (p *htmlPage) windowTitle(s string) string {
	const separators = "-_|—–·> "
	for range 3 {
		for _, name := range []string{p.meta["sitename"], p.meta["columnname"], p.meta["og:site_name"]} {
			if cut := strings.TrimSuffix(s, name); name != "" && cut != s && strings.TrimRight(cut, separators) != cut {
				s = strings.TrimRight(cut, separators)
			}
		}
	}
	for _, sep := range []string{"_", "|", " - ", " – "} {
		if head, _, ok := strings.Cut(s, sep); ok && han(head)+len(strings.Fields(head)) > 5 {
			s = head
		}
	}
	return s
}

// weChatTime is where WeChat keeps the moment of publication; what it shows may be "yesterday".
var weChatTime = regexp.MustCompile(`\bct\s*=\s*["'](\d{10})["']`)

func (p *htmlPage) published(text string, l layout) {
	now := p.opts.Now
	p.setDate("meta", p.meta["pubdate"], now)
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
	p.setDate("near", l.labels["lead"], now)
	p.setDate("near", fullDate.FindString(fold(l.near)), now)
	p.setDate("label", first(p.meta["pubdate"], l.labels["published"]), time.Time{})
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

// body finds the text: a known marker, else what readability takes for it, else the lines between labels and chrome.
func (p *htmlPage) body(lines []string, l layout) error {
	for _, marker := range bodyMarkers {
		n := firstNode(p.doc.Find(marker))
		if n == nil {
			continue
		}
		p.files(n)
		if body, err := p.clean(n); err != nil {
			return err
		} else if hasContent(body) {
			p.set(&p.fields.html, "content", body, "marker")
			return nil
		}
	}
	article, err := readability.FromDocument(p.doc.Get(0), p.base)
	if err == nil && article.Node != nil {
		body, err := p.clean(article.Node)
		if err != nil {
			return err
		}
		if han(PlainText(body))+len(strings.Fields(PlainText(body))) >= enoughText {
			p.files(article.Node)
			p.set(&p.fields.html, "content", body, "readability")
			return nil
		}
	}
	if l.title >= 0 && len(l.labels) > 0 {
		p.set(&p.fields.html, "content", paragraphsOf(bodyLines(lines[l.body:], p.fields.title)), "layout")
	}
	return nil
}

// clean takes the chrome out of a body and cleans what is left. It changes the tree.
func (p *htmlPage) clean(n *html.Node) (string, error) {
	s := stripper{title: squeeze(p.fields.title)}
	s.walk(n)
	raw, err := inner(n)
	if err != nil {
		return "", err
	}
	out, err := cleanHTML(raw, p.base)
	if err != nil {
		return "", zonewire.Invalidf("the body of the page cannot be used: %v", err)
	}
	return out, nil
}

// files makes attachments of the links to documents in the body.
func (p *htmlPage) files(n *html.Node) {
	goquery.NewDocumentFromNode(n).Find("a[href]").Each(func(_ int, s *goquery.Selection) {
		abs, ok := resolveURL(p.base, s.AttrOr("href", ""))
		kind := fileTypes[fileExt(abs)]
		if !ok || kind == "" || len(p.fields.attachments) == maxAttachments {
			return
		}
		for _, f := range p.fields.attachments {
			if f.URL == abs {
				return
			}
		}
		p.fields.attachments = append(p.fields.attachments, zonewire.Attachment{URL: abs, Name: oneLine(s.Text()), Type: kind})
	})
}

// stripper takes out of a body the lines that are none of the article's. A line is a run of inline nodes between two
// block boundaries or line breaks, whatever elements it is made of.
type stripper struct {
	title   string
	started bool // text of the article has been seen
	ended   bool // and its end
}

func (s *stripper) walk(parent *html.Node) {
	var run []*html.Node
	flush := func() {
		if len(run) > 0 && s.strips(run) {
			for _, n := range run {
				parent.RemoveChild(n)
			}
		}
		run = nil
	}
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		switch {
		case n.Type == html.ElementNode && n.Data == "br":
			flush()
			if s.ended {
				parent.RemoveChild(n)
			}
		case breaksLine(n):
			flush()
			s.walk(n)
		default:
			run = append(run, n)
		}
		n = next
	}
	flush()
}

// strips judges one line.
func (s *stripper) strips(run []*html.Node) bool {
	var text strings.Builder
	image := false
	for _, n := range run {
		writeText(&text, n)
		for d := range n.Descendants() {
			image = image || d.Data == "img"
		}
		image = image || n.Data == "img"
	}
	l := trimSpace(text.String())
	switch {
	case s.ended:
		return true
	case l == "":
		return false
	case isEnding(l):
		s.ended = s.started
		return true
	case isChrome(l):
		return !image
	case s.started:
		return false
	case squeeze(l) == s.title, breadcrumb(l) != nil, scanLabels(l) != nil:
		return true
	}
	s.started = true
	return false
}

// breaksLine reports whether n is a block, or holds one or a line break.
func breaksLine(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return false
	}
	if blockElements[n.Data] {
		return true
	}
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && blockElements[d.Data] {
			return true
		}
	}
	return false
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
