package zonewire

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// DigestState is where a digest stands. Only the first three are stored; sending and sent are read off its deliveries.
type DigestState string

// The states of a digest.
const (
	DigestPlanned   DigestState = "planned"
	DigestSkipped   DigestState = "skipped" // nothing new, or later than the list's catch-up; Reason says which
	DigestCancelled DigestState = "cancelled"
	DigestSending   DigestState = "sending" // some deliveries are closed, some open
	DigestSent      DigestState = "sent"    // every delivery is closed
)

// Digest is one slot of one list: what went out, to how many.
type Digest struct {
	ID         int64
	ListID     int64
	List       string // slug
	Slot       time.Time
	State      DigestState
	Reason     string
	Lo, Hi     int64 // the half-open window (Lo, Hi] of article sequences
	Items      int
	Recipients int
	Counts     Counts
	Created    time.Time
}

// Audience is a group of a list's active subscriptions that get the same mail.
type Audience struct {
	Locale string
	Zones  string // a [ZoneSet]; empty = all zones of the list
	Told   string // ids of stories that an earlier mail of the list has told them, written like a [ZoneSet]
	Size   int
}

// Same reports whether two audiences get the same mail, whatever their sizes.
func (a Audience) Same(b Audience) bool {
	return a.Locale == b.Locale && a.Zones == b.Zones && a.Told == b.Told
}

// Mail is a composed digest with a hole for each reader's own token: the chunks of HTML and Text are joined by it.
// It holds all that the outbox needs, so that later edits of list or templates touch only later digests.
type Mail struct {
	Subject   string    `json:"subject"`
	HTML      []string  `json:"html"` // chunks around the holes
	Text      []string  `json:"text"`
	From      string    `json:"from"`
	ReplyTo   string    `json:"reply_to,omitempty"`
	Host      string    `json:"host"`     // of Message-ID and List-Id
	BaseURL   string    `json:"base_url"` // no trailing slash
	List      string    `json:"list"`     // slug; empty for a notice
	ListTitle string    `json:"list_title,omitempty"`
	Locale    string    `json:"locale"`
	Digest    int64     `json:"digest,omitempty"`
	Date      time.Time `json:"date"`
	ListURL   string    `json:"list_url,omitempty"` // the list's page, with the key if the list is private
	WebURL    string    `json:"web_url,omitempty"`  // the digest as a page, likewise; empty in a preview
}

// Variant is the mail that one audience of a digest gets. It never changes once stored: a withdrawal makes a new one.
type Variant struct {
	ID     int64
	Digest int64
	Locale string
	Zones  string // a [ZoneSet]
	Told   string // see [Audience]
	Items  int
	Web    string // the digest as a page, only for the variant with all zones
	Mail   Mail
}

// ZoneSet is the canonical text of a set of zone ids: sorted, comma-separated; empty means all.
func ZoneSet(ids []int64) string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(parts, ",")
}

// ParseZoneSet reads what [ZoneSet] wrote.
func ParseZoneSet(set string) ([]int64, error) {
	if set == "" {
		return nil, nil
	}
	var ids []int64
	for part := range strings.SplitSeq(set, ",") {
		id, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return nil, Invalidf("zone set %q: %q is no id", set, part)
		}
		ids = append(ids, id)
	}
	return ids, nil
}
