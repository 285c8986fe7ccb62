package poll

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"zonewire"
	"zonewire/ingest"
)

const (
	day     = 24 * time.Hour
	week    = 7 * day
	maxHint = day // a feed may not put us off for longer than this
)

// freshFor is how long an answer says that it stays as it is: max-age less its Age, or else Expires (RFC 9111 sections 4.2
// and 5.3). `Expires: 0`, a past date and what cannot be read say nothing. It is never longer than a day.
func freshFor(h http.Header, now time.Time) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			return hint(seconds(strings.Trim(value, `"`)) - seconds(h.Get("Age")))
		}
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0
	}
	// By the server's own clock, if it tells: ours may differ.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return hint(expires.Sub(now))
}

func hint(d time.Duration) time.Duration { return min(max(d, 0), maxHint) }

// seconds reads a number of seconds; what is none is 0, what is too large a year.
func seconds(s string) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 365 * 24 * 3600
	}
	return time.Duration(min(n, 365*24*3600)) * time.Second
}

const (
	minSilence = time.Hour
	maxSilence = week
)

// retryAfter is how long an answer asks to be left alone, by seconds or by a date (RFC 9110 section 10.2.3): an hour to a week.
// 0 if it does not ask.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	d := seconds(value)
	if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	if d <= 0 {
		return 0
	}
	return min(max(d, minSilence), maxSilence)
}

// writeHints keeps what a body asked for until the next one: a 304 has no body.
func writeHints(h ingest.Hints) string {
	if h.Every == 0 && len(h.SkipHours) == 0 && len(h.SkipDays) == 0 {
		return ""
	}
	b, err := json.Marshal(h)
	if err != nil { // three plain fields cannot fail
		return ""
	}
	return string(b)
}

// readHints reads what [writeHints] wrote; anything else says nothing.
func readHints(s string) (h ingest.Hints) {
	if json.Unmarshal([]byte(s), &h) != nil {
		return ingest.Hints{}
	}
	return h
}

// outsideSkips is the first moment from t on that lies in no hour and no day which the feed wants skipped, to the hour; t
// itself if there is none within a week.
func outsideSkips(h ingest.Hints, t time.Time) time.Time {
	for at := t; at.Before(t.Add(week)); at = at.UTC().Truncate(time.Hour).Add(time.Hour) {
		if !slices.Contains(h.SkipHours, at.UTC().Hour()) && !slices.Contains(h.SkipDays, at.UTC().Weekday()) {
			return at
		}
	}
	return t
}

// Portals are written in office hours: nobody asks a page between these hours of Shanghai.
const (
	dayBegins = 8
	dayEnds   = 20
)

// outsideNight is t, or the morning after it if t lies in the night. spread, from 0 to 1, is where in the first hour: else
// every source would be due on the stroke.
func outsideNight(t time.Time, spread float64) time.Time {
	local := t.In(zonewire.Shanghai)
	if hour := local.Hour(); hour >= dayBegins && hour < dayEnds {
		return t
	}
	morning := time.Date(local.Year(), local.Month(), local.Day(), dayBegins, 0, 0, 0, zonewire.Shanghai)
	if morning.Before(t) {
		morning = morning.AddDate(0, 0, 1)
	}
	return morning.Add(time.Duration(spread * float64(time.Hour)))
}
