package ingest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	ext "github.com/mmcdole/gofeed/extensions"
	"github.com/mmcdole/gofeed/rss"
)

// maxHint bounds what a feed may ask for: past a day it is a slip, or a feed that has forgotten itself.
const maxHint = 24 * time.Hour

// rssHints reads ttl, skipHours and skipDays (RSS 2.0), and the syndication module. Where a feed says both how often,
// the rarer one counts.
func rssHints(f *rss.Feed) Hints {
	h := syndication(f.Extensions)
	if minutes, err := strconv.Atoi(trimSpace(f.TTL)); err == nil && minutes > 0 {
		h.Every = max(h.Every, time.Duration(min(minutes, int(maxHint/time.Minute)))*time.Minute)
	}
	h.SkipHours, h.SkipDays = skipHours(f.SkipHours), skipDays(f.SkipDays)
	return h
}

// syndication reads sy:updatePeriod and sy:updateFrequency, the times in a period (RSS 1.0, module syndication).
func syndication(x ext.Extensions) Hints {
	period := strings.ToLower(trimSpace(extension(x, "sy", "updatePeriod")))
	frequency := trimSpace(extension(x, "sy", "updateFrequency"))
	if period == "" && frequency == "" {
		return Hints{}
	}
	const day = 24 * time.Hour
	every, known := map[string]time.Duration{
		"hourly": time.Hour, "daily": day, "": day, "weekly": 7 * day, "monthly": 30 * day, "yearly": 365 * day,
	}[period]
	if !known {
		return Hints{}
	}
	if n, err := strconv.Atoi(frequency); err == nil && n > 1 {
		every /= time.Duration(n)
	}
	return Hints{Every: min(every.Truncate(time.Minute), maxHint)}
}

// skipHours reads hours from 0 to 23; RSS 0.91 counts from 1 to 24. All of them are none.
func skipHours(texts []string) []int {
	var hours []int
	for _, s := range texts {
		if n, err := strconv.Atoi(trimSpace(s)); err == nil && n >= 0 && n <= 24 {
			hours = append(hours, n%24)
		}
	}
	return notAll(hours, 24)
}

// skipDays reads English names of days, whole or their first three letters.
func skipDays(texts []string) []time.Weekday {
	var days []time.Weekday
	for _, s := range texts {
		for d := time.Sunday; d <= time.Saturday; d++ {
			if s = trimSpace(s); len(s) >= 3 && strings.EqualFold(s[:3], d.String()[:3]) {
				days = append(days, d)
			}
		}
	}
	return notAll(days, 7)
}

// notAll sorts the values, each once; a feed that skips every time means nothing by it.
func notAll[T int | time.Weekday](values []T, all int) []T {
	slices.Sort(values)
	if values = slices.Compact(values); len(values) == all {
		return nil
	}
	return values
}
