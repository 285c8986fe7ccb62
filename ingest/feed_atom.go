package ingest

import (
	"strings"

	"github.com/mmcdole/gofeed/atom"
	ext "github.com/mmcdole/gofeed/extensions"

	"zonewire"
)

// atomFields are the fields of an entry of Atom.
func atomFields(e *atom.Entry, extra besideItem, place feedPlace) fields {
	links := atomLinks(e.Links)
	f := fields{
		// The library resolves an id, and writes it as an address should be; an id is neither (RFC 4287, section 4.2.6).
		id:        trimSpace(extra.child("id").Text),
		title:     e.Title,
		url:       links.page(),
		published: likelyDate(place.now, e.Published, extra.child("created").Text, e.Updated),
	}
	if f.id == "" {
		f.id = e.ID
	}
	var names []string
	for _, a := range e.Authors {
		names = append(names, person(a.Name))
	}
	f.author = strings.Join(nonEmpty(names), "、")
	if e.Source != nil {
		f.source = e.Source.Title
	}
	for _, c := range e.Categories {
		f.category = first(f.category, c.Label, c.Term)
	}
	var content string
	kind := extra.child("summary").Type
	if c := e.Content; c != nil {
		f.url = first(f.url, c.Src)
		if atomText(c.Type) && trimSpace(c.Value) != "" {
			content, kind = c.Value, c.Type
		}
	}
	f.describe(content, e.Summary)
	if kind = strings.ToLower(kind); kind == "text" || kind == "text/plain" {
		f.html, f.text = "", first(content, e.Summary)
	}
	for _, l := range links.enclosures() {
		f.enclose(l.attachment(place))
	}
	for _, m := range media(e.Extensions) {
		f.enclose(m.attachment(place))
	}
	return f
}

// atomText reports whether content of that type is text: it may be a picture, or another document.
func atomText(kind string) bool {
	kind = strings.ToLower(kind)
	return kind == "" || kind == "text" || strings.HasPrefix(kind, "text/") || strings.Contains(kind, "html")
}

// feedLinks are the link elements of Atom, in a feed of Atom or of another kind.
type feedLinks struct {
	all      []atom.Link
	category string // of Atom in a feed of another kind
}

func atomLinks(links []*atom.Link) feedLinks {
	var l feedLinks
	for _, link := range links {
		l.all = append(l.all, *link)
	}
	return l
}

// embeddedLinks are the elements of Atom in a feed of another kind, under any of the prefixes that they come with when
// their name space is not declared.
func embeddedLinks(x ext.Extensions) feedLinks {
	var l feedLinks
	for _, prefix := range []string{"atom", "atom10", "atom03"} {
		for _, e := range x[prefix]["link"] {
			a := e.Attrs
			l.all = append(l.all, atom.Link{Href: a["href"], Rel: first(a["rel"], "alternate"), Type: a["type"], Title: a["title"], Length: a["length"]})
		}
		for _, e := range x[prefix]["category"] {
			l.category = first(l.category, e.Attrs["label"], e.Attrs["term"])
		}
	}
	return l
}

func embeddedAuthor(x ext.Extensions) string {
	var name string
	for _, author := range x["atom"]["author"] {
		for _, e := range author.Children["name"] {
			name = first(name, e.Value)
		}
	}
	return name
}

// first is the address of the first link of that relation.
func (l feedLinks) first(rel string) string {
	for _, link := range l.all {
		if strings.EqualFold(link.Rel, rel) && trimSpace(link.Href) != "" {
			return link.Href
		}
	}
	return ""
}

// page is the address of the page that a feed or item is of: an entry may have others as its alternates.
func (l feedLinks) page() string {
	for _, link := range l.all {
		if strings.EqualFold(link.Rel, "alternate") && strings.Contains(link.Type, "html") && trimSpace(link.Href) != "" {
			return link.Href
		}
	}
	return l.first("alternate")
}

func (l feedLinks) enclosures() []enclosureLink {
	var found []enclosureLink
	for _, link := range l.all {
		if strings.EqualFold(link.Rel, "enclosure") {
			found = append(found, enclosureLink(link))
		}
	}
	return found
}

type enclosureLink atom.Link

func (l enclosureLink) attachment(place feedPlace) zonewire.Attachment {
	return zonewire.Attachment{URL: absolute(place.base, l.Href), Name: l.Title, Type: l.Type, Length: byteLength(l.Length)}
}

func nonEmpty(texts []string) []string {
	var kept []string
	for _, s := range texts {
		if trimSpace(s) != "" {
			kept = append(kept, s)
		}
	}
	return kept
}
