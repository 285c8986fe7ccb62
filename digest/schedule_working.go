package digest

import (
	"time"

	"zonewire"
)

// maxOff is how many years ahead Next looks for a slot on a working day. 29 February falls on one at least once in 20
// years, also around 2100; only a calendar whose days are all off leaves more.
const maxOff = 20

// everyDayOfMonth and everyWeekday are cron's fields for a star.
const (
	everyDayOfMonth = star | (1<<32 - 2)
	everyWeekday    = star | (1<<7 - 1)
)

// onWorkingDays is the schedule without the days off. Monday to Friday is what people write who mean working days, so it
// takes in the weekends that are worked too; any other set of weekdays means those of them that are working days.
//
// A schedule of weekends alone is refused, whatever the calendar: it would come on made-up days of announced years and then
// never more. That rests on the schedule only, so that what was once accepted stays valid with every later calendar.
func (s Schedule) onWorkingDays(spec string, cal *Calendar) (Schedule, error) {
	rule := *s.rule
	switch rule.Dow {
	case weekdays, 1<<7 - 1: // a day of the month beside it, which cron takes as "or", adds no working day
		rule.Dom, rule.Dow = everyDayOfMonth, everyWeekday
	}
	if rule.Dom&star != 0 && rule.Dow&weekdays == 0 {
		return Schedule{}, zonewire.Invalidf("schedule %q never comes on a regular working day: write 1-5 as weekday for every working day, made-up weekends included, or leave workdays out", spec)
	}
	s.rule, s.working, s.days = &rule, true, cal
	return s, nil
}

// everyWorkingDay reports whether no working day is without a slot.
func (s Schedule) everyWorkingDay() bool {
	r := s.rule
	return s.working && r.Dom&star != 0 && r.Dow&star != 0 && r.Month&star != 0
}

// off reports whether the schedule has no slot on that day.
func (s Schedule) off(slot time.Time) bool { return s.working && !s.days.Working(slot.In(s.loc)) }

// lastMinute is the end of a day on the bare wall clock, from where cron goes on with the next one.
func lastMinute(wall time.Time) time.Time {
	year, month, day := wall.Date()
	return time.Date(year, month, day, 23, 59, 0, 0, time.UTC)
}
