package api

import (
	"time"

	"zonewire"
)

// Article is an article as JSON. Published is in the offset that the publisher gave, the other times are UTC, all RFC 3339.
type Article struct {
	ID            int64   `json:"id"`
	Zone          string  `json:"zone"` // slug, empty while the article waits for its zone
	ZoneRaw       string  `json:"zone_raw"`
	ExternalID    string  `json:"external_id"`
	URL           string  `json:"url"`
	Title         string  `json:"title"`
	Summary       string  `json:"summary"`
	ContentHTML   string  `json:"content_html"`
	Source        string  `json:"source"`
	Author        string  `json:"author"`
	City          string  `json:"city"`
	Category      string  `json:"category"`
	Language      string  `json:"language"`
	Published     string  `json:"published"`
	DatePrecision string  `json:"date_precision"`
	Updated       string  `json:"updated"`
	Received      string  `json:"received"`
	Withdrawn     *string `json:"withdrawn"` // null while it stands
	Deadline      *string `json:"deadline"`  // when what it announces closes: RFC 3339, or a date if only the day is known; null if it names none
}

// ViewArticle writes an article.
func ViewArticle(a zonewire.Article) Article {
	updated := a.Updated
	if updated.IsZero() {
		updated = a.Received
	}
	return Article{a.ID, a.Zone, a.ZoneRaw, a.ExternalID, a.URL, a.Title, a.Summary, a.ContentHTML, a.Source, a.Author,
		a.City, a.Category, a.Language, a.Published.Format(time.RFC3339), string(a.Precision), stamp(updated),
		stamp(a.Received), stampOrNull(a.Withdrawn), deadline(a)}
}

func deadline(a zonewire.Article) *string {
	if a.Deadline.IsZero() {
		return nil
	}
	layout := time.RFC3339
	if a.DeadlineDay {
		layout = time.DateOnly
	}
	text := a.Deadline.Format(layout)
	return &text
}

// Zone is a zone as JSON.
type Zone struct {
	Slug       string   `json:"slug"`
	Code       string   `json:"code"`
	Name       string   `json:"name"`
	NameEn     string   `json:"name_en"`
	Level      string   `json:"level"`
	Type       string   `json:"type"`
	Province   string   `json:"province"`
	City       string   `json:"city"`
	Homepage   string   `json:"homepage"`
	Language   string   `json:"language"`
	Aliases    []string `json:"aliases"`
	Closed     *string  `json:"closed"` // null while it is open
	MergedInto string   `json:"merged_into"`
}

// ViewZone writes a zone.
func ViewZone(z zonewire.Zone) Zone {
	return Zone{z.Slug, z.Code, z.Name, z.NameEn, z.Level, z.Type, z.Province, z.City, z.Homepage, z.Language,
		append([]string{}, z.Aliases...), stampOrNull(z.Closed), z.MergedInto}
}

// List is a list as JSON. Durations are written as commands read them.
type List struct {
	Slug        string                             `json:"slug"`
	Title       string                             `json:"title"`
	Schedule    string                             `json:"schedule"`
	Timezone    string                             `json:"timezone"`
	Workdays    string                             `json:"workdays"`
	All         bool                               `json:"all"`
	Province    string                             `json:"province"`
	City        string                             `json:"city"`
	Zones       []string                           `json:"zones"`
	Category    string                             `json:"category"`
	Keyword     string                             `json:"keyword"`
	MaxItems    int                                `json:"max_items"`
	MaxAge      string                             `json:"max_age"`
	Locale      string                             `json:"locale"`
	CatchUp     string                             `json:"catch_up"`
	From        string                             `json:"from"`
	ReplyTo     string                             `json:"reply_to"`
	Private     bool                               `json:"private"`
	Hold        string                             `json:"hold"`
	Paused      bool                               `json:"paused"`
	NextSlot    *string                            `json:"next_slot"`
	Subscribers map[zonewire.SubscriptionState]int `json:"subscribers"`
}

// ViewList writes a list; sizes counts its subscriptions by state.
func ViewList(l zonewire.List, sizes map[zonewire.SubscriptionState]int) List {
	if sizes == nil {
		sizes = map[zonewire.SubscriptionState]int{}
	}
	return List{l.Slug, l.Title, l.Schedule, l.Timezone, l.Workdays, l.All, l.Province, l.City, append([]string{}, l.Zones...),
		l.Category, l.Keyword, l.MaxItems, zonewire.FormatDuration(l.MaxAge), l.Locale, zonewire.FormatDuration(l.CatchUp),
		l.From, l.ReplyTo, l.Private, zonewire.FormatDuration(l.Hold), l.Paused, stampOrNull(l.NextSlot), sizes}
}

// Digest is a digest as JSON. Its counts, one for each state of a delivery, sum to Recipients.
type Digest struct {
	ID         int64          `json:"id"`
	List       string         `json:"list"`
	Slot       string         `json:"slot"`
	State      string         `json:"state"`
	Reason     string         `json:"reason,omitempty"`
	Items      int            `json:"items"`
	Recipients int            `json:"recipients"`
	Counts     map[string]int `json:"counts"`
}

// ViewDigest writes a digest.
func ViewDigest(d zonewire.Digest) Digest {
	counts := make(map[string]int, len(d.Counts))
	for _, s := range zonewire.DeliveryStates() {
		counts[s.String()] = d.Counts[s]
	}
	return Digest{d.ID, d.List, stamp(d.Slot), string(d.State), d.Reason, d.Items, d.Recipients, counts}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOrNull is a moment that may not be.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}
