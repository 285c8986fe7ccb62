package digest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// words are the phrases that a schedule is described with in one locale. Days come before times in all of them.
type words struct {
	Hourly   string   `json:"hourly"`   // the minute
	Daily    string   `json:"daily"`    // times
	Weekdays string   `json:"weekdays"` // times
	Weekends string   `json:"weekends"` // times
	Weekly   string   `json:"weekly"`   // days, times
	Monthly  string   `json:"monthly"`  // days, times
	Days     []string `json:"days"`     // from Sunday
	Instant  string   `json:"instant"`  // mails an hour
	Working  string   `json:"working"`  // times
	Unless   string   `json:"unless"`   // any other phrase, of a list that keeps working days
	Comma    string   `json:"comma"`    // between the elements of a list
	And      string   `json:"and"`      // before the last one
}

//go:embed schedule_words.json
var wordsJSON []byte

var wordsByLocale = sync.OnceValue(func() map[string]words {
	var all map[string]words
	if err := json.Unmarshal(wordsJSON, &all); err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return all
})

// The sets that have a name of their own, as bits of cron's fields; star is the bit that cron sets for a star.
const (
	star     = 1 << 63
	weekdays = 1<<time.Monday | 1<<time.Tuesday | 1<<time.Wednesday | 1<<time.Thursday | 1<<time.Friday
	weekends = 1<<time.Saturday | 1<<time.Sunday
	allHours = 1<<24 - 1
)

// Describe tells a reader when the list comes: "every day at 08:00", "on weekdays at 08:00", "on Chinese working days at 08:00". What has no simple words
// is given as its five fields with the time zone; an unknown locale reads the default one.
func (s Schedule) Describe(locale string) string {
	w, ok := wordsByLocale()[locale]
	if !ok {
		w = wordsByLocale()[zonewire.LocaleZH]
	}
	switch {
	case s.instant:
		return fmt.Sprintf(w.Instant, zonewire.InstantPerHour)
	case s.rule == nil:
		return ""
	}
	if times := s.times(w); times != "" && s.everyWorkingDay() {
		return fmt.Sprintf(w.Working, times)
	}
	phrase := s.phrase(w)
	if phrase == "" {
		phrase = s.spec + " " + s.loc.String()
	}
	if s.working {
		return fmt.Sprintf(w.Unless, phrase)
	}
	return phrase
}

// phrase is empty when the schedule has no simple words.
func (s Schedule) phrase(w words) string {
	r := s.rule
	if r.Month&star == 0 {
		return ""
	}
	everyDay, everyWeekday := r.Dom&star != 0, r.Dow&star != 0
	if minutes := set(r.Minute); everyDay && everyWeekday && r.Hour&^star == allHours && len(minutes) == 1 {
		return fmt.Sprintf(w.Hourly, minutes[0])
	}
	times := s.times(w)
	if times == "" {
		return ""
	}
	switch {
	case everyDay && everyWeekday:
		return fmt.Sprintf(w.Daily, times)
	case everyDay && r.Dow == weekdays:
		return fmt.Sprintf(w.Weekdays, times)
	case everyDay && r.Dow == weekends:
		return fmt.Sprintf(w.Weekends, times)
	case everyDay:
		var names []string
		for _, d := range set(r.Dow) {
			names = append(names, w.Days[d])
		}
		return fmt.Sprintf(w.Weekly, w.list(names), times)
	case everyWeekday && bits.OnesCount64(r.Dom) <= 4:
		var days []string
		for _, d := range set(r.Dom) {
			days = append(days, fmt.Sprint(d))
		}
		return fmt.Sprintf(w.Monthly, w.list(days), times)
	}
	return "" // with both days given cron means either, which no short phrase says
}

// times are the times of a day on which it comes, empty when they are too many for words.
func (s Schedule) times(w words) string {
	minutes, hours := set(s.rule.Minute), set(s.rule.Hour)
	if len(minutes)*len(hours) > 4 {
		return ""
	}
	var clock []string
	for _, h := range hours {
		for _, m := range minutes {
			clock = append(clock, fmt.Sprintf("%02d:%02d", h, m))
		}
	}
	return w.list(clock)
}

// set lists the numbers of a field of cron's, without its star.
func set(field uint64) []int {
	var numbers []int
	for field &^= star; field != 0; field &= field - 1 {
		numbers = append(numbers, bits.TrailingZeros64(field))
	}
	return numbers
}

func (w words) list(items []string) string {
	last := len(items) - 1
	if last < 1 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:last], w.Comma) + w.And + items[last]
}
