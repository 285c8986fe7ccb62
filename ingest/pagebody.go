package ingest

import (
	"path"
	"strings"

	"codeberg.org/readeck/go-readability/v2"
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

// body finds the text: by the source's selector, between the comments of Hanweb, in a known marker, else what
// readability takes for it, else what follows the labels.
func (p *htmlPage) body() error {
	if nodes := outermost(p.selectors.find(p.doc, "body").Nodes); len(nodes) > 0 {
		if done, err := p.take(copied(p.doc, nodes), "selector"); done || err != nil {
			return err
		}
	}
	if _, given := p.selectors["body"]; given {
		p.warn("body-selector finds no body in the page")
	}
	if nodes := p.comments["content"].nodes; len(nodes) > 0 {
		if done, err := p.take(copied(p.doc, nodes), "comment"); done || err != nil {
			return err
		}
	}
	for _, marker := range bodyMarkers {
		if n := firstNode(p.doc.Find(marker)); n != nil {
			if done, err := p.take(n, "marker"); done || err != nil {
				return err
			}
		}
	}
	if done, err := p.guessed(); done || err != nil {
		return err
	}
	l := p.layout
	if l.title < 0 || len(l.labels) == 0 {
		return nil
	}
	if nodes := p.behindLabels(); len(nodes) > 0 {
		if done, err := p.take(copied(p.doc, nodes), "layout"); done || err != nil {
			return err
		}
	}
	p.set(&p.fields.html, "content", paragraphsOf(bodyLines(p.lines[l.body:], p.fields.title)), "layout")
	return nil
}

// guessed takes what readability takes for the body, if it is enough to be believed.
func (p *htmlPage) guessed() (bool, error) {
	const longest = 1 << 20 // bytes of text; the guess takes very long over crafted pages
	if size := len(strings.Join(p.lines, "")); size > longest {
		return false, nil
	}
	article, err := readability.FromDocument(p.doc.Get(0), p.base)
	if err != nil || article.Node == nil || p.holdsMenu(article.Node) {
		return false, nil // it found none
	}
	links := documentsIn(article.Node, p.base)
	body, err := p.clean(article.Node)
	if err != nil {
		return false, err
	}
	if text := PlainText(body); han(text)+len(strings.Fields(text)) < enoughText {
		return false, nil
	}
	p.set(&p.fields.html, "content", body, "readability")
	p.attach(links, "content")
	return true, nil
}

// take takes the body from n, whose tree it changes, and the documents that it links to. It reports whether there was any
// body.
func (p *htmlPage) take(n *html.Node, layer string) (bool, error) {
	links := documentsIn(n, p.base)
	body, err := p.clean(n)
	if err != nil {
		return false, err
	}
	p.attach(links, "content")
	if !hasContent(body) {
		return false, nil
	}
	p.set(&p.fields.html, "content", body, layer)
	return true, nil
}

// holdsMenu reports whether a guessed body begins above the title, with what stands there on the page.
func (p *htmlPage) holdsMenu(n *html.Node) bool {
	if p.layout.title < 0 {
		return false
	}
	const most = 2
	above := map[string]bool{}
	for _, l := range p.lines[:p.layout.title] {
		if squeeze(l) != squeeze(p.fields.title) {
			above[squeeze(l)] = true
		}
	}
	found := 0
	for _, l := range textLines(nodeText(n)) {
		if l != "" && above[squeeze(l)] {
			found++
		}
	}
	return found > most
}

// behindLabels are the nodes that follow the line of labels in the place where the body stands: the nearest level that
// has anything to read or to see, up to what ends an article.
func (p *htmlPage) behindLabels() []*html.Node {
	for n := p.labelsNode(); n != nil && n.Data != "body"; n = n.Parent {
		var nodes []*html.Node
		seen := false
		for s := n.NextSibling; s != nil; s = s.NextSibling {
			text := trimSpace(nodeText(s))
			if s.Type == html.ElementNode && (inChrome(s) || isMenu(s)) || isEnding(text) {
				break
			}
			nodes = append(nodes, s)
			seen = seen || text != "" && !isChrome(text) || hasImage(s)
		}
		if seen {
			return nodes
		}
	}
	return nil
}

// isMenu reports whether n holds links to other pages and hardly anything else.
func isMenu(n *html.Node) bool {
	links, linked := 0, 0
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == "a" {
			if fileTypes[strings.ToLower(strings.TrimPrefix(path.Ext(attr(d.Attr, "href")), "."))] != "" {
				return false
			}
			links++
			linked += len(squeeze(nodeText(d)))
		}
	}
	const few = 3
	return links >= few && linked*10 >= len(squeeze(nodeText(n)))*8
}

// labelsNode is the smallest element that holds the whole line of labels, which often is made of several.
func (p *htmlPage) labelsNode() *html.Node {
	anchor := squeeze(p.layout.anchor)
	body := firstNode(p.doc.Find("body"))
	if body == nil || anchor == "" {
		return nil
	}
	for d := range body.Descendants() {
		if d.Type != html.TextNode || dropped[d.Parent.Data] {
			continue
		}
		if s := squeeze(truncate(d.Data, maxLabelLine)); s == "" || !strings.HasPrefix(anchor, s) && !strings.HasPrefix(s, anchor) {
			continue
		}
		const levels, enough = 6, 4 * maxLabelLine
		up := d.Parent
		for range levels {
			if up == nil || up == body {
				break
			}
			if strings.HasPrefix(squeeze(headText(up, enough)), anchor) {
				return up
			}
			up = up.Parent
		}
	}
	return nil
}

func hasImage(n *html.Node) bool {
	if n.Data == "img" {
		return true
	}
	for d := range n.Descendants() {
		if d.Data == "img" {
			return true
		}
	}
	return false
}

// clean takes the chrome out of a body and cleans what is left. It changes the tree.
func (p *htmlPage) clean(n *html.Node) (string, error) {
	s := stripper{title: squeeze(p.fields.title), page: p.squeezed}
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

// stripper takes out of a body the lines that are none of the article's. A line is a run of inline nodes between two
// block boundaries or line breaks, whatever elements it is made of.
type stripper struct {
	title   string
	page    func() string // all text of the page, squeezed
	teasers int           // lines tried for teasers
	started bool          // text of the article has been seen
	ended   bool          // and its end
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
		image = image || hasImage(n)
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
	case squeeze(l) == s.title, breadcrumb(l) != nil, scanLabels(l) != nil, s.isTeaser(l):
		return true
	}
	s.started = true
	return false
}

// isTeaser reports whether a line is the beginning of the text that follows, cut off: a summary for the list, which
// some templates print above the text as well.
func (s *stripper) isTeaser(l string) bool {
	const most, shortest = 3, 30 // lines; bytes
	if s.teasers == most || len(l) < shortest || !isCut(l) {
		return false
	}
	s.teasers++
	return strings.Count(s.page(), squeeze(uncut(l))) > 1
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
