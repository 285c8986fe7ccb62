package ingest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/unicode/norm"

	"zonewire"
)

// CleanHTML makes a fragment of HTML safe and portable: parsed as a browser would, lazy images made real, addresses
// absolute (base may be nil; what stays relative goes), sanitised, and written again, so that every tag is balanced.
// Cleaning clean HTML changes nothing. An article keeps 100 links, past which only their words stay, and 200 images.
//
// What cannot be parsed because it is nested more than 512 deep comes back as paragraphs of its text.
func CleanHTML(fragment string, base *url.URL) string {
	out, err := cleanHTML(fragment, base)
	if err != nil {
		return TextToHTML(PlainText(fragment))
	}
	return out
}

// errUnstable means that the HTML reads differently each time it is written, as only crafted HTML does.
var errUnstable = errors.New("the HTML changes each time it is parsed")

func cleanHTML(fragment string, base *url.URL) (string, error) {
	if s := strings.TrimSpace(fragment); isClean(s) {
		return s, nil
	}
	if out, ok := cleanPlain(fragment, base); ok {
		return out, nil
	}
	return cleanAny(fragment, base)
}

// cleanAny is the long way, which takes any HTML.
func cleanAny(fragment string, base *url.URL) (string, error) {
	// Two passes are the rule: the second proves that the first came to rest. Misnested tables need more.
	const passes = 6
	s := fragment
	for range passes {
		nodes, err := parseFragment(s)
		if err != nil {
			return "", err
		}
		next, err := cleanNodes(nodes, base)
		if err != nil {
			return "", err
		}
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", errUnstable
}

func parseFragment(s string) ([]*html.Node, error) {
	body := &html.Node{Type: html.ElementNode, DataAtom: atom.Body, Data: "body"}
	if !settled(s) {
		s = zonewire.CleanText(s)
	}
	nodes, err := html.ParseFragment(strings.NewReader(s), body)
	if err != nil {
		return nil, fmt.Errorf("parse html: %w", err)
	}
	return nodes, nil
}

// cleanNodes is one pass: mend the tree, write it, sanitise, and balance what the sanitiser may have unbalanced.
func cleanNodes(nodes []*html.Node, base *url.URL) (string, error) {
	root := bodyOf(nodes)
	m := mender{base: base}
	m.children(root)
	s, err := inner(root)
	if err != nil {
		return "", err
	}
	if nodes, err = parseFragment(policy().Sanitize(s)); err != nil {
		return "", err
	}
	root = bodyOf(nodes)
	trimBlocks(root)
	s, err = inner(root)
	return strings.TrimSpace(s), err
}

// bodyOf puts the nodes of a fragment under one.
func bodyOf(nodes []*html.Node) *html.Node {
	root := &html.Node{Type: html.ElementNode, DataAtom: atom.Body, Data: "body"}
	for _, n := range nodes {
		root.AppendChild(n)
	}
	return root
}

// inner writes the children of n.
func inner(n *html.Node) (string, error) {
	var out strings.Builder
	for c := range n.ChildNodes() {
		if err := html.Render(&out, c); err != nil {
			return "", fmt.Errorf("write html: %w", err)
		}
	}
	return out.String(), nil
}

var policy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd",
		"blockquote", "pre", "code", "b", "strong", "i", "em", "u", "s", "del", "ins", "sub", "sup", "small",
		"table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	p.AllowAttrs("href").OnElements("a")
	p.AllowAttrs("rel").Matching(regexp.MustCompile(`^` + linkRel + `$`)).OnElements("a")
	p.AllowAttrs("src", "alt").OnElements("img")
	p.AllowAttrs("title").OnElements("a", "img")
	number := regexp.MustCompile(`^[1-9][0-9]{0,3}$`)
	p.AllowAttrs("width", "height").Matching(number).OnElements("img")
	p.AllowAttrs("colspan", "rowspan").Matching(number).OnElements("td", "th")
	p.AllowAttrs("start").Matching(number).OnElements("ol")
	return p
})

// Elements whose content is nothing to read.
var dropped = map[string]bool{
	"script": true, "style": true, "noscript": true, "template": true, "iframe": true, "object": true, "embed": true,
	"applet": true, "frameset": true, "frame": true, "svg": true, "math": true, "video": true, "audio": true,
	"canvas": true, "input": true, "button": true, "select": true, "textarea": true, "head": true,
	"title": true, "meta": true, "link": true, "base": true, "noframes": true, "noembed": true, "map": true, "source": true, "track": true, "param": true, "area": true,
}

