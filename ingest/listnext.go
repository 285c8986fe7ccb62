package ingest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

var (
	nextText = regexp.MustCompile(`^[\[【(]?(?:下[一1]?[页頁]|后[一1]?页|next(?:page)?|>|›)[>›»→]*[\]】)]?$`)
	// TRS writes the paging by a script: pages in all, this one counted from 0, name and ending of the first.
	trsPaging = regexp.MustCompile(`createPageHTML\s*\(\s*(?:['"][^'"]*['"]\s*,\s*)?(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*['"]([\w-]{1,100})['"]\s*,\s*['"](\w{1,10})['"]`)
	pageNo    = regexp.MustCompile(`^[\[【(]?(\d{1,4})[\]】)]?$`)
)

// next is the address of the list's next page: by rel=next, by a link that says so, by the script of TRS, or by the
// link with the number that follows this page's.
func (p *listPage) next(text string) string {
	for _, n := range p.doc.Find("link[rel=next], a[rel=next]").Nodes {
		if u, ok := p.another(attr(n.Attr, "href")); ok {
			return u
		}
	}
	numbered := map[int]string{}
	for _, n := range p.doc.Find("a, [onclick]").Nodes {
		const longest = 60 // bytes of what a link of a paging says
		label := squeeze(first(headText(n, longest), attr(n.Attr, "title")))
		if nextText.MatchString(label) {
			if abs, _, ok := p.target(n); ok {
				if u, ok := p.another(abs); ok {
					return u
				}
			}
		}
		if m := pageNo.FindStringSubmatch(label); m != nil {
			p.number(numbered, number(m[1]), n)
		}
	}
	if m := trsPaging.FindStringSubmatch(text); m != nil {
		if all, this := number(m[1]), number(m[2]); this+1 < all {
			if u, ok := p.another(fmt.Sprintf("%s_%d.%s", m[3], this+1, m[4])); ok {
				return u
			}
		}
		return ""
	}
	return p.following(numbered)
}

// another resolves the address of a page that is not this one and on the same host.
func (p *listPage) another(ref string) (string, bool) {
	abs, ok := resolveURL(p.base, ref)
	canon, identifies := CanonicalURL(abs)
	if !ok || !identifies || canon == p.own || p.own != "" && hostOf(canon) != hostOf(p.own) {
		return "", false
	}
	return abs, true
}

func hostOf(canon string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(canon, "https://"), "/")
	return host
}

// number notes where a link with a page's number leads; "" for the page itself.
func (p *listPage) number(numbered map[int]string, n int, node *html.Node) {
	abs, _, ok := p.target(node)
	if _, known := numbered[n]; known {
		return
	}
	if !ok {
		numbered[n] = ""
		return
	}
	if u, ok := p.another(abs); ok {
		numbered[n] = u
	}
}

// ownNumber finds the number of a list page in its address: index_3.html, list_12_3.html, ?page=3.
var ownNumber = regexp.MustCompile(`(?i)[?&](?:page|pageno|pagenum|pageindex|p|cp)=(\d{1,4})(?:&|$)|[_-](\d{1,4})\.\w{2,5}$`)

// following is the link to the page after this one: after the number that leads to the page itself or nowhere, else
// after the first number that is no link, as most pagings show where one is.
func (p *listPage) following(numbered map[int]string) string {
	if len(numbered) == 0 {
		return ""
	}
	for n, u := range numbered {
		if u == "" {
			return numbered[n+1]
		}
	}
	this := 1
	for numbered[this] != "" {
		this++
	}
	if m := ownNumber.FindStringSubmatch(p.own); m != nil && this == 1 {
		if n, err := strconv.Atoi(m[1] + m[2]); err == nil && numbered[n+1] != "" {
			this = n
		}
	}
	return numbered[this+1]
}

var feedTypes = map[string]bool{"application/rss+xml": true, "application/atom+xml": true, "application/feed+json": true, "application/rdf+xml": true}

// feeds are the addresses of the feeds that the page offers, each once.
func (p *listPage) feeds() []string {
	const most = 20
	var found []string
	seen := map[string]bool{}
	for _, n := range p.doc.Find("link[rel][type][href]").Nodes {
		rel := strings.Fields(strings.ToLower(attr(n.Attr, "rel")))
		kind, _, _ := strings.Cut(strings.ToLower(attr(n.Attr, "type")), ";")
		if len(rel) == 0 || rel[0] != "alternate" || !feedTypes[strings.TrimSpace(kind)] {
			continue
		}
		if u, ok := resolveURL(p.base, attr(n.Attr, "href")); ok && !seen[u] && len(found) < most {
			seen[u] = true
			found = append(found, u)
		}
	}
	return found
}
