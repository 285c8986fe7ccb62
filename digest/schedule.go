package digest

import (
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"zonewire"
)

// minGap is the least time between two slots of a list: a reader wants news, not a stream.
const minGap = 15 * time.Minute

// Schedule says when a list is due. The zero Schedule never is.
type Schedule struct {
	spec    string // five fields
	rule    *cron.SpecSchedule
	loc     *time.Location
	instant bool      // each minute may be a slot; there is no rule
	working bool      // days off have no slots
	days    *Calendar // says which these are
}

// shorthands are the names of common schedules. They are replaced before cron sees them, because cron's own parser
// takes "@every 5m" as well, which counts from the start of the process and so forgets itself at each restart.
var shorthands = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

// fieldHelp says, in the order of the fields, what each may hold.
var fieldHelp = [...]struct{ name, allowed string }{
	{"minute", "0 to 59"},
	{"hour", "0 to 23"},
	{"day of the month", "1 to 31"},
	{"month", "1 to 12, or jan to dec"},
	{"day of the week", "0 (Sunday) to 6 (Saturday), or sun to sat"},
}

// part is one element of a field. Cron's parser would also take "*-5", "+5" and nothing at all between two commas.
var part = regexp.MustCompile(`^(\*|[0-9a-zA-Z]+(-[0-9a-zA-Z]+)?)(/[0-9]+)?$`)

// ScheduleOf reads the schedule of a list: five cron fields, a shorthand from @hourly to @yearly, or
// [zonewire.Instant], on the wall clock of its IANA time zone. What can never be meant is refused as
// [zonewire.ErrInvalid], with what to write instead: a schedule that never comes, or that comes twice within 15 minutes.
//
// A list that keeps Chinese working days has no slot on a day off; what it would have brought comes with the next slot. A
// nil calendar is the one that ships.
func ScheduleOf(l zonewire.List, cal *Calendar) (Schedule, error) {
	loc, err := location(l.Timezone)
	if err != nil {
		return Schedule{}, err
	}
	if l.IsInstant() {
		if l.Workdays != "" {
			return Schedule{}, zonewire.Invalidf("schedule %s mails every day as soon as something matches: leave workdays out, or give times, such as \"0 8 * * 1-5\"", zonewire.Instant)
		}
		return Schedule{spec: zonewire.Instant, loc: loc, instant: true}, nil
	}
	fields, err := splitSpec(l.Schedule)
	if err != nil {
		return Schedule{}, err
	}
	for i, field := range fields {
		if !validField(i, field) {
			return Schedule{}, badField(l.Schedule, i, field)
		}
	}
	normal := strings.Join(fields, " ")
	parsed, err := cron.ParseStandard(normal)
	if err != nil {
		return Schedule{}, zonewire.Invalidf("schedule %q: %v", l.Schedule, err)
	}
	s := Schedule{spec: normal, rule: parsed.(*cron.SpecSchedule), loc: loc}
	if err := s.checkRhythm(l.Schedule); err != nil {
		return Schedule{}, err
	}
	switch l.Workdays {
	case "":
		return s, nil
	case "cn":
		return s.onWorkingDays(l.Schedule, cal)
	}
	return Schedule{}, zonewire.Invalidf("workdays %q is not cn, which stands for the working days of China; leave it out for every day", l.Workdays)
}

func location(name string) (*time.Location, error) {
	// LoadLocation takes "" for UTC and "Local" for that of the machine: neither is the choice of a list.
	if name != "" && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, zonewire.Invalidf("time zone %.64q is unknown: give a name from the IANA database, such as Asia/Shanghai", name)
}

// splitSpec gives the five fields.
func splitSpec(spec string) ([]string, error) {
	if len(spec) > 200 {
		return nil, zonewire.Invalidf("schedule of %d characters: give five fields, such as \"0 8 * * *\"", len(spec))
	}
	fields := strings.Fields(spec)
	switch {
	case len(fields) == 0:
		return nil, zonewire.Invalidf("the schedule is empty: give five fields, such as \"0 8 * * *\" for every day at 08:00, or @daily")
	case strings.Contains(spec, "TZ="): // it would make cron's parser panic when nothing follows
		return nil, zonewire.Invalidf("schedule %q: the time zone is a setting of its own; leave %s out", spec, fields[0])
	case len(fields) == 1 && shorthands[fields[0]] != "":
		fields = strings.Fields(shorthands[fields[0]])
	case strings.HasPrefix(fields[0], "@"):
		return nil, zonewire.Invalidf("schedule %q: use @hourly, @daily, @weekly, @monthly, @yearly or @instant, or five fields such as \"0 8 * * *\"", spec)
	case len(fields) == 6:
		return nil, zonewire.Invalidf("schedule %q has six fields: seconds are not kept here; try %q", spec, strings.Join(fields[1:], " "))
	case len(fields) != 5:
		return nil, zonewire.Invalidf("schedule %q has %d of five fields (minute, hour, day, month, weekday): write it like \"0 8 * * *\" for every day at 08:00", spec, len(fields))
	}
	return fields, nil
}