// Elements that are blocks under another name, kept as what every reader knows.
var renamed = map[string]atom.Atom{
	"section": atom.Div, "article": atom.Div, "main": atom.Div, "center": atom.Div, "figure": atom.Div,
	"ucapcontent": atom.Div, "header": atom.Div, "footer": atom.Div, "aside": atom.Div, "form": atom.Div,
	"fieldset": atom.Div, "details": atom.Div, "address": atom.Div, "nav": atom.Div, "dir": atom.Ul, "menu": atom.Ul,
	"figcaption": atom.P, "summary": atom.P, "legend": atom.P, "strike": atom.S, "xmp": atom.Pre, "listing": atom.Pre,
	"plaintext": atom.Pre, "tt": atom.Code,
}

// blockElements begin a new line of text.
var blockElements = set("address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details",
	"dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4",
	"h5", "h6", "header", "hr", "li", "main", "menu", "nav", "ol", "p", "pre", "section", "table", "tbody", "td",
	"tfoot", "th", "thead", "tr", "ul", "ucapcontent")

// knownElements are the names that make an angle bracket a tag.
var knownElements = set(
	"a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b", "base", "bdi", "bdo", "big",
	"blockquote", "body", "br", "button", "canvas", "caption", "center", "cite", "code", "col", "colgroup", "dd", "del",
	"details", "dfn", "dialog", "dir", "div", "dl", "dt", "em", "embed", "fieldset", "figcaption", "figure", "font",
	"footer", "form", "frame", "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "i",
	"iframe", "img", "input", "ins", "kbd", "label", "legend", "li", "link", "main", "map", "mark", "marquee", "menu",
	"meta", "nav", "nobr", "noscript", "object", "ol", "optgroup", "option", "p", "param", "pre", "q", "s", "samp",
	"script", "section", "select", "small", "source", "span", "strike", "strong", "style", "sub", "sup", "svg", "table",
	"tbody", "td", "template", "textarea", "tfoot", "th", "thead", "title", "tr", "tt", "u", "ul", "var", "video", "wbr",
	"ucapcontent", "o:p")

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// linkRel is what every link says of itself: we vouch for none, and it gets no hold of the page.
const linkRel = "nofollow noopener"

// mender makes the tree of a fragment ready for the sanitiser.
type mender struct {
	base          *url.URL
	links, images int
}

func (m *mender) children(parent *html.Node) {
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		switch n.Type {
		case html.TextNode:
			n.Data = cleanText(n.Data)
		case html.ElementNode:
			if n.Namespace != "" || dropped[n.Data] || !m.element(n) {
				parent.RemoveChild(n)
				break
			}
			m.children(n)
			if n.DataAtom == atom.A && len(n.Attr) == 0 {
				lift(n) // the sanitiser would do it, and end the wrong link if there is one inside
			}
		default: // comments, doctypes
			parent.RemoveChild(n)
		}
		n = next
	}
}

// lift puts what is in n in its place.
func lift(n *html.Node) {
	for c := n.FirstChild; c != nil; c = n.FirstChild {
		n.RemoveChild(c)
		n.Parent.InsertBefore(c, n)
	}
	n.Parent.RemoveChild(n)
}

// cleanText is clean for a text node, where a combining mark at the beginning would melt into the tag before it.
func cleanText(s string) string {
	if settled(s) {
		return s
	}
	return trimMarks(norm.NFC.String(trimMarks(zonewire.CleanText(s))))
}

// element mends one element; false means that it goes, with all inside.
func (m *mender) element(n *html.Node) bool {
	if a, ok := renamed[n.Data]; ok {
		n.DataAtom, n.Data = a, a.String()
	}
	given := n.Attr
	n.Attr = nil
	add := func(key, value string) {
		if value != "" || key == "alt" {
			n.Attr = append(n.Attr, html.Attribute{Key: key, Val: value})
		}
	}
	number := func(key string) {
		if v := trimSpace(attr(given, key)); isNumber(v) {
			add(key, v)
		}
	}
	switch n.DataAtom {
	case atom.Img:
		src, ok := m.image(given)
		if !ok || m.images == maxImages {
			return false
		}
		m.images++
		add("src", src)
		add("alt", line(attr(given, "alt")))
		add("title", trimSpace(attr(given, "title")))
		number("width")
		number("height")
	case atom.A:
		href, ok := m.link(attr(given, "href"))
		if !ok || m.links == maxLinks {
			return true // it is a link no more, only what is in it
		}
		m.links++
		add("href", href)
		add("rel", linkRel)
		add("title", trimSpace(attr(given, "title")))
	case atom.Td, atom.Th:
		number("colspan")
		number("rowspan")
	case atom.Ol:
		number("start")
	}
	return true
}

