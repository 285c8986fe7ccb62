package ingest

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// How the list is found in a page whose operator gave no selector. Every link of the page is a candidate, unless it is
// in a part that is never the list. Links that sit in the same place (the same path of elements and classes) are a
// group. The groups are judged by what tells news from menus: long titles, dates beside them, numbers in the address.

// linkGroup is links that sit in the same place.
type linkGroup struct {
	links []*listLink
	dated int // links with a date
	score int
}

// found are the entries of the most likely group.
func (p *listPage) found() []Entry {
	body := firstNode(p.doc.Find("body"))
	if body == nil {
		return nil
	}
	var all []*listLink
	for _, l := range p.linksIn(body) {
		if !inChrome(l.node) {
			all = append(all, l)
		}
	}
	long := wordyLinks(all)
	p.date(long, nil)
	best := bestGroup(long)
	if best == nil {
		return nil
	}
	return entriesOf(p.completed(best, all, long))
}

// bestGroup is nil where no group can be a list: fewer than two links, unless the one has both a date and the address
// of an article.
func bestGroup(links []*listLink) *linkGroup {
	groups := map[string]*linkGroup{}
	var order []*linkGroup
	for _, l := range links {
		key := pathOf(l.node)
		g := groups[key]
		if g == nil {
			g = &linkGroup{}
			groups[key] = g
			order = append(order, g)
		}
		g.links = append(g.links, l)
		g.score++
		if l.date != "" {
			g.dated++
			g.score += 2
		}
		if articleLike(l.canon) {
			g.score++
		}
	}
	var best *linkGroup
	for _, g := range order {
		if len(entriesOf(g.links)) < 2 && g.score < 4 {
			continue
		}
		if best == nil || g.better(best) {
			best = g
		}
	}
	return best
}

// better reports whether g is more likely the list than other: dated links before undated, then the sum of the signs.
func (g *linkGroup) better(other *linkGroup) bool {
	if g.isDated() != other.isDated() {
		return g.isDated()
	}
	return g.score > other.score
}

func (g *linkGroup) isDated() bool { return g.dated*10 >= len(g.links)*6 }

// completed adds what belongs to the list and differs from its group: the headline that is set apart above it, and
// short titles. It leaves out members that are strangers to the others.
func (p *listPage) completed(g *linkGroup, all, long []*listLink) []*listLink {
	shapes := map[string]int{}
	paths := map[string]bool{}
	for _, l := range g.links {
		paths[pathOf(l.node)] = true
		if l.date != "" || !g.isDated() {
			shapes[addressShape(l.canon)]++
		}
	}
	alike := func(l *listLink) bool { return shapes[addressShape(l.canon)]*4 >= len(g.links) }
	scope := commonAncestor(g.links)
	if scope.Data != "body" && scope.Parent != nil && scope.Parent.Data != "body" {
		scope = scope.Parent
	}
	var short []*listLink
	for _, l := range all {
		if !wordy(l.title) && !generic(l.title) && han(l.title) >= 3 && paths[pathOf(l.node)] && alike(l) {
			short = append(short, l)
		}
	}
	p.date(short, long)
	var kept []*listLink
	for _, l := range all {
		member := paths[pathOf(l.node)]
		switch {
		case member && wordy(l.title):
			member = !g.isDated() || l.date != "" || alike(l)
		case member:
			member = slices.Contains(short, l) && (!g.isDated() || l.date != "")
		case wordy(l.title):
			member = alike(l) && isInside(l.node, scope) && scope.Data != "body" && (!g.isDated() || l.date != "")
		}
		if member {
			kept = append(kept, l)
		}
	}
	return kept
}

func commonAncestor(links []*listLink) *html.Node {
	for a := links[0].node.Parent; a != nil; a = a.Parent {
		if a.Data == "body" || !slices.ContainsFunc(links, func(l *listLink) bool { return !isInside(l.node, a) }) {
			return a
		}
	}
	return links[0].node
}

func isInside(n, ancestor *html.Node) bool {
	for a := range n.Ancestors() {
		if a == ancestor {
			return true
		}
	}
	return false
}

var (
	digitsRun = regexp.MustCompile(`\d+`)
	hexRun    = regexp.MustCompile(`[0-9a-f]{8,}(?:-[0-9a-f]{4,}){0,4}`)
	// What differs between the items of one list.
	itemState = regexp.MustCompile(`^(?:odd|even|on|active|current|cur|first|last|hover|new|hot|line|li|item|clearfix)?[-_]?#?$`)
)

// pathOf is the path of elements and classes that leads to a node, without what differs between the items of one list.
func pathOf(n *html.Node) string {
	var path strings.Builder
	for ; n != nil && n.Data != "body"; n = n.Parent {
		if n.Data == "tbody" {
			continue
		}
		path.WriteString(n.Data)
		for c := range strings.FieldsSeq(strings.ToLower(attr(n.Attr, "class"))) {
			if c = digitsRun.ReplaceAllString(c, "#"); !itemState.MatchString(c) {
				path.WriteString("." + c)
			}
		}
		path.WriteByte(' ')
	}
	return path.String()
}

// addressShape is an address with its numbers taken out: the articles of one column share it.
func addressShape(canon string) string {
	head, query, _ := strings.Cut(canon, "?")
	shape := digitsRun.ReplaceAllString(hexRun.ReplaceAllString(head, "#"), "#")
	for part := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(part, "=")
		shape += "&" + key
	}
	return shape
}

var (
	articleAddress = regexp.MustCompile(`(?i)\d{3,}[^/]*$|/\d{4}[-/]?\d{1,2}|/t\d{8}_|[?&]\w*id=\w+|[0-9a-f]{16,}`)
	columnAddress  = regexp.MustCompile(`(?i)/(?:index|list|default)?(?:[-_]\d+)?(?:\.\w+)?$`)
)

// articleLike reports whether an address has the shape of an article's, which is numbered or dated, and not of a
// column's, which is a folder or an index.
func articleLike(canon string) bool {
	return articleAddress.MatchString(canon) && !columnAddress.MatchString(canon)
}

var chromeNames = regexp.MustCompile(`^(?:.*nav(?:bar|igation)?|.*menu|.*footer|foot|bottom|.*crumbs?|weizhi|dqwz|fenye|pag(?:er|es|ebar|ing|ination|ination.*)|copyright|friend-?links?|flink|yqlj|topbar|toolbar|login|search(?:-?(?:box|bar|form))?)$`)

// inChrome reports whether a node is in a part of the page that is never its list: menus, breadcrumbs, paging, footer.
func inChrome(n *html.Node) bool {
	for ; n != nil && n.Data != "body"; n = n.Parent {
		switch n.Data {
		case "nav", "footer", "select", "marquee":
			return true
		}
		for _, key := range []string{"class", "id"} {
			for name := range strings.FieldsSeq(strings.ToLower(attr(n.Attr, key))) {
				if chromeNames.MatchString(strings.Trim(name, "0123456789-_")) {
					return true
				}
			}
		}
	}
	return false
}
