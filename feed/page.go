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
	slug     string // empty: all zones
	id       string
	title    string
	subtitle string
	lang     string
	updated  time.Time // not before that of any item
	items    []item
}

type item struct {
	id, link   string
	title      string
	summary    string
	body       string // HTML, never empty
	lang       string // empty: that of the page
	author     string // never empty
	categories []string
	published  time.Time
	updated    time.Time // unlike that of any other item
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

func (p *page) self(f Format) string { return p.site.BaseURL + Path(p.slug, f) }
func (p *page) home() string         { return p.site.page(p.slug) }

func newPage(site Site, doc Document) *page {
	p := &page{site: site, id: site.FeedID(0), title: line(site.Title, maxTitle), lang: site.Language, updated: doc.Updated}
	if z := doc.Zone; z != nil {
		p.slug, p.id, p.lang = z.Slug, site.FeedID(z.ID), site.zoneLanguage(*z)
		p.title = zoneTitle(*z, p.lang)
		p.subtitle = line(strings.Join([]string{z.Province, z.City, p.title}, " "), maxTitle)
	}
	if p.title == "" {
		p.title = site.Authority
	}
	if p.subtitle == "" {
		p.subtitle = p.title
	}
	for _, a := range doc.Articles {
		if a.Updated.After(p.updated) {
			p.updated = a.Updated
		}
	}
	if p.updated.IsZero() {
		p.updated = opened(site, doc)
	}
	newest := p.updated
	for _, a := range doc.Articles {
		if len(p.items) == site.MaxItems {
			break
		}
		if !a.Withdrawn.IsZero() {
			continue
		}
		it := p.newItem(a, doc, newest)
		if it.updated.After(p.updated) {
			p.updated = it.updated
		}
		p.items = append(p.items, it)
	}
	return p
}

// opened is the date of a feed that never had an article: when its zone was added, for Atom must have one and no clock
// may give it.
func opened(site Site, doc Document) time.Time {
	at := time.Date(max(site.Year, 1990), time.January, 1, 0, 0, 0, 0, time.UTC)
	if doc.Zone != nil && doc.Zone.Created.After(at) {
		at = doc.Zone.Created
	}
	for _, z := range doc.Zones {
		if z.Created.After(at) {
			at = z.Created
		}
	}
	return at
}

func (p *page) newItem(a zonewire.Article, doc Document, newest time.Time) item {
	it := item{
		id:        p.site.ItemID(a.ID),
		link:      webAddress(a.URL, nil),
		title:     line(a.Title, maxTitle),
		summary:   line(a.Summary, maxSummary),
		lang:      language(a.Language),
		author:    line(a.Author, maxName),
		source:    line(a.Source, maxName),
		image:     webAddress(a.Image, nil),
		published: publishedAt(a, newest),
		updated:   updatedAt(a, newest),
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
	zoneName := p.title
	if doc.Zone == nil {
		if z, ok := doc.Zones[a.ZoneID]; ok {
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
// article's own times are what it is held against, so that it does not change when another article comes; newest, the
// feed's last change, bounds them if they are none.
func publishedAt(a zonewire.Article, newest time.Time) time.Time {
	changed := updatedAt(a, newest)
	for _, t := range []time.Time{inOffset(a.Published), a.Received.UTC()} {
		if t.After(earliest) && !t.After(changed.Add(leeway)) {
			return t
		}
	}
	return changed
}

// updatedAt is when the article last changed, in milliseconds, and its id in the digits behind: an import stores many
// articles in one instant, and validators and readers want the dates of a feed to differ. The id never changes.
func updatedAt(a zonewire.Article, newest time.Time) time.Time {
	t := a.Updated
	if t.Before(earliest) {
		t = a.Received
	}
	if t.Before(earliest) {
		t = newest
	}
	return t.UTC().Truncate(time.Millisecond).Add(time.Duration(a.ID%1000) * time.Microsecond)
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

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
