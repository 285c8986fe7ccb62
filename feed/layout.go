package feed

import (
	_ "embed"
)

// Stylesheet is what the XML documents point a browser to: /feed.css.
//
//go:embed feed.css
var Stylesheet []byte

// piece is where one article, or the tombstone of one, lies in a document.
type piece struct {
	ID, Change int64
	Gone       bool
	At, End    int // offsets of its bytes
}

// cut is a complete document with some of the pieces.
func cut(f Format, r rendered, keep func(piece) bool) []byte { return r.body }

// encodeLayout packs a layout for the store.
func encodeLayout(layout []piece) []byte { return nil }

// decodeLayout reads what [encodeLayout] wrote.
func decodeLayout(b []byte) ([]piece, error) { return nil, nil }

// knows reports whether an article of this change has its piece in every one of the documents: only then is it used again,
// and only then may the article lack its text. A nil document knows nothing.
func knows(known [places]*rendered, id, change int64) bool { return false }

// restored is a document as the store kept it. It fails if layout is none of body.
func restored(body, layout []byte, channel string) (rendered, error) {
	return rendered{body: body, channel: channel}, nil
}
