package feed

import (
	"bytes"
	"encoding/xml"

	"github.com/gorilla/feeds"

	"zonewire"
)

// The namespaces that are declared only where they are used.
const (
	nsHistory   = "http://purl.org/syndication/history/1.0" // RFC 5005
	nsTombstone = "http://purl.org/atompub/tombstones/1.0"  // RFC 6721
)

type atomDoc struct {
	XMLName         xml.Name   `xml:"feed"`
	Lang            string     `xml:"xml:lang,attr"`
	DC              string     `xml:"xmlns:dc,attr"`
	Media           string     `xml:"xmlns:media,attr"`
	*feeds.AtomFeed            // its single Link stays empty
	Generator       string     `xml:"generator"`
	Links           []atomLink `xml:"link"`
	Archive         *archived  `xml:"fh:archive"`
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
	Publisher  string         `xml:"dc:publisher,omitempty"`
	Thumbnail  *mediaThumb    `xml:"media:thumbnail"`
}

// archived says that the document is one that readers need to fetch once only.
type archived struct {
	Space string `xml:"xmlns:fh,attr"`
}

// tombstone says that an entry is no more. It brings its namespace, for a validator warns of it.
type tombstone struct {
	XMLName xml.Name `xml:"at:deleted-entry"`
	Space   string   `xml:"xmlns:at,attr"`
	Ref     string   `xml:"ref,attr"`
	When    string   `xml:"when,attr"`
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

func (p *page) atomFrame() ([]byte, error) {
	d := &atomDoc{
		Lang:  p.lang,
		DC:    nsDC,
		Media: nsMedia,
		AtomFeed: &feeds.AtomFeed{
			Xmlns:    nsAtom,
			Title:    p.title,
			Subtitle: p.subtitle,
			Id:       p.id,
			Updated:  instant(p.updated),
		},
		Generator: generator,
	}
	link := func(rel, mediaType, href string) {
		if href != "" {
			d.Links = append(d.Links, atomLink{Rel: rel, Type: mediaType, Href: href})
		}
	}
	link("self", Atom.MediaType(), p.self(Atom))
	link("alternate", "text/html", p.home())
	if p.archive() {
		if newer := p.newer(); newer != "" { // else it grows, and whoever takes it for an archive would fetch it once
			d.Archive = &archived{nsHistory}
		}
		link("current", Atom.MediaType(), p.site.BaseURL+Path(p.slug, Atom))
	} else {
		link("alternate", RSS.MediaType(), p.self(RSS))
		link("alternate", JSON.MediaType(), p.self(JSON))
	}
	for _, hub := range p.hubs() {
		link("hub", "", hub)
	}
	link("next", Atom.MediaType(), p.older(Atom))
	link("prev-archive", Atom.MediaType(), p.prev)
	link("next-archive", Atom.MediaType(), p.newer())
	b, err := p.document(d)
	return plainly(b), err
}

// plainly spells every ampersand in a document as a hexadecimal reference. By that, a validator tells a text such as
// 5G&6G from one with HTML in it; a reader sees no difference.
func plainly(doc []byte) []byte {
	return bytes.ReplaceAll(doc, []byte("&amp;"), []byte("&#x26;"))
}

func (p *page) tombstone(d zonewire.Departure) ([]byte, error) {
	return element(tombstone{Space: nsTombstone, Ref: p.site.ItemID(d.Article), When: instant(d.At)}, 1)
}

func (p *page) atomEntry(it item) ([]byte, error) {
	x := atomEntry{
		Lang:      it.lang,
		Publisher: it.source,
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
	b, err := element(x, 1)
	return plainly(b), err
}
