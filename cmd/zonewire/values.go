package main

import (
	"strconv"
	"strings"
	"time"

	"zonewire"
)

// parseDuration reads 90m, 24h, 30d and 0. A day is 24 hours.
func parseDuration(s string) (time.Duration, error) {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if n > 100*366 {
			err = strconv.ErrRange
		}
		d = time.Duration(n) * 24 * time.Hour
	} else {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d < 0 {
		return 0, zonewire.Invalidf("duration %q: write it as 90m, 24h or 30d", s)
	}
	return d, nil
}

// durationFlag is a flag that reads a duration as people write it.
type durationFlag time.Duration

func (d *durationFlag) String() string { return zonewire.FormatDuration(time.Duration(*d)) }
func (d *durationFlag) Type() string   { return "DURATION" }
func (d *durationFlag) Set(s string) error {
	v, err := parseDuration(s)
	*d = durationFlag(v)
	return err
}

// parseTime reads RFC 3339, or a date, which begins at 00:00 +08:00.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, zonewire.Shanghai); err == nil {
		return t, nil
	}
	return time.Time{}, zonewire.Invalidf("time %q: write it as 2026-11-24 or 2026-11-24T08:00:00+08:00", s)
}

// ago reads a moment in the past: a time, or a duration before now.
func ago(s string, now time.Time) (time.Time, error) { return moment(s, now, -1) }

// ahead reads a moment in the future: a time, or a duration after now.
func ahead(s string, now time.Time) (time.Time, error) { return moment(s, now, 1) }

func moment(s string, now time.Time, sign time.Duration) (time.Time, error) {
	if t, err := parseTime(s); err == nil {
		return t, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return time.Time{}, zonewire.Invalidf("time %q: write it as 2026-11-24, 2026-11-24T08:00:00+08:00, or 7d", s)
	}
	return now.Add(sign * d), nil
}

// parseID reads the number of a thing.
func parseID(cmd commander, noun, s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0, usagef(cmd, "%s %q: give its number, as `zonewire %s ls` prints it", noun, s, noun)
	}
	return id, nil
}

// nearest finds the word most like the one given; empty if none is like it.
func nearest(given string, words []string) string {
	best, at := "", len(given)/3+2
	for _, w := range words {
		if d := distance(given, w); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance is how many bytes must be added, removed or replaced to make a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
