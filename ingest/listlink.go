package ingest

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// listLink is a link that may lead to an article.
type listLink struct {
	node       *html.Node
	item       *html.Node // what stands round it and belongs to it alone; nil while unknown
	url, canon string
	title      string
	date       string
	dateInside string // found in the link's own text, not beside it
}

// linksIn are the links in n and n itself, in the order of the document.
func (p *listPage) linksIn(n *html.Node) []*listLink {
	var links []*listLink
	add := func(n *html.Node) {
		if len(links) == maxCandidates || !isLink(n) {
			return
		}
		u, canon, ok := p.target(n)
		if !ok {
			return
		}
		l := &listLink{node: n, url: u, canon: canon}
		l.title, l.dateInside = linkTitle(n, p.opts.Now)
		links = append(links, l)
	}
	add(n)
	for d := range n.Descendants() {
		add(d)
	}
	return links
}

// maxCandidates bounds the links of a page that are looked at, which only hostile pages exceed.
const maxCandidates = 3000

// isLink reports whether n is a link, or an element that a script makes one and that holds none.
func isLink(n *html.Node) bool {
	if n.Type != html.ElementNode || n.Data == "a" {
		return n.Type == html.ElementNode
	}
	if attr(n.Attr, "onclick") == "" {
		return false
	}
	for d := range n.Descendants() {
		href := attr(d.Attr, "href")
		if attr(d.Attr, "onclick") != "" || href != "" && !strings.HasPrefix(href, "#") && !strings.HasPrefix(href, "javascript:") {
			return false
		}
	}
	return true
}

var (
	opensPage   = regexp.MustCompile(`(?i)open|location|href|url|go|detail|show|view`)
	quotedPlace = regexp.MustCompile(`['"]((?:https?:)?//[^'"\s]+|\.{0,2}/[^'"\s]+|[^'"\s]+\.(?:s?html?|jsp|php|aspx?)(?:\?[^'"\s]*)?|\?[^'"\s]+)['"]`)
	// What is linked in lists and is no page.
	notPage = regexp.MustCompile(`(?i)\.(?:jpe?g|png|gif|bmp|webp|svg|mp[34]|avi|flv|wmv|mov|txt|xml|css|js|exe|apk|7z|tar|gz|tif)$`)
)

// target is where a link leads: its href, or the place that its script opens. It answers false for what leads to no
// other page.
func (p *listPage) target(n *html.Node) (abs, canon string, ok bool) {
	refs := []string{attr(n.Attr, "href")}
	for _, script := range []string{refs[0], attr(n.Attr, "onclick")} {
		if m := quotedPlace.FindStringSubmatch(script); m != nil && opensPage.MatchString(script) {
			refs = append(refs, m[1])
		}
	}
	for _, ref := range refs {
		if ref = trimSpace(ref); ref == "" || strings.HasPrefix(ref, "#") && !strings.HasPrefix(ref, "#/") && !strings.HasPrefix(ref, "#!") {
			continue
		}
		abs, ok := resolveURL(p.base, ref)
		if !ok {
			continue
		}
		canon, ok := CanonicalURL(abs)
		ext := fileExt(abs)
		if ok && canon != p.own && fileTypes[ext] == "" && !notPage.MatchString("."+ext) {
			return abs, canon, true
		}
	}
	return "", "", false
}

const bullets = " \t\u00a0\u3000·•・‧●■◆▪▶►»›>*○□☆★√-–—|"

// linkTitle is the title that a link shows, without bullets and without a date beside it, which it returns apart. Where
// the text is cut off, the title attribute has it whole.
func linkTitle(n *html.Node, now time.Time) (title, date string) {
	text := ""
	if h := headingIn(n); h != nil {
		text = line(nodeText(h))
	}
	for _, l := range textLines(linkText(n, now)) {
		l = line(l)
		rest, found := cutDate(l, now)
		date = first(date, found)
		if rest = strings.Trim(rest, bullets); text == "" && !generic(rest) {
			text = rest
		}
	}
	text = strings.TrimRight(strings.TrimLeft(text, bullets), " |")
	whole := titleAttribute(n)
	switch short := squeeze(uncut(text)); {
	case whole == "":
	case text == "", isCut(text) && !isCut(whole), strings.HasPrefix(squeeze(whole), short) && short != "":
		text = whole
	}
	if text == "" {
		text = imageText(n)
	}
	return truncate(text, maxTitle), date
}

// linkText is the text of a link with its dates on lines of their own.
func linkText(n *html.Node, now time.Time) string {
	var text strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		for c := range n.ChildNodes() {
			const longest = 100 // bytes of an element that is a date
			switch {
			case c.Type == html.ElementNode && dropped[c.Data]:
			case c.Data == "time" && attr(c.Attr, "datetime") != "":
				text.WriteString("\n" + attr(c.Attr, "datetime") + "\n")
			case c.Type == html.ElementNode && (c.Data == "br" || blockElements[c.Data]):
				text.WriteString("\n")
				walk(c)
				text.WriteString("\n")
			case c.Type == html.ElementNode:
				if t := headText(c, longest); len(t) < longest {
					if rest, date := cutDate(line(t), now); rest == "" && date != "" {
						text.WriteString("\n" + t + "\n")
						continue
					}
				}
				walk(c)
			case c.Type == html.TextNode:
				text.WriteString(lineSpace.Replace(c.Data))
			}
		}
	}
	walk(n)
	return text.String()
}

