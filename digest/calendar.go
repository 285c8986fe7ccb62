package digest

import (
	_ "embed"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// Calendar knows the working days of China: which days are off, and which Saturdays and Sundays are worked to make up for
// them (调休). In a year that it does not cover, weekends are off and all other days are worked. The nil Calendar is the
// one that ships.
type Calendar struct {
	first, last int           // years
	works       map[date]bool // the days that are not as their weekday says
}

// date is a civil date, whatever the time zone.
type date struct {
	year  int
	month time.Month
	day   int
}

func dateOf(t time.Time) date {
	year, month, day := t.Date()
	return date{year, month, day}
}

//go:embed cn.txt
var cnFile string

var shipped = sync.OnceValue(func() *Calendar {
	c, err := parseCalendar("cn.txt", cnFile)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return c
})

// LoadCalendar reads a file of working days in the form of the one that ships, which an empty name means. A line that cannot
// be used is a [zonewire.ErrInvalid] that says where it is and what to write.
func LoadCalendar(file string) (*Calendar, error) {
	if file == "" {
		return shipped(), nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read working days: %w", err)
	}
	return parseCalendar(file, string(b))
}

// Working reports whether the civil date of day, in its location, is a working day.
func (c *Calendar) Working(day time.Time) bool {
	if works, known := c.orShipped().works[dateOf(day)]; known {
		return works
	}
	return !isWeekend(day)
}

// Covers reports whether the days off of the year are known.
func (c *Calendar) Covers(year int) bool {
	c = c.orShipped()
	return c.first != 0 && year >= c.first && year <= c.last
}

// Last is the last year whose days off are known; 0 if none is.
func (c *Calendar) Last() int { return c.orShipped().last }

func (c *Calendar) orShipped() *Calendar {
	if c == nil {
		return shipped()
	}
	return c
}

func isWeekend(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }

// maxYears bounds what one file may cover: a slip in a year is more likely than a plan for a century.
const maxYears = 50

// parseCalendar reads the text of a file; name stands in the messages.
func parseCalendar(name, text string) (*Calendar, error) {
	c := &Calendar{works: map[date]bool{}}
	at := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		at++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := c.take(words); err != nil {
			return nil, zonewire.Invalidf("%s:%d: %v", name, at, err)
		}
	}
	if c.first == 0 {
		return nil, zonewire.Invalidf("%s:%d: the file covers no year: begin it with a line such as \"years 2026..2026\"", name, max(at, 1))
	}
	return c, nil
}

// take reads one line.
func (c *Calendar) take(words []string) error {
	switch {
	case words[0] == "years":
		return c.cover(words[1:])
	case c.first == 0:
		return fmt.Errorf("first say which years are covered, such as \"years 2026..2026\"")
	case len(words) < 2 || words[1] != "off" && words[1] != "work":
		return fmt.Errorf("%q is not understood: write \"2026-10-01..2026-10-07 off 国庆节\" or \"2026-10-10 work\"", strings.Join(words, " "))
	}
	from, to, err := dates(words[0])
	if err != nil {
		return err
	}
	if from.Year() < c.first || to.Year() > c.last {
		return fmt.Errorf("%s is outside the years %d..%d: change the line \"years\"", words[0], c.first, c.last)
	}
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		if err := c.set(day, words[1] == "work"); err != nil {
			return err
		}
	}
	return nil
}

// cover reads what follows the word years.
func (c *Calendar) cover(words []string) error {
	if c.first != 0 {
		return fmt.Errorf("the years are given twice: keep one line \"years %d..%d\"", c.first, c.last)
	}
	if len(words) != 1 {
		return fmt.Errorf("write the years as \"years 2024..2026\"")
	}
	from, to, ranged := strings.Cut(words[0], "..")
	if !ranged {
		to = from
	}
	first, errFirst := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	switch {
	case errFirst != nil || errLast != nil || first < 1900 || last > 9999:
		return fmt.Errorf("%q are no years: write \"years 2024..2026\"", words[0])
	case last < first:
		return fmt.Errorf("the years run backwards: write \"years %d..%d\"", last, first)
	case last-first >= maxYears:
		return fmt.Errorf("%s are more than %d years: give those that have been announced", words[0], maxYears)
	}
	c.first, c.last = first, last
	return nil
}

// set marks one day.
func (c *Calendar) set(day time.Time, works bool) error {
	d := dateOf(day)
	if _, known := c.works[d]; known {
		return fmt.Errorf("%s is given twice: a day is either off or worked, on one line", day.Format(time.DateOnly))
	}
	if works && !isWeekend(day) {
		return fmt.Errorf("%s is a %s, which is worked anyhow: only a Saturday or Sunday needs the word work", day.Format(time.DateOnly), day.Weekday())
	}
	c.works[d] = works
	return nil
}

// dates reads one day, or the first and last of a range.
func dates(s string) (from, to time.Time, err error) {
	a, b, ranged := strings.Cut(s, "..")
	if !ranged {
		b = a
	}
	if from, err = time.Parse(time.DateOnly, a); err == nil {
		to, err = time.Parse(time.DateOnly, b)
	}
	switch {
	case err != nil:
		return from, to, fmt.Errorf("%q is no day: write 2026-10-01, or 2026-10-01..2026-10-07 for several", s)
	case to.Before(from):
		return from, to, fmt.Errorf("%s runs backwards: write %s..%s", s, b, a)
	}
	return from, to, nil
}
