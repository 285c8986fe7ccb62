package zonewire

import "time"

// Precision says how much of a published date the portal gave. A day is a date, not midnight.
type Precision string

// The precisions; the empty one means that there was no date, and Published is the time received.
const (
	PrecisionDay    Precision = "day"
	PrecisionMinute Precision = "minute"
	PrecisionSecond Precision = "second"
)

// Article is one piece of news of one zone. Text is NFC UTF-8 without control characters; ContentHTML is sanitised,
// balanced, and its links are absolute.
type Article struct {
	ID     int64
	Seq    int64 // when it was filed into its zone: digests take half-open windows of it
	Change int64 // when it last changed, from the same counter: feeds are ordered by it

	ZoneID   int64  // 0 while its zone is unknown
	Zone     string // slug of the zone; empty while unknown
	ZoneRaw  string // the zone as the publisher named it
	Province string
	City     string

	ExternalID  string // the publisher's own id
	URL         string // as given
	URLCanon    string // canonical form that identifies the article; empty if the URL identifies nothing
	TitleKey    string // identity when there is neither id nor URL: a hash of title and date
	ContentHash string // hash of title, body and attachments: tells an update from a repeat
	Sketch      Sketch // likeness of the body: tells that two portals have one story
	SourceID    int64  // the source that it was polled from; 0 = pushed, or from a file

	Title       string // plain text
	Summary     string // plain text
	ContentHTML string
	Source      string
	Author      string
	Category    string
	Language    string
	Image       string
	Attachments []Attachment

	Published time.Time // in the offset the publisher gave, +08:00 if none
	Precision Precision
	// Deadline is when what the article announces closes, such as a call for tenders; zero if it names no such moment. With
	// DeadlineDay only the day is known, whose first moment it is.
	Deadline    time.Time
	DeadlineDay bool
	Suspect     bool // the date given was none, ancient or in the future: Published is the time received

	Received  time.Time
	Updated   time.Time // last significant edit; Received if there was none
	Withdrawn time.Time // zero while it stands
	Reason    string    // why it was withdrawn

	DupOf   int64             // the article that told this story first, 0 if this one did
	Layers  map[string]string // field: which layer of the page won
	Charset string            // what the bytes were decoded from
	// Replaced counts the characters that could not be decoded.
	Replaced int
}

// Closes is the moment after which it is too late, zero if the article names none.
func (a Article) Closes() time.Time {
	if a.DeadlineDay {
		return a.Deadline.AddDate(0, 0, 1)
	}
	return a.Deadline
}

// Attachment is a file that an article links to. Length is in bytes, 0 if unknown.
type Attachment struct {
	URL    string `json:"url"`
	Name   string `json:"name,omitempty"`
	Type   string `json:"type,omitempty"` // media type
	Length int64  `json:"length,omitempty"`
}

// PutResult says what storing an article did.
type PutResult int

// The results of storing an article.
const (
	Unchanged PutResult = iota
	Added
	Updated
	// Dead means that the article was withdrawn before: it stays so.
	Dead
	// Refused means that the article is of a zone that the push may not change.
	Refused
	// Stale means that the article has changed since the push's sender saw it.
	Stale
)

// String is the result as scripts read it.
func (r PutResult) String() string {
	return [...]string{"unchanged", "added", "updated", "withdrawn", "refused", "stale"}[r]
}

// Stored tells where an article went.
type Stored struct {
	ID     int64
	Result PutResult
	ZoneID int64 // 0: it waits under its raw zone name
	Change int64 // of the article as it stands now
}

// Tally counts what storing did; an article that is withdrawn, refused or stale counts as unchanged.
func Tally(stored []Stored) (added, updated, unchanged int) {
	for _, s := range stored {
		switch s.Result {
		case Added:
			added++
		case Updated:
			updated++
		default:
			unchanged++
		}
	}
	return added, updated, unchanged
}

// Revision is what an article said before it was corrected.
type Revision struct {
	Replaced    time.Time
	Title       string
	Summary     string
	ContentHTML string
}

// ArticleQuery selects articles, newest change first.
type ArticleQuery struct {
	ZoneID    int64  // 0 = every zone
	Province  string // of the zone
	City      string
	Category  string
	Text      string // words, each contained in title or summary
	Since     time.Time
	Before    int64 // only changes before this one, for paging; 0 = from the newest
	Limit     int
	Unfiled   bool // also those whose zone is unknown
	Withdrawn bool // also those withdrawn
}
