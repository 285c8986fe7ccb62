package ingest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mmcdole/gofeed/atom"
	"github.com/mmcdole/gofeed/rss"

	"zonewire"
)

// readXMLFeed reads RSS and Atom. The library knows the dialects; what it leaves out, and what it changes, is read beside
// it from the same document.
func readXMLFeed(text string, limit int, opts Options) (FeedDoc, []feedItem, error) {
	cut, err := cutFeed(text, limit)
	if err != nil {
		return FeedDoc{}, nil, err
	}
	if cut.cut && len(cut.items) == 0 {
		return FeedDoc{}, nil, zonewire.Invalidf("the feed breaks off before its first item is whole")
	}
	doc, place := readHead(cut, opts)
	doc.Left = cut.left
	if cut.cut {
		doc.Warnings = append(doc.Warnings, "the feed breaks off: only its whole items are read")
	}
	var items []feedItem
	unpublished := 0
	for _, raw := range cut.items {
		it, what := readItem(cut.root, raw, place)
		switch what {
		case notAnItem:
		case notPublished:
			unpublished++
		default:
			items = append(items, it)
		}
	}
	if unpublished > 0 {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("%d items of the export are drafts, pages or files, and left out", unpublished))
	}
	return doc, items, nil
}

// feedPlace is what items inherit from the feed.
type feedPlace struct {
	base     *url.URL // what their links are relative to
	explicit bool     // by xml:base, which then goes before the item's own address
	language string
	now      time.Time
}

// readHead reads what the feed says of itself. If that cannot be parsed, its items still can.
func readHead(cut xmlFeed, opts Options) (FeedDoc, feedPlace) {
	place := feedPlace{base: within(nil, opts.URL), now: opts.Now}
	doc, err := FeedDoc{}, error(nil)
	if cut.root == "feed" {
		doc, place.language, err = atomHead(cut.head)
	} else {
		doc, place.language, err = rssHead(cut.head)
	}
	beside, besideErr := readBeside(cut.head)
	if err = errors.Join(err, besideErr); err != nil {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("what the feed says of itself cannot be parsed: %v", err))
	}
	place = place.inside(beside.Base).inside(beside.Channel.Base)
	place.language = feedLanguage(place.language)
	doc.Title = truncate(PlainText(doc.Title), maxTitle)
	doc.Link, doc.Self, doc.Hub = webAddress(place.base, doc.Link), webAddress(place.base, doc.Self), webAddress(place.base, doc.Hub)
	if place.explicit {
		return doc, place
	}
	// RFC 4287 section 2 takes the address of the document, where RSS says nothing and feeds mean the site's.
	site := within(nil, doc.Link)
	switch {
	case site != nil && (cut.root != "feed" || place.base == nil && doc.Self == ""):
		place.base = site
	case place.base == nil:
		place.base = within(nil, doc.Self)
	}
	return doc, place
}

func atomHead(head string) (doc FeedDoc, language string, err error) {
	f, err := (&atom.Parser{}).Parse(strings.NewReader(head))
	if err != nil {
		return doc, "", err
	}
	links := atomLinks(f.Links)
	doc = FeedDoc{Title: f.Title, Link: links.page(), Self: links.first("self"), Hub: links.first("hub"), Hints: syndication(f.Extensions)}
	return doc, f.Language, nil
}

func rssHead(head string) (doc FeedDoc, language string, err error) {
	f, err := (&rss.Parser{}).Parse(strings.NewReader(head))
	if err != nil {
		return doc, "", err
	}
	links := embeddedLinks(f.Extensions)
	doc = FeedDoc{Title: f.Title, Link: first(first(f.Links...), links.page()), Self: links.first("self"), Hub: links.first("hub"), Hints: rssHints(f)}
	return doc, first(f.Language, extension(f.Extensions, "dc", "language")), nil
}

// inside is the place in an element with that xml:base.
func (p feedPlace) inside(xmlBase string) feedPlace {
	if xmlBase != "" {
		p.base, p.explicit = within(p.base, xmlBase), true
	}
	return p
}

type itemKind int

