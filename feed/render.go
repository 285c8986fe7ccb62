package feed

import (
	"fmt"
	"slices"

	"zonewire"
)

// Render gives the bytes of a feed in one format, or of an archive, which there is in Atom only. The same arguments give
// the same bytes. It fails, as [zonewire.ErrInvalid], for a format that does not exist.
func Render(site Site, f Format, doc Document) ([]byte, error) {
	place, ok := f.place()
	switch {
	case !ok:
		return nil, zonewire.Invalidf("feed format %q is none of rss, atom, json", f)
	case doc.Month != 0:
		r, err := renderOne(site, f, doc, nil)
		return r.body, err
	}
	all, err := renderAll(site, doc, [places]*rendered{})
	return all[place].body, err
}

// renderAll renders every format with the same items: the newest that keep each document within the site's bounds, and
// at least one. Articles of known documents are not rendered again: see [knows]. They must have been rendered for the
// same site, zone, and zones.
func renderAll(site Site, doc Document, known [places]*rendered) (all [places]rendered, err error) {
	docs, err := render(site, doc, Formats(), known[:])
	copy(all[:], docs)
	return all, err
}

// renderOne renders one format within the bounds, as views and archives are asked for. An archive has no bounds, and one
// in another format than Atom is [zonewire.ErrInvalid].
func renderOne(site Site, f Format, doc Document, known *rendered) (rendered, error) {
	if doc.Month != 0 && f != Atom {
		return rendered{}, zonewire.Invalidf("feed format %q: archives are in atom only", f)
	}
	docs, err := render(site, doc, []Format{f}, []*rendered{known})
	if err != nil {
		return rendered{}, err
	}
	return docs[0], nil
}

// writer spells a page in one format.
type writer struct {
	frame     func(*page) ([]byte, error) // a document without items
	tail      string                      // what of it stands behind them
	item      func(*page, item) ([]byte, error)
	separator string // between items
	last      string // behind the last
	gone      func(*page, zonewire.Departure) ([]byte, error)
}

func (f Format) writer() writer {
	switch f {
	case RSS:
		return writer{frame: (*page).rssFrame, tail: "\n  </channel>\n</rss>\n", item: (*page).rssItem}
	case Atom:
		return writer{frame: (*page).atomFrame, tail: "\n</feed>\n", item: (*page).atomEntry, gone: (*page).tombstone}
	}
	return writer{frame: (*page).jsonFrame, tail: "]\n}\n", item: (*page).jsonItem, separator: ",", last: "\n  "}
}

// fragment is the text of a piece.
type fragment struct {
	piece
	text []byte
}

func render(site Site, doc Document, formats []Format, known []*rendered) ([]rendered, error) {
	p := newPage(site.withDefaults(), doc, known)
	gone, items := make([][]fragment, len(formats)), make([][]fragment, len(formats))
	for i, f := range formats {
		var err error
		if gone[i], items[i], err = p.fragments(f.writer(), known[i]); err != nil {
			return nil, fmt.Errorf("render %s: %w", p.self(f), err)
		}
	}
	if err := p.fit(formats, gone, items); err != nil {
		return nil, err
	}
	docs := make([]rendered, len(formats))
	for i, f := range formats {
		head, err := p.head(f)
		if err != nil {
			return nil, err
		}
		docs[i] = compose(f.writer(), head, slices.Concat(gone[i], items[i][:len(p.items)]))
		if docs[i].channel, err = p.channel(f); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// fragments are the tombstones and the items in one format.
func (p *page) fragments(w writer, known *rendered) (gone, items []fragment, err error) {
	if w.gone != nil {
		for _, d := range p.doc.Gone {
			text, err := w.gone(p, d)
			if err != nil {
				return nil, nil, err
			}
			gone = append(gone, fragment{piece{ID: d.Article, Change: d.Change, Gone: true}, text})
		}
	}
	for _, it := range p.items {
		x := fragment{piece: piece{ID: it.article, Change: it.change}}
		if it.known {
			at, _ := known.find(it.article, it.change)
			x.text = known.body[at.At:at.End]
		} else if x.text, err = w.item(p, it); err != nil {
			return nil, nil, err
		}
		items = append(items, x)
	}
	return gone, items, nil
}

// head is what stands before the pieces.
func (p *page) head(f Format) ([]byte, error) {
	w := f.writer()
	empty, err := w.frame(p)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", p.self(f), err)
	}
	return empty[:len(empty)-len(w.tail)], nil
}

// channel names what a document says of itself, for [rendered].
func (p *page) channel(f Format) (string, error) {
	q := *p
	q.updated, q.next, q.prev = opened(p.site, p.doc), 0, ""
	head, err := q.head(f)
	return hashOf(head), err
}

// fit takes the oldest items away until every format is within the site's bytes, and says where the next page begins if
// there is one.
func (p *page) fit(formats []Format, gone, items [][]fragment) error {
	if p.archive() || len(p.items) == 0 {
		return nil
	}
	p.next = p.items[0].change // the longest it can become
	n := len(p.items)
	for i, f := range formats {
		head, err := p.head(f)
		if err != nil {
			return err
		}
		w := f.writer()
		size := len(head) + len(w.tail) + len(w.last)
		for _, x := range gone[i] {
			size += len(x.text)
		}
		for j, x := range items[i][:n] {
			if size += len(x.text) + len(w.separator); size > p.site.MaxBytes {
				n = max(j, 1)
				break
			}
		}
	}
	if p.next = 0; p.doc.More || n < len(p.items) {
		p.next = p.items[n-1].change
	}
	p.items = p.items[:n]
	return nil
}

func compose(w writer, head []byte, pieces []fragment) rendered {
	r := rendered{body: slices.Clip(head)}
	for i, x := range pieces {
		if i > 0 {
			r.body = append(r.body, w.separator...)
		}
		x.At = len(r.body)
		r.body = append(r.body, x.text...)
		x.End = len(r.body)
		r.layout = append(r.layout, x.piece)
	}
	if len(pieces) > 0 {
		r.body = append(r.body, w.last...)
	}
	r.body = append(r.body, w.tail...)
	return r
}