// validField asks cron for this field alone: its message for the whole line does not say which field is at fault.
func validField(i int, field string) bool {
	for element := range strings.SplitSeq(field, ",") {
		if !part.MatchString(element) {
			return false
		}
	}
	alone := [...]string{"*", "*", "*", "*", "*"}
	alone[i] = field
	_, err := cron.ParseStandard(strings.Join(alone[:], " "))
	return err == nil
}

func badField(spec string, i int, field string) error {
	help := fieldHelp[i]
	if i == 4 && strings.Contains(field, "7") {
		return zonewire.Invalidf("schedule %q: the %s %q: Sunday is 0 or sun, there is no 7", spec, help.name, field)
	}
	return zonewire.Invalidf("schedule %q: the %s %q cannot be read: write * or %s, a range 1-5, a list 1,3 or a step */2",
		spec, help.name, field, help.allowed)
}

// checkRhythm walks the next slots of some year and refuses what never comes and what comes too often. It walks the
// wall clock, so the answer depends on neither time zone nor day. A day holds 96 slots at the least gap: 100 see it all.
func (s Schedule) checkRhythm(spec string) error {
	slot := s.nextWall(time.Date(2023, 12, 31, 23, 59, 0, 0, time.UTC))
	if slot.IsZero() {
		return zonewire.Invalidf("schedule %q never comes: no such month has such a day", spec)
	}
	for range 100 {
		next := s.nextWall(slot)
		if gap := next.Sub(slot); gap < minGap {
			return zonewire.Invalidf("schedule %q comes at %s and again at %s: leave %d minutes at least, such as \"*/15 * * * *\"",
				spec, slot.Format("15:04"), next.Format("15:04"), int(minGap.Minutes()))
		}
		slot = next
	}
	return nil
}

// Next is the first slot after the given instant, in the list's time zone; zero when there is none.
//
// Cron's own Next misses a run in a spring gap and runs twice in an autumn overlap. So cron is asked on the bare wall
// clock, written as if it were UTC, and the wall time it gives is mapped back.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.instant:
		return after.Truncate(time.Minute).Add(time.Minute).In(s.loc)
	case s.rule == nil:
		return time.Time{}
	}
	wall := wallClock(after, s.loc)
	for end := wall.AddDate(maxOff, 0, 0); ; {
		wall = s.nextWall(wall)
		if wall.IsZero() || s.working && wall.After(end) {
			return time.Time{}
		}
		slot := instant(wall, s.loc)
		switch {
		case s.off(slot):
			wall = lastMinute(wall)
		case slot.After(after):
			return slot
		}
		// In the second pass of an overlap, the wall times left in the hour have had their turn: go on.
	}
}

// nextWall is cron's answer on the bare wall clock. Cron looks five years ahead, but 29 February can be eight years
// away, as in 2096: then it is asked again from where it gave up.
func (s Schedule) nextWall(wall time.Time) time.Time {
	next := s.rule.Next(wall)
	if next.IsZero() {
		next = s.rule.Next(wall.AddDate(5, 0, 0))
	}
	return next
}

// LatestDue merges missed slots: of those from next on it gives the latest that is not after now, and the one that
// follows. Before next is due the slot is zero; when nothing follows, following is. An instant list is due at every
// minute from next on, and what keeps its mails apart is [zonewire.AfterInstant].
func (s Schedule) LatestDue(next, now time.Time) (slot, following time.Time) {
	if s.instant && !next.IsZero() && !next.After(now) {
		return now.Truncate(time.Minute).In(s.loc), s.Next(now)
	}
	for following = next; !following.IsZero() && !following.After(now); {
		slot, following = following, s.Next(following)
	}
	return slot, following
}

// Wall is the slot as people read it: "2026-11-24 08:00 Asia/Shanghai".
func (s Schedule) Wall(slot time.Time) string {
	if s.loc == nil {
		return slot.UTC().Format("2006-01-02 15:04 MST")
	}
	return slot.In(s.loc).Format("2006-01-02 15:04 ") + s.loc.String()
}

// wallClock is what a clock on the wall in loc shows at t, written as if it were UTC.
func wallClock(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when a clock on the wall in loc first shows the wall time; for a time that a gap leaves out, the first
// instant after the gap. (time.Date promises only that one of the two offsets around a change is used.)
func instant(wall time.Time, loc *time.Location) time.Time {
	t := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), loc)
	began, ends := t.ZoneBounds()
	switch shown := wallClock(t, loc); {
	case shown.Before(wall): // a gap, and t lies before it
		return ends
	case shown.After(wall): // a gap, and t lies behind it
		return began
	}
	if began.IsZero() {
		return t
	}
	_, before := began.Add(-time.Second).Zone()
	if first := wall.Add(-time.Duration(before) * time.Second); first.Before(began) {
		return first.In(loc) // an overlap, and t is its second pass
	}
	return t
}