const (
	anItem       itemKind = iota
	notAnItem             // an element of another vocabulary under that name
	notPublished          // a draft, a page or a picture in an export
)

// readItem reads one item.
func readItem(root string, raw xmlItem, place feedPlace) (feedItem, itemKind) {
	it := feedItem{line: raw.line, replaced: raw.replaced, err: raw.err}
	if it.err != nil {
		return it, anItem
	}
	doc := raw.around.document(raw.text)
	fail := func(err error) (feedItem, itemKind) {
		it.err = zonewire.Invalidf("the item cannot be parsed: %v", err)
		return it, anItem
	}
	beside, err := readBeside(doc)
	if err != nil {
		return fail(err)
	}
	extra := beside.item()
	place = place.inside(extra.Base)
	f := &it.fields
	if root == "feed" {
		parsed, err := (&atom.Parser{}).Parse(strings.NewReader(doc))
		if err != nil {
			return fail(err)
		}
		if len(parsed.Entries) == 0 {
			return it, notAnItem
		}
		*f = atomFields(parsed.Entries[0], extra, place)
	} else {
		parsed, err := (&rss.Parser{}).Parse(strings.NewReader(doc))
		if err != nil {
			return fail(err)
		}
		if len(parsed.Items) == 0 {
			return it, notAnItem
		}
		post := wordPressPost(parsed.Items[0])
		if post.hidden() {
			return it, notPublished
		}
		*f = rssFields(parsed.Items[0], extra, place)
		post.fill(f, place.now)
	}
	extra.labels(f, place.now)
	f.url = absolute(place.base, f.url)
	f.language = first(f.language, feedLanguage(extra.Lang), place.language)
	body := place.base
	if !place.explicit {
		body = within(body, f.url)
	}
	if body = within(body, extra.contentBase()); body != nil {
		f.base = body.String()
	}
	return it, anItem
}

// besideItem is what the library does not give of an item, or only changed.
type besideItem struct {
	Base     string        `xml:"base,attr"`
	Lang     string        `xml:"lang,attr"`
	About    string        `xml:"about,attr"` // of RDF: the address
	Children []besideChild `xml:",any"`
}

type besideChild struct {
	XMLName xml.Name
	Base    string `xml:"base,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type besideFeed struct {
	Base    string `xml:"base,attr"`
	Channel struct {
		Base  string       `xml:"base,attr"`
		Items []besideItem `xml:"item"`
	} `xml:"channel"`
	Items   []besideItem `xml:"item"`
	Entries []besideItem `xml:"entry"`
}

func readBeside(doc string) (besideFeed, error) {
	var f besideFeed
	dec := xml.NewDecoder(strings.NewReader(doc))
	dec.Strict = false
	err := dec.Decode(&f)
	return f, err
}

// item is the one item of a document that holds one.
func (f besideFeed) item() besideItem {
	for _, items := range [][]besideItem{f.Channel.Items, f.Items, f.Entries} {
		if len(items) > 0 {
			return items[0]
		}
	}
	return besideItem{}
}

// child is the first child of that name, in Atom's name space or in none.
func (it besideItem) child(name string) besideChild {
	for _, c := range it.Children {
		space := c.XMLName.Space
		if c.XMLName.Local == name && (space == "" || strings.HasPrefix(space, "http://www.w3.org/2005/Atom") || strings.HasPrefix(space, "http://purl.org/atom/")) {
			return c
		}
	}
	return besideChild{}
}

func (it besideItem) contentBase() string {
	return first(it.child("content").Base, it.child("summary").Base)
}

// labels takes the elements that portals call by their labels, as <来源> and <发布开发区>, which are no part of any format.
func (it besideItem) labels(f *fields, now time.Time) {
	for _, c := range it.Children {
		text := trimSpace(c.Text)
		if text == "" {
			continue
		}
		switch labelNames[c.XMLName.Local] {
		case "source":
			f.source = text
		case "author":
			f.author = text
		case "zone":
			f.zone = text
		case "published":
			f.published = likelyDate(now, f.published, text)
		}
	}
}
