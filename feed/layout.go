package feed

import (
	"encoding/binary"
	"errors"
	"slices"
)

// rendered is a document with the places of its articles in it. What stands before the first piece and behind the last
// makes a document of any choice of them: nothing in a piece depends on another.
type rendered struct {
	body    []byte
	layout  []piece
	channel string // names what the document says of itself, apart from its dates, its articles and links to other pages
}

// piece is where one article, or the tombstone of one, lies in a document.
type piece struct {
	ID, Change int64
	Gone       bool
	At, End    int // offsets of its bytes
}

// find gives the piece of an article as of a change.
func (r *rendered) find(id, change int64) (piece, bool) {
	if r == nil {
		return piece{}, false
	}
	i := slices.IndexFunc(r.layout, func(p piece) bool { return p.ID == id && p.Change == change && !p.Gone })
	if i < 0 {
		return piece{}, false
	}
	return r.layout[i], true
}

// knows reports whether an article, as of a change, has its piece in every one of the documents: only then is it used
// again, and only then may the article lack its text. A nil document knows nothing.
func knows(known []*rendered, id, change int64) bool {
	for _, r := range known {
		if _, ok := r.find(id, change); !ok {
			return false
		}
	}
	return len(known) > 0
}

// cut is a complete document with some of the pieces of another, in their order.
func cut(f Format, r rendered, keep func(piece) bool) []byte {
	if len(r.layout) == 0 {
		return r.body
	}
	separator := f.writer().separator
	first, last := r.layout[0], r.layout[len(r.layout)-1]
	b := slices.Clone(r.body[:first.At])
	kept := 0
	for _, p := range r.layout {
		if !keep(p) {
			continue
		}
		if kept++; kept > 1 {
			b = append(b, separator...)
		}
		b = append(b, r.body[p.At:p.End]...)
	}
	return append(b, r.body[last.End:]...)
}

// errLayout means that bytes are no layout, or not that of the document.
var errLayout = errors.New("no layout of this document")

// layoutVersion stands first, so that a later program reads none of another kind as one of its own.
const layoutVersion = 1

// encodeLayout packs a layout for the store: numbers in varints, each as the difference to what is most likely.
func encodeLayout(layout []piece) []byte {
	b := []byte{layoutVersion}
	before := piece{}
	for _, p := range layout {
		gone := int64(0)
		if p.Gone {
			gone = 1
		}
		b = binary.AppendVarint(b, p.ID-before.ID)
		b = binary.AppendVarint(b, p.Change-before.Change)
		b = binary.AppendVarint(b, gone)
		b = binary.AppendVarint(b, int64(p.At-before.End))
		b = binary.AppendVarint(b, int64(p.End-p.At))
		before = p
	}
	return b
}

// decodeLayout reads what [encodeLayout] wrote. It fails as errLayout for anything else, and for pieces that overlap.
func decodeLayout(b []byte) ([]piece, error) {
	if len(b) == 0 || b[0] != layoutVersion {
		return nil, errLayout
	}
	var layout []piece
	before := piece{}
	for b = b[1:]; len(b) > 0; {
		var v [5]int64
		for i := range v {
			n := 0
			if v[i], n = binary.Varint(b); n <= 0 {
				return nil, errLayout
			}
			b = b[n:]
		}
		const most = 1 << 40 // bytes; sums of less do not run over
		if v[2]>>1 != 0 || v[3] < 0 || v[3] > most || v[4] < 0 || v[4] > most {
			return nil, errLayout
		}
		p := piece{ID: before.ID + v[0], Change: before.Change + v[1], Gone: v[2] == 1, At: before.End + int(v[3])}
		p.End = p.At + int(v[4])
		if p.End > most {
			return nil, errLayout
		}
		layout = append(layout, p)
		before = p
	}
	return layout, nil
}

// restored is a document as the store kept it. It fails as errLayout if layout is none of body.
func restored(body, layout []byte, channel string) (rendered, error) {
	pieces, err := decodeLayout(layout)
	if err != nil {
		return rendered{}, err
	}
	if len(pieces) > 0 && pieces[len(pieces)-1].End > len(body) {
		return rendered{}, errLayout
	}
	return rendered{body: body, layout: pieces, channel: channel}, nil
}
