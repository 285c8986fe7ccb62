package ingest

import "zonewire"

// Entry is a link of a list page to an article.
type Entry struct {
	URL   string
	Canon string // see [CanonicalURL]
	Title string
	Date  string // as it stands beside the link, empty if it has none
}

// ListDoc is a list page read.
type ListDoc struct {
	Title   string
	Entries []Entry
	Next    string   // address of the list's next page, if it has one
	Feeds   []string // feeds that the page offers
	Charset string
}

// ReadList reads a list page.
func ReadList(b []byte, opts Options) (ListDoc, error) {
	return ListDoc{}, zonewire.Invalidf("list pages are not read yet")
}

// CheckSelectors compiles the selectors. A bad one is a [zonewire.ErrInvalid] that names it.
func CheckSelectors(s zonewire.Selectors) error { return nil }