// attr is the value of the first attribute of the name, clean.
func attr(all []html.Attribute, key string) string {
	for _, a := range all {
		if a.Key == key {
			return clean(a.Val)
		}
	}
	return ""
}

func (m *mender) link(href string) (string, bool) {
	href = trimSpace(href)
	if scheme, rest, ok := strings.Cut(href, ":"); ok && strings.EqualFold(scheme, "mailto") {
		return "mailto:" + percentEncode(rest), rest != "" && len(rest) <= maxURL
	}
	if href == "" || href[0] == '#' {
		return "", false // a place inside a page that is not here
	}
	return resolveURL(m.base, href)
}

// The places where scripts find the true address of an image that is loaded late.
var lazyAttributes = []string{"data-src", "data-original", "data-lazy-src", "data-lazyload", "data-url", "_src", "original"}

func (m *mender) image(given []html.Attribute) (string, bool) {
	if tiny(attr(given, "width")) || tiny(attr(given, "height")) {
		return "", false // counts readers, shows nothing
	}
	for _, key := range lazyAttributes {
		if v := attr(given, key); v != "" {
			if src, ok := resolveURL(m.base, v); ok {
				return src, true
			}
		}
	}
	return resolveURL(m.base, attr(given, "src"))
}

func tiny(size string) bool {
	size = strings.TrimSuffix(strings.TrimSpace(size), "px")
	return size == "0" || size == "1"
}

// trimBlocks takes the indents off paragraphs, which are a matter of style, drops what holds nothing, and turns the
// nests of div elements that editors make into paragraphs.
func trimBlocks(parent *html.Node) {
	for n := parent.FirstChild; n != nil; {
		next := n.NextSibling
		if n.Type == html.ElementNode && n.DataAtom != atom.Pre {
			trimBlocks(n)
			switch n.DataAtom {
			case atom.P, atom.Div, atom.Li, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Td, atom.Th, atom.Blockquote:
				trimIndent(n)
			}
			if after := n.NextSibling; n.DataAtom == atom.Br && after != nil && after.Type == html.TextNode {
				after.Data = trimMarks(strings.TrimLeft(after.Data, indent))
			}
			switch {
			case emptiable[n.DataAtom] && empty(n):
				parent.RemoveChild(n)
			case n.DataAtom == atom.Div:
				plainDiv(n)
			}
		}
		n = next
	}
}

// empty reports whether nothing is in n but line breaks and white space.
func empty(n *html.Node) bool {
	for c := range n.ChildNodes() {
		if c.DataAtom != atom.Br && !(c.Type == html.TextNode && strings.Trim(c.Data, indent) == "") {
			return false
		}
	}
	return true
}

// plainDiv puts a div that holds only blocks out of the way, and makes a paragraph of one that holds none.
func plainDiv(div *html.Node) {
	blocks, words := false, false
	for c := range div.ChildNodes() {
		switch {
		case c.Type == html.ElementNode && blockElements[c.Data] && c.DataAtom != atom.Br:
			blocks = true
		case c.Type == html.ElementNode, strings.Trim(c.Data, indent) != "":
			words = true
		}
	}
	switch {
	case !blocks:
		div.DataAtom, div.Data = atom.P, "p"
	case !words:
		lift(div)
	}
}

var emptiable = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.B: true, atom.Strong: true, atom.I: true, atom.Em: true, atom.U: true,
	atom.S: true, atom.A: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true,
	atom.H6: true, atom.Li: true, atom.Ul: true, atom.Ol: true, atom.Blockquote: true, atom.Small: true,
	atom.Sub: true, atom.Sup: true, atom.Ins: true, atom.Del: true, atom.Code: true, atom.Table: true,
	atom.Tbody: true, atom.Tr: true,
}

// trimIndent drops the white space at both ends of a block, through the inline elements that wrap it.
func trimIndent(block *html.Node) {
	for n := block.FirstChild; n != nil; n = block.FirstChild {
		if n.Type == html.ElementNode && !blockElements[n.Data] && n.DataAtom != atom.Img {
			block = n
			continue
		}
		if n.Type != html.TextNode {
			break
		}
		if n.Data = trimMarks(strings.TrimLeft(n.Data, indent)); n.Data != "" {
			break
		}
		n.Parent.RemoveChild(n)
	}
	for n := block.LastChild; n != nil && n.Type == html.TextNode; n = block.LastChild {
		if n.Data = strings.TrimRight(n.Data, indent); n.Data != "" {
			break
		}
		n.Parent.RemoveChild(n)
	}
}

const indent = " \t\r\n\u3000\u00a0\u2002\u2003\u200b\ufeff"