// headingIn is the element inside a link that a card of several lines has for its title.
func headingIn(n *html.Node) *html.Node {
	for d := range n.Descendants() {
		if d.Type != html.ElementNode {
			continue
		}
		class := strings.ToLower(attr(d.Attr, "class"))
		if len(d.Data) == 2 && d.Data[0] == 'h' && d.Data[1] >= '1' && d.Data[1] <= '6' || strings.Contains(class, "title") || class == "tit" || class == "bt" {
			if han(nodeText(d)) >= 4 {
				return d
			}
		}
	}
	return nil
}

// Old templates show more than the title in its attribute: 文章标题：… 作者：… 更新时间：…, a line each.
var attributeTitle = regexp.MustCompile(`^(?:文章|新闻|信息)?标\s*题\s*[:：]\s*`)

func titleAttribute(n *html.Node) string {
	raw := attr(n.Attr, "title")
	for d := range n.Descendants() {
		if raw == "" && d.Type == html.ElementNode && d.Data != "img" {
			raw = attr(d.Attr, "title")
		}
	}
	head, _, _ := strings.Cut(strings.ReplaceAll(trimSpace(raw), "\r", "\n"), "\n")
	return line(attributeTitle.ReplaceAllString(head, ""))
}

func imageText(n *html.Node) string {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == "img" {
			if t := line(first(attr(d.Attr, "alt"), attr(d.Attr, "title"))); !generic(t) {
				return t
			}
		}
	}
	return ""
}

var (
	cutEnd       = regexp.MustCompile(`(?:…|\.{2,}|．{2,}|。{2,}|·{3,})\s*$`)
	genericTitle = regexp.MustCompile(`^[\[【(<]*(?:查看|阅读|更多|详情|详细|点击|进入|全文|more|read|view|detail)(?:更多|全文|详情|详细|内容|查看|阅读|进入|more)*[\]】)>+.…]*$`)
)

func isCut(title string) bool   { return cutEnd.MatchString(title) }
func uncut(title string) string { return strings.TrimSpace(cutEnd.ReplaceAllString(title, "")) }
func generic(title string) bool { s := squeeze(title); return s == "" || genericTitle.MatchString(s) }
func wordy(title string) bool {
	return han(title) >= 6 || han(title) == 0 && len(strings.Fields(title)) >= 4
}
func betterTitle(a, b string) bool {
	switch {
	case generic(a):
		return false
	case generic(b):
		return true
	case isCut(b):
		return strings.HasPrefix(squeeze(a), squeeze(uncut(b)))
	}
	return false
}

func wordyLinks(links []*listLink) []*listLink {
	var long []*listLink
	for _, l := range links {
		if wordy(l.title) {
			long = append(long, l)
		}
	}
	return long
}

// date finds the date of each link: in its item, on its line, or in its text. rivals are further links, whose dates
// must not be taken.
func (p *listPage) date(links, rivals []*listLink) {
	alone := map[*html.Node]string{} // the one address in a node, or "" for several
	for _, set := range [][]*listLink{links, rivals} {
		for _, l := range set {
			for a := l.node; a != nil; a = a.Parent {
				if canon, known := alone[a]; known && canon != l.canon {
					alone[a] = ""
				} else {
					alone[a] = l.canon
				}
			}
		}
	}
	for _, l := range links {
		if l.item == nil {
			l.item = l.node
			for range 5 {
				up := l.item.Parent
				if up == nil || up.Data == "body" || alone[up] != l.canon || utf8.RuneCountInString(nodeText(up)) > 600 {
					break
				}
				l.item = up
			}
		}
		l.date = first(dateIn(beside(l.item, l.node), p.opts.Now), l.dateInside, dateIn(lineRound(l.item), p.opts.Now))
	}
}

// beside is the text of an item without that of its link. Dates that scripts read stand in time elements.
func beside(item, link *html.Node) string {
	var text strings.Builder
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		switch {
		case n == link:
			return
		case n.Type == html.ElementNode && n.Data == "time" && attr(n.Attr, "datetime") != "":
			text.WriteString(" " + attr(n.Attr, "datetime") + " ")
			return
		case n.Type == html.TextNode:
			text.WriteString(n.Data)
			return
		case n.Type != html.ElementNode || dropped[n.Data]:
			return
		}
		text.WriteByte(' ')
		for c := range n.ChildNodes() {
			walk(c)
		}
		text.WriteByte(' ')
	}
	walk(item)
	return oneLine(text.String())
}

// lineRound is the text on the line of n, where items have no element of their own: up to a line break, a block or
// another link on either side. A term of a definition list goes with its definition.
func lineRound(n *html.Node) string {
	ends := func(s *html.Node) bool {
		if s.Type != html.ElementNode {
			return false
		}
		if s.Data == "dd" {
			return n.Data != "dt"
		}
		if s.Data == "a" || blockElements[s.Data] {
			return true
		}
		for d := range s.Descendants() {
			if d.Data == "a" {
				return true
			}
		}
		return false
	}
	before, after := "", ""
	for s := n.PrevSibling; s != nil && n.Data != "dt" && !ends(s); s = s.PrevSibling {
		before = nodeText(s) + " " + before
	}
	for s := n.NextSibling; s != nil && !ends(s); s = s.NextSibling {
		after += " " + nodeText(s)
	}
	return oneLine(before + "  " + after)
}
