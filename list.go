package zonewire

import (
	"slices"
	"strings"
	"time"
)

// List is a digest that people subscribe to: which zones, on which schedule, in which shape.
type List struct {
	ID       int64
	Slug     string
	Title    string
	Schedule string // five cron fields, or @daily and its like, or [Instant]
	Timezone string // IANA name
	Workdays string // "cn": slots on days off merge into the next; empty: every day is the same

	// The scope: exactly one of All, Province, City and Zones.
	All      bool
	Province string
	City     string
	Zones    []string // slugs, sorted
	ZoneIDs  []int64  // sorted

	Category string
	Keyword  string
	MaxItems int           // items shown in one mail; the rest are counted
	MaxAge   time.Duration // published longer ago: in the feed, not in the mail; 0 = no bound
	Locale   string
	CatchUp  time.Duration // a slot missed by more is recorded as skipped
	From     string        // overrides mail.from
	ReplyTo  string
	Private  bool
	Hold     time.Duration // a planned digest waits this long

	Paused    bool
	Removed   time.Time
	Watermark int64     // the last article sequence that a digest took in
	NextSlot  time.Time // zero: never again
	Created   time.Time
}

// Default values of a list.
const (
	DefaultMaxItems = 60
	DefaultMaxAge   = 30 * 24 * time.Hour
	DefaultCatchUp  = 24 * time.Hour
	DefaultTimezone = "Asia/Shanghai"
)

// Instant is the schedule of a list that mails each match of its keyword at once, in at most InstantPerHour mails an hour;
// the rest comes with the first mail of the next hour.
const (
	Instant        = "@instant"
	InstantPerHour = 4
)

// IsInstant reports whether the list has no slots of its own: it is due when a match has come.
func (l List) IsInstant() bool { return l.Schedule == Instant }

// AfterInstant is the earliest slot after an instant list's digest, sent being how many it has had in that hour with it.
func AfterInstant(slot time.Time, sent int) time.Time {
	if sent >= InstantPerHour {
		return slot.Truncate(time.Hour).Add(time.Hour)
	}
	return slot.Add(time.Minute)
}

// Validate reports the first field that cannot be stored, as an [ErrInvalid]. The schedule and the time zone are
// checked by package digest, which knows them.
func (l List) Validate() error {
	if err := ValidSlug("list", l.Slug); err != nil {
		return err
	}
	if strings.TrimSpace(l.Title) == "" {
		return Invalidf("list %s: the title is empty", l.Slug)
	}
	scopes := 0
	for _, set := range []bool{l.All, l.Province != "", l.City != "", len(l.Zones) > 0 || len(l.ZoneIDs) > 0} {
		if set {
			scopes++
		}
	}
	if scopes != 1 {
		return Invalidf("list %s: give exactly one of zones, a province, a city, or all", l.Slug)
	}
	if !slices.Contains(Locales(), l.Locale) {
		return Invalidf("list %s: locale %q is none of %s", l.Slug, l.Locale, strings.Join(Locales(), ", "))
	}
	if l.MaxItems < 1 || l.MaxItems > 500 {
		return Invalidf("list %s: max items %d is not between 1 and 500", l.Slug, l.MaxItems)
	}
	if l.IsInstant() && l.Keyword == "" {
		return Invalidf("list %s: the schedule %s needs a keyword: it mails what matches", l.Slug, Instant)
	}
	if !oneOf(l.Workdays, "", "cn") {
		return Invalidf("list %s: workdays %q is not cn", l.Slug, l.Workdays)
	}
	if l.MaxAge < 0 || l.CatchUp < 0 || l.Hold < 0 {
		return Invalidf("list %s: a duration is negative", l.Slug)
	}
	return nil
}

// Takes reports whether the article belongs into the list's digests, its zone being z.
func (l List) Takes(a Article, z Zone) bool {
	switch {
	case a.ZoneID == 0 || !a.Withdrawn.IsZero():
		return false
	case l.Province != "" && z.Province != l.Province,
		l.City != "" && z.City != l.City,
		len(l.ZoneIDs) > 0 && !slices.Contains(l.ZoneIDs, z.ID):
		return false
	case l.Category != "" && a.Category != l.Category:
		return false
	case l.Keyword != "" && !strings.Contains(strings.ToLower(a.Title+"\n"+a.Summary), strings.ToLower(l.Keyword)):
		return false
	}
	return true
}

// SameNews reports whether two lists carry the same news, perhaps at different times.
func (l List) SameNews(o List) bool {
	return l.All == o.All && l.Province == o.Province && l.City == o.City && slices.Equal(l.ZoneIDs, o.ZoneIDs) &&
		l.Category == o.Category && l.Keyword == o.Keyword
}

// Covers reports whether the list may ever carry news of the zone.
func (l List) Covers(z Zone) bool {
	return l.Takes(Article{ZoneID: z.ID, Category: l.Category, Title: l.Keyword}, z)
}
