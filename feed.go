package zonewire

import (
	"strconv"
	"time"
)

// Head is what a feed must know of an article to tell whether it has it already.
type Head struct {
	ID        int64
	ZoneID    int64
	Change    int64     // grows with each change of the article
	Updated   time.Time // its last significant edit
	Withdrawn bool      // only where it was asked for
}

// Departure is an article that left a zone's feed.
type Departure struct {
	Article int64
	Change  int64 // from the counter of changes
	At      time.Time
	Moved   bool // it was filed into another zone; else it was withdrawn
}

// Month is a calendar month in +08:00, as year*100 + month: 202611. 0 is none.
type Month int

// MonthOf gives the month that a moment lies in.
func MonthOf(t time.Time) Month {
	t = t.In(Shanghai)
	return Month(t.Year()*100 + int(t.Month()))
}

// ParseMonth reads "2026-11". It answers false for anything else, and for years before 1990.
func ParseMonth(s string) (Month, bool) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 1990 || t.Format("2006-01") != s {
		return 0, false
	}
	return Month(t.Year()*100 + int(t.Month())), true
}

// String is the month as it stands in a path: "2026-11".
func (m Month) String() string { return m.Start().Format("2006-01") }

// Start is the month's first moment.
func (m Month) Start() time.Time {
	return time.Date(int(m)/100, time.Month(int(m)%100), 1, 0, 0, 0, 0, Shanghai)
}

// Next is the month after it.
func (m Month) Next() Month { return MonthOf(m.Start().AddDate(0, 1, 0)) }

// ArrivedIn counts what arrived in a zone in a month, withdrawn articles included.
type ArrivedIn struct {
	Month    Month
	Articles int
}

// FeedVersion is what one feed serves in one format.
type FeedVersion struct {
	Feed     string    // which: see [FeedName]
	Hash     string    // of the document's bytes
	Modified time.Time // the second in which these bytes came to be, later than that of the version before
	// State names what the document was made of. While it is the same nothing need be made anew.
	State   string
	Channel string     // names what the document says of itself, apart from its articles and dates
	Of      Generation // the store was at least so far when the document was made
	Gone    int64      // the change of the latest departure that it knows of
	Body    []byte     // the document, packed with gzip; empty if it must be made again
	Layout  []byte     // where its articles lie
	Bases   []FeedBase // earlier versions, newest first, at most [MaxFeedBases]
}

// FeedPut is a version to record, and whom to tell if it is new: those subscribed to it, and hubs elsewhere.
type FeedPut struct {
	FeedVersion
	Topic string   // the feed's address; empty = nobody is told
	Hubs  []string // elsewhere
}

// FeedBase is an earlier version of a feed, that a reader may still have.
type FeedBase struct {
	Hash    string
	Change  int64 // every change up to this one was in it
	Channel string
}

// MaxFeedBases is how many earlier versions of a feed are remembered.
const MaxFeedBases = 64

// FeedName names a feed in one format for good, whatever its zone's slug becomes: "zone/7.atom", "all.rss". Zone 0 is all
// zones.
func FeedName(zone int64, format string) string {
	if zone == 0 {
		return "all." + format
	}
	return "zone/" + strconv.FormatInt(zone, 10) + "." + format
}
