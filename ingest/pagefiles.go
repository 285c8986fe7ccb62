package ingest

import (
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"zonewire"
)

// document is a link to a file.
type document struct {
	node *html.Node
	file zonewire.Attachment
}

// documentsIn are the links in n, and n itself, that lead to documents.
func documentsIn(n *html.Node, base *url.URL) []document {
	var found []document
	add := func(n *html.Node) {
		if n.Type != html.ElementNode || n.Data != "a" {
			return
		}
		abs, ok := resolveURL(base, attr(n.Attr, "href"))
		if !ok {
			return
		}
		text := first(attr(n.Attr, "download"), nodeText(n))
		if kind := documentType(abs, text, attr(n.Attr, "title")); kind != "" {
			found = append(found, document{n, zonewire.Attachment{URL: abs, Name: documentName(abs, text, attr(n.Attr, "title")), Type: kind}})
		}
	}
	add(n)
	for d := range n.Descendants() {
		add(d)
	}
	return found
}

// documentType is the media type of a document by its address, or by its name where a script hands it out:
// /download.jsp?id=7.
func documentType(abs, text, title string) string {
	ext := fileExt(abs)
	if kind := fileTypes[ext]; kind != "" {
		return kind
	}
	switch ext {
	case "", "jsp", "do", "action", "php", "asp", "aspx", "ashx":
	default:
		return ""
	}
	u, ok := parseURL(abs)
	if !ok {
		return ""
	}
	for _, name := range []string{text, title, u.Query().Get("filename"), u.Query().Get("fileName")} {
		if kind := fileTypes[strings.ToLower(strings.TrimPrefix(path.Ext(trimSpace(name)), "."))]; kind != "" {
			return kind
		}
	}
	return ""
}

// justDownload is the text of a link that names nothing.
var justDownload = regexp.MustCompile(`^[\[【(]*(?:点击|立即|附件|文件|在线)*(?:下载|查看|预览|附件|打开)(?:附件|文件|此处|下载)?\d*[\]】):]*$`)

// documentName is what a link calls its document: its text, its title, or the file's own name.
func documentName(abs, text, title string) string {
	text, title = oneLine(text), oneLine(title)
	if text != "" && !justDownload.MatchString(squeeze(text)) {
		return text
	}
	if title != "" && !justDownload.MatchString(squeeze(title)) {
		return title
	}
	u, ok := parseURL(abs)
	if !ok {
		return text
	}
	name := first(u.Query().Get("filename"), u.Query().Get("fileName"), path.Base(u.Path))
	return oneLine(clean(name))
}

// attach adds documents, each address once.
func (p *htmlPage) attach(documents []document, layer string) {
	for _, d := range documents {
		known := false
		for _, f := range p.fields.attachments {
			known = known || f.URL == d.file.URL
		}
		if known || len(p.fields.attachments) == maxAttachments {
			continue
		}
		p.fields.attachments = append(p.fields.attachments, d.file)
		p.layer("attachments", layer)
	}
}

// files finds the documents outside the body: those of the source's selector, which then are all, else those that Hanweb
// delimits and those of a block of attachments.
func (p *htmlPage) files() {
	var selected []document
	for _, n := range outermost(p.selectors.find(p.doc, "attachments").Nodes) {
		selected = append(selected, documentsIn(n, p.base)...)
	}
	if len(selected) > 0 {
		p.fields.attachments = nil
		delete(p.layers, "attachments")
		p.attach(selected, "selector")
		return
	}
	for _, n := range p.comments["attachments"].nodes {
		p.attach(documentsIn(n, p.base), "comment")
	}
	var block []document
	if body := firstNode(p.doc.Find("body")); body != nil {
		for _, d := range documentsIn(body, p.base) {
			if len(block) < maxAttachments && inAttachments(d.node) {
				block = append(block, d)
			}
		}
	}
	p.attach(block, "block")
}

var (
	attachmentsText  = regexp.MustCompile(`^[\[【(]?(?:相关|文章)?(?:附件|文件下载)`)
	attachmentsClass = regexp.MustCompile(`(?i)fujian|attach|annex|appendix`)
)

// inAttachments reports whether a link stands in a block of attachments: one that begins with that word, or whose class
// says so.
func inAttachments(n *html.Node) bool {
	if inChrome(n) {
		return false
	}
	up := n
	for range 5 {
		if up == nil || up.Data == "body" {
			return false
		}
		if attachmentsText.MatchString(squeeze(headText(up, 60))) || attachmentsClass.MatchString(attr(up.Attr, "class")+" "+attr(up.Attr, "id")) {
			return true
		}
		up = up.Parent
	}
	return false
}

// Pictures that a site shows for all of its pages.
var sitePicture = regexp.MustCompile(`(?i)logo|default|nopic|no_pic|noimg|blank|favicon|share_?img`)

// pictures finds the picture of the article. If none is named, the first of the body is.
func (p *htmlPage) pictures() {
	m := mender{base: p.base}
	p.selectors.find(p.doc, "image").EachWithBreak(func(_ int, s *goquery.Selection) bool {
		if img := s.Filter("img").AddSelection(s.Find("img")).First(); img.Length() > 0 {
			src, _ := m.image(img.Nodes[0].Attr)
			p.set(&p.fields.image, "image", src, "selector")
		} else if src, ok := resolveURL(p.base, s.AttrOr("content", "")); ok {
			p.set(&p.fields.image, "image", src, "selector")
		}
		return p.fields.image == ""
	})
	for _, c := range []struct{ layer, name string }{{"meta", "image"}, {"og", "og:image"}} {
		if src, ok := resolveURL(p.base, p.meta[c.name]); ok && !sitePicture.MatchString(src) {
			p.set(&p.fields.image, "image", src, c.layer)
		}
	}
}
