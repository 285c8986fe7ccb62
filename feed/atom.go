package feed

import (
	"encoding/xml"

	"github.com/gorilla/feeds"
)

type atomDoc struct {
	XMLName         xml.Name    `xml:"feed"`
	Lang            string      `xml:"xml:lang,attr"`
	Media           string      `xml:"xmlns:media,attr"`
	*feeds.AtomFeed             // its single Link stays empty
	Generator       string      `xml:"generator"`
	Links           []atomLink  `xml:"link"`
	Entries         []atomEntry `xml:"entry"`
}

// FeedXml hides the embedded method, which would leave out all that is added here.
func (d *atomDoc) FeedXml() interface{} { return d }

type atomLink struct {
	Rel    string `xml:"rel,attr"`
	Type   string `xml:"type,attr,omitempty"`
	Href   string `xml:"href,attr"`
	Title  string `xml:"title,attr,omitempty"`
	Length string `xml:"length,attr,omitempty"`
}

type atomEntry struct {
	Lang string `xml:"xml:lang,attr,omitempty"`
	*feeds.AtomEntry
	Link       []atomLink     `xml:"link"`
	Categories []atomCategory `xml:"category"`
	Source     *atomSource    `xml:"source"`
	Thumbnail  *mediaThumb    `xml:"media:thumbnail"`
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

// atomSource says which feed an entry is also in (RFC 4287 section 4.2.11). Its updated is that of the entry, the moment
// the zone's feed took it in, so that a new article leaves older entries as they are.
type atomSource struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
}

func (p *page) atom() ([]byte, error) {
	d := &atomDoc{
		Lang:  p.lang,
		Media: nsMedia,
		AtomFeed: &feeds.AtomFeed{
			Xmlns:    nsAtom,
			Title:    p.title,
			Subtitle: p.subtitle,
			Id:       p.id,
			Updated:  instant(p.updated),
		},
		Generator: generator,
		Links: []atomLink{
			{Rel: "self", Type: Atom.MediaType(), Href: p.self(Atom)},
			{Rel: "alternate", Type: "text/html", Href: p.home()},
			{Rel: "alternate", Type: RSS.MediaType(), Href: p.self(RSS)},
			{Rel: "alternate", Type: JSON.MediaType(), Href: p.self(JSON)},
		},
	}
	for _, hub := range p.site.Hubs {
		d.Links = append(d.Links, atomLink{Rel: "hub", Href: hub})
	}
	for _, it := range p.items {
		d.Entries = append(d.Entries, p.atomEntry(it))
	}
	text, err := feeds.ToXML(d)
	return []byte(text + "\n"), err
}

func (p *page) atomEntry(it item) atomEntry {
	x := atomEntry{
		Lang: it.lang,
		AtomEntry: &feeds.AtomEntry{
			Title:     it.title,
			Updated:   instant(it.updated),
			Id:        it.id,
			Published: rfc3339(it.published),
			Summary:   &feeds.AtomSummary{Content: it.summary, Type: "text"},
			Content:   &feeds.AtomContent{Content: it.body, Type: "html"},
			// Some readers do not inherit the author of the feed.
			Author: &feeds.AtomAuthor{AtomPerson: feeds.AtomPerson{Name: it.author}},
		},
		Link: []atomLink{{Rel: "alternate", Type: "text/html", Href: it.link}},
	}
	for _, f := range it.files {
		x.Link = append(x.Link, atomLink{Rel: "enclosure", Type: f.mediaType, Href: f.url, Title: f.name, Length: lengthText(f.length)})
	}
	for _, c := range it.categories {
		x.Categories = append(x.Categories, atomCategory{c})
	}
	if o := it.origin; o != nil {
		self := atomLink{Rel: "self", Type: Atom.MediaType(), Href: p.site.BaseURL + Path(o.slug, Atom)}
		x.Source = &atomSource{ID: o.id, Title: o.title, Updated: instant(it.updated), Link: self}
	}
	if it.image != "" {
		x.Thumbnail = &mediaThumb{it.image}
	}
	return x
}
