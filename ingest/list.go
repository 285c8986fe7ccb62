package ingest

import (
	"net/url"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"

	"zonewire"
)

// maxEntries is how many links of one list page are looked at.
const maxEntries = 200

// Entry is a link of a list page to an article.
type Entry struct {
	URL   string
	Canon string // see [CanonicalURL]
	Title string // perhaps cut off, and then with an ellipsis
	Date  string // as it stands beside the link, empty if it has none
}

// ListDoc is a list page read.
type ListDoc struct {
	Title   string
	Entries []Entry  // in the order of the page, each address once, at most 200
	Next    string   // address of the list's next page, if it has one
	Feeds   []string // feeds that the page offers
	Charset string
}

// ReadList reads a list page: one of HTML, or the JSON that a script of the page would ask for. With a list selector,
// the links are what it matches, or the first link inside what it matches. Without one, they are the group of links
// that looks most like a list of news: alike in place, long titles, dates beside them, addresses of articles.
//
// A page in which no list is found is a [zonewire.ErrInvalid], unless it says itself that it holds nothing yet; so are
// what is no text, a bad selector, and an error served as if it were none.
func ReadList(b []byte, opts Options) (ListDoc, error) {
	if len(b) > maxPage {
		return ListDoc{}, zonewire.Invalidf("the page is larger than %d MB", maxPage>>20)
	}
	selectors, err := compile(opts.Selectors)
	if err != nil {
		return ListDoc{}, err
	}
	text, err := DecodeAs(b, Charsets{HTTP: opts.HTTPCharset, Default: opts.Charset})
	if err != nil {
		return ListDoc{}, err
	}
	switch s := trimSpace(text.Text); {
	case s == "":
		return ListDoc{}, zonewire.Invalidf("the page is empty")
	case s[0] == '{' || s[0] == '[':
		list, err := readJSONList(s, opts)
		list.Charset = text.Charset
		return list, err
	}
	doc, err := parseDocument(text.Text)
	if err != nil {
		return ListDoc{}, err
	}
	if err := refusal(doc); err != nil {
		return ListDoc{}, err
	}
	unpackRecords(doc)
	p := newListPage(doc, opts)
	list := ListDoc{
		Title:   truncate(line(doc.Find("head title").First().Text()), maxTitle),
		Next:    p.next(text.Text),
		Feeds:   p.feeds(),
		Charset: text.Charset,
	}
	if _, given := selectors["list"]; given {
		list.Entries = p.selected(selectors.find(doc, "list").Nodes)
		if len(list.Entries) == 0 && !saysEmpty(doc) {
			return list, zonewire.Invalidf("list-selector %q matches no link to an article in the page", zonewire.Shorten(opts.Selectors.List, 100))
		}
		return list, nil
	}
	list.Entries = p.found()
	if len(list.Entries) == 0 && !saysEmpty(doc) {
		return list, zonewire.Invalidf("no list of articles is in the page: give a list-selector, or the address that the page's script asks for its list")
	}
	return list, nil
}

// saysEmpty reports whether the page says that nothing is in its list yet.
func saysEmpty(doc *goquery.Document) bool {
	text := squeeze(nodeText(firstNode(doc.Find("body"))))
	for _, phrase := range []string{"暂无数据", "暂无信息", "暂无内容", "暂无相关", "暂无记录", "没有相关信息", "没有找到相关"} {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// listPage is a list page while it is read.
type listPage struct {
	doc  *goquery.Document
	opts Options
	base *url.URL
	own  string // its own address, canonical
}

func newListPage(doc *goquery.Document, opts Options) *listPage {
	given, _ := parseURL(opts.URL)
	p := &listPage{doc: doc, opts: opts, base: documentBase(doc, given)}
	p.own, _ = CanonicalURL(opts.URL)
	return p
}

// unpackRecords puts the items of a Hanweb list where they belong. Its pages carry them as CDATA in a data island, from
// which a script makes the list.
func unpackRecords(doc *goquery.Document) {
	doc.Find(`script[type="text/xml"]`).Each(func(_ int, s *goquery.Selection) {
		var items strings.Builder
		for part := range strings.SplitSeq(s.Text(), "<![CDATA[") {
			if item, _, ok := strings.Cut(part, "]]>"); ok {
				items.WriteString(item)
			}
		}
		island := s.Nodes[0]
		nodes, err := parseFragment(items.String())
		if err != nil || island.Parent == nil {
			return // nested too deep to be a list
		}
		for _, n := range nodes {
			island.Parent.InsertBefore(n, island)
		}
	})
}

// entriesOf makes entries of links, each address once. Where two links lead to one article, as a picture and its
// headline do, the better title counts.
func entriesOf(links []*listLink) []Entry {
	var entries []Entry
	at := map[string]int{}
	for _, l := range links {
		i, again := at[l.canon]
		switch {
		case !again && len(entries) < maxEntries:
			at[l.canon] = len(entries)
			entries = append(entries, Entry{URL: l.url, Canon: l.canon, Title: l.title, Date: l.date})
		case again:
			e := &entries[i]
			if betterTitle(l.title, e.Title) {
				e.Title = l.title
			}
			e.Date = first(e.Date, l.date)
		}
	}
	return entries
}

// selected are the entries of what the list selector matches: links, items with a link inside, or by mistake the one
// element round all items.
func (p *listPage) selected(nodes []*html.Node) []Entry {
	nodes = outermost(nodes)
	var links []*listLink
	for _, n := range nodes {
		inside := p.linksIn(n)
		if len(inside) == 0 {
			continue
		}
		if len(nodes) == 1 {
			if long := wordyLinks(inside); len(long) > 1 {
				p.date(long, nil)
				return entriesOf(long)
			}
		}
		l := inside[0]
		for _, other := range inside { // a link to the column may stand before the article's
			if han(other.title) > han(l.title) {
				l = other
			}
		}
		if n != l.node {
			l.item = n
		}
		links = append(links, l)
	}
	p.date(links, nil)
	return entriesOf(links)
}
