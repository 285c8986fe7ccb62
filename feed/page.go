package feed

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

// page is a document with every field cleaned and decided: what the three formats only spell differently.
type page struct {
	site     Site
	doc      Document // for what needs no cleaning
	slug     string   // empty: all zones
	id       string
	name     string // of the zone, or of the site
	title    string
	subtitle string
	lang     string
	updated  time.Time // not before that of any item
	next     int64     // the next page begins before this change; 0 = there is none
	prev     string    // address of the archive before; empty = none
	items    []item
}

type item struct {
	article int64
	change  int64
	updated time.Time // unlike that of any other item
	known   bool      // its pieces are known: the rest is empty

	id, link   string
	title      string
	summary    string
	body       string // HTML, never empty
	lang       string // empty: that of the page
	author     string // never empty
	categories []string
	published  time.Time
	image      string
	files      []file
	origin     *origin // in a feed over all zones

	source    string
	precision zonewire.Precision
}

type file struct {
	url, name, mediaType string
	length               int64 // 0 = unknown
}

// origin is the feed of its zone that an item of the feed over all zones is also in.
type origin struct {
	id, slug, title string
}

// self is the address of this very document in a format.
func (p *page) self(f Format) string {
	if p.archive() {
		return p.site.BaseURL + ArchivePath(p.slug, p.doc.Month, p.doc.Part)
	}
	return p.site.BaseURL + Path(p.slug, f) + p.doc.View.Query()
}

// older is the address of the page after this one, or nothing on the last.
func (p *page) older(f Format) string {
	if p.next == 0 {
		return ""
	}
	view := p.doc.View
	view.Before = p.next
	return p.site.BaseURL + Path(p.slug, f) + view.Query()
}

// newer is the address of the archive after this one. While the month runs its last part is the newest there is.
func (p *page) newer() string {
	switch {
	case p.archive() && p.doc.Part < p.doc.Parts:
		return p.site.BaseURL + ArchivePath(p.slug, p.doc.Month, p.doc.Part+1)
	case p.archive() && p.doc.Over:
		return p.site.BaseURL + ArchivePath(p.slug, p.doc.Month.Next(), 1)
	}
	return ""
}

func (p *page) home() string  { return p.site.page(p.slug) }
func (p *page) archive() bool { return p.doc.Month != 0 }

// first reports whether this is the document that readers subscribe to: neither a view nor an archive.
func (p *page) first() bool { return p.doc.View == View{} && !p.archive() }

// hubs are the hubs that tell of changes: there are none for views and archives.
func (p *page) hubs() []string {
	if p.first() {
		return p.site.Hubs
	}
	return nil
}

func newPage(site Site, doc Document, known []*rendered) *page {
	p := &page{site: site, doc: doc, id: site.FeedID(0), name: line(site.Title, maxTitle), lang: site.Language}
	if z := doc.Zone; z != nil {
		p.slug, p.id, p.lang = z.Slug, site.FeedID(z.ID), site.zoneLanguage(*z)
		p.name = zoneTitle(*z, p.lang)
		p.subtitle = line(strings.Join([]string{z.Province, z.City, p.name}, " "), maxTitle)
	}
	if p.name == "" {
		p.name = site.Authority
	}
	if p.subtitle == "" {
		p.subtitle = p.name
	}
	p.setView()
	switch {
	case doc.Month != 0 && doc.Part > 1:
		p.prev = site.BaseURL + ArchivePath(p.slug, doc.Month, doc.Part-1)
	case p.archive() || p.first():
		p.prev = doc.Prev
	}
	p.updated = opened(site, doc)
	for _, a := range doc.Articles {
		p.push(updatedAt(a))
	}
	for _, d := range doc.Gone {
		p.push(d.At)
	}
	p.push(doc.Updated)
	p.setItems(known)
	return p
}

func (p *page) push(t time.Time) {
	if t.After(p.updated) {
		p.updated = t
	}
}

// setItems takes the articles that the document has room for by their number. An archive has no such bound: what it
// left out would stand nowhere.
func (p *page) setItems(known []*rendered) {
	room := p.site.MaxItems
	if limit := p.doc.View.Limit; limit > 0 {
		room = min(room, limit)
	}
	if p.archive() {
		room = len(p.doc.Articles)
	}
	for _, a := range p.doc.Articles {
		switch {
		case !a.Withdrawn.IsZero():
		case len(p.items) == room:
			p.doc.More = true
			return
		case knows(known, a.ID, a.Change):
			p.items = append(p.items, item{article: a.ID, change: a.Change, updated: updatedAt(a), known: true})
		default:
			p.items = append(p.items, p.newItem(a))
		}
	}
}

// setView tells a view from the feed: another selection is another feed, with an id and a title of its own, while pages
// and archives are parts of the same one (RFC 5005). How many parts a month has does not show, for that grows.
func (p *page) setView() {
	v := p.doc.View
	names := []string{p.name, v.Category, v.Province, v.City}
	if v.Text != "" {
		names = append(names, "“"+v.Text+"”")
	}
	if p.archive() {
		names = append(names, p.doc.Month.String())
		if p.doc.Part > 1 {
			names = append(names, strconv.Itoa(p.doc.Part))
		}
	}
	names = slices.DeleteFunc(names, func(s string) bool { return s == "" })
	p.title = line(strings.Join(names, " · "), maxTitle)
	p.id += View{Category: v.Category, Text: v.Text, Province: v.Province, City: v.City}.Query()
}

