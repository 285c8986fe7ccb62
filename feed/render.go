package feed

import (
	"fmt"
	"sort"

	"zonewire"
)

// documents is a feed in every format.
type documents [places][]byte

// rendered is a document with the places of its articles in it.
type rendered struct {
	body    []byte
	layout  []piece
	channel string // names what the document says of itself, apart from its dates, its articles and links to other pages
}

// Render gives the bytes of a feed in one format. The same arguments give the same bytes. It fails, as
// [zonewire.ErrInvalid], for a format that does not exist.
func Render(site Site, f Format, doc Document) ([]byte, error) {
	place, ok := f.place()
	if !ok {
		return nil, zonewire.Invalidf("feed format %q is none of rss, atom, json", f)
	}
	docs, err := renderAll(site, doc, [places]*rendered{})
	return docs[place].body, err
}

// renderOne renders one format.
func renderOne(site Site, f Format, doc Document, known *rendered) (rendered, error) {
	body, err := Render(site, f, doc)
	return rendered{body: body}, err
}

// renderAll renders every format with the same items.
func renderAll(site Site, doc Document, known [places]*rendered) (all [places]rendered, err error) {
	docs, err := renderDocuments(site, doc)
	for place := range all {
		all[place].body = docs[place]
	}
	return all, err
}

// renderDocuments renders every format with the same items: the newest that keep each document within the site's bounds, and
// at least one.
func renderDocuments(site Site, doc Document) (documents, error) {
	p := newPage(site.withDefaults(), doc)
	docs, err := p.render()
	if err != nil || docs.longest() <= p.site.MaxBytes {
		return docs, err
	}
	all := p.items
	// The first number of items that is too many, less one.
	n := sort.Search(len(all), func(n int) bool {
		p.items = all[:n]
		docs, failed := p.render()
		if failed != nil {
			err = failed
		}
		return docs.longest() > p.site.MaxBytes
	}) - 1
	if err != nil {
		return documents{}, err
	}
	p.items = all[:min(max(n, 1), len(all))]
	return p.render()
}

func (d documents) longest() int {
	n := 0
	for _, b := range d {
		n = max(n, len(b))
	}
	return n
}

func (p *page) render() (d documents, err error) {
	for place, write := range [places]func() ([]byte, error){rssPlace: p.rss, atomPlace: p.atom, jsonPlace: p.json} {
		if d[place], err = write(); err != nil {
			return documents{}, fmt.Errorf("render %s: %w", Path(p.slug, Formats()[place]), err)
		}
	}
	return d, nil
}
