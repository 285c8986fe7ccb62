package ingest

import (
	"time"

	"zonewire"
)

// FeedDoc is a feed read: what it says of itself, and its items.
type FeedDoc struct {
	Title string
	Link  string // of the site that it is of
	Self  string // its own address, by its word
	Hub   string // of WebSub, by its word; the Link header of the answer goes before
	Hints Hints
	Items []Record // at most 500, as they stand in the feed
	// Left counts the items past those.
	Left    int
	Charset string
}

// Hints are what a feed says about when to ask it again; zero values say nothing.
type Hints struct {
	Every     time.Duration  // of ttl or sy:updatePeriod: not more often than this
	SkipHours []int          // hours of the day in UTC, 0 to 23
	SkipDays  []time.Weekday // days of the week in UTC
}

// ReadFeed reads RSS, RDF, Atom or JSON Feed.
func ReadFeed(b []byte, opts Options) (FeedDoc, error) {
	return FeedDoc{}, zonewire.Invalidf("feeds are not read yet")
}