// opened is the date of a feed that never had an article: when its zone was added, for Atom must have one and no clock
// may give it. Zones do not date the feed over all of them, which does not change when one is added.
func opened(site Site, doc Document) time.Time {
	at := time.Date(max(site.Year, 1990), time.January, 1, 0, 0, 0, 0, time.UTC)
	if doc.Zone != nil && doc.Zone.Created.After(at) {
		at = doc.Zone.Created
	}
	if doc.Month != 0 && doc.Month.Start().After(at) {
		at = doc.Month.Start()
	}
	return at
}

func (p *page) newItem(a zonewire.Article) item {
	it := item{
		article:   a.ID,
		change:    a.Change,
		id:        p.site.ItemID(a.ID),
		link:      webAddress(a.URL, nil),
		title:     line(a.Title, maxTitle),
		summary:   line(a.Summary, maxSummary),
		lang:      language(a.Language),
		author:    line(a.Author, maxName),
		source:    line(a.Source, maxName),
		image:     webAddress(a.Image, nil),
		published: publishedAt(a),
		updated:   updatedAt(a),
		precision: a.Precision,
	}
	if it.lang == p.lang {
		it.lang = ""
	}
	if !it.published.Equal(a.Published) {
		it.precision = "" // it is not the portal's date
	}
	base, _ := url.Parse(it.link) // what we have written parses; the empty one is no base
	if it.link == "" {
		base = nil
		it.link = p.site.BaseURL + "/articles/" + strconv.FormatInt(a.ID, 10)
	}
	p.setText(&it, a, base)
	if category := line(a.Category, maxName); category != "" {
		it.categories = append(it.categories, category)
	}
	zoneName := p.name
	if p.doc.Zone == nil {
		if z, ok := p.doc.Zones[a.ZoneID]; ok {
			zoneName = zoneTitle(z, p.lang)
			if !slices.Contains(it.categories, zoneName) {
				it.categories = append(it.categories, zoneName)
			}
			if z.Closed.IsZero() { // a closed zone has no feed to name
				it.origin = &origin{id: p.site.FeedID(z.ID), slug: z.Slug, title: zoneName}
			}
		}
	}
	for _, name := range []string{it.source, zoneName} {
		if it.author == "" {
			it.author = name
		}
	}
	for _, f := range a.Attachments {
		address := webAddress(f.URL, base)
		known := func(g file) bool { return g.url == address }
		if f.URL == "" || address == "" || slices.ContainsFunc(it.files, known) {
			continue
		}
		it.files = append(it.files, file{address, line(f.Name, maxName), fileType(f.Type, address), max(f.Length, 0)})
	}
	return it
}

// setText fills title, summary and body, each out of the others where it is missing: a reader shows an item without a
// title as a blank line, and Atom wants some content.
func (p *page) setText(it *item, a zonewire.Article, base *url.URL) {
	// One huge article would push all others out of the feed. It is read behind its link.
	it.body = cleanBody(a.ContentHTML, base, p.site.MaxBytes/4)
	if it.summary == "" {
		text := it.body
		if text == "" {
			text = a.ContentHTML
		}
		it.summary = line(excerpt(text, maxExcerpt), maxSummary)
	}
	if it.title == "" {
		it.title = zonewire.Shorten(it.summary, 60)
	}
	if it.title == "" {
		it.title = it.link
	}
	if it.summary == "" {
		it.summary = it.title
	}
	if it.body == "" {
		it.body = "<p>" + escapeText.Replace(it.summary) + "</p>"
	}
}

// The oldest date and the furthest future one that validators and readers take seriously.
var (
	earliest = time.Date(1990, time.January, 2, 0, 0, 0, 0, time.UTC)
	leeway   = 10 * time.Minute
)

// publishedAt is the date to show. One that lies after the article's last change, or before there were feeds, is a
// portal's slip: some readers would keep the item on top for years, or hide it. The store keeps the original. The
// article's own times are what it is held against, so that it does not change when another article comes.
func publishedAt(a zonewire.Article) time.Time {
	changed := updatedAt(a)
	for _, t := range []time.Time{inOffset(a.Published), a.Received.UTC()} {
		if t.After(earliest) && !t.After(changed.Add(leeway)) {
			return t
		}
	}
	return changed
}

// updatedAt is when the article last changed, in milliseconds, and its id in the digits behind: an import or a correction
// stores many articles in one instant, and validators and readers want the dates of a feed to differ. The id never
// changes, and any two articles within a million of each other differ.
func updatedAt(a zonewire.Article) time.Time {
	t := a.Updated
	if t.Before(earliest) {
		t = a.Received
	}
	if t.Before(earliest) {
		t = earliest
	}
	return t.UTC().Truncate(time.Millisecond).Add(time.Duration(a.ID % 1e6))
}

// inOffset keeps the offset that the publisher gave, for a date without a time is another day elsewhere. The machine's
// own zone never shows: bytes must not depend on it. RFC 822 dates know half hours only.
func inOffset(t time.Time) time.Time {
	_, offset := t.Zone()
	switch {
	case t.Location() == time.Local && t.Location() != time.UTC:
		return t.In(zonewire.Shanghai)
	case offset%1800 != 0:
		return t.UTC()
	}
	return t
}

// Dates as the formats spell them.
func rfc822(t time.Time) string { return t.Format(time.RFC1123Z) }

// rfc3339 writes no fraction of a published date, and all digits of an instant, so that instants sort as text.
func rfc3339(t time.Time) string { return t.Format(time.RFC3339) }

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
