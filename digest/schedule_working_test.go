package digest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zonewire"
	"zonewire/digest"
)

// working is the schedule of a list that keeps the working days that ship.
func working(t testing.TB, spec, timezone string) digest.Schedule {
	t.Helper()
	s, err := digest.ScheduleOf(zonewire.List{Schedule: spec, Timezone: timezone, Workdays: "cn"}, nil)
	if err != nil {
		t.Fatalf("ScheduleOf(%q, %q) on working days: %v", spec, timezone, err)
	}
	return s
}

// TestNextOnWorkingDays asks each holiday of the shipped years from the last slot before it.
func TestNextOnWorkingDays(t *testing.T) {
	const daily, weekday = "0 8 * * *", "0 8 * * 1-5"
	tests := []struct{ name, spec, after, want string }{
		{"元旦 2024 reaches over a weekend", daily, "2023-12-29 08:00 +0800", "2024-01-02 08:00 +0800"},
		{"春节 2024 begins on a Saturday", daily, "2024-02-09 08:00 +0800", "2024-02-18 08:00 +0800"},
		{"春节 2024: the Sunday worked before it", daily, "2024-02-02 08:00 +0800", "2024-02-04 08:00 +0800"},
		{"清明节 2024 ends on a Saturday, the Sunday is worked", weekday, "2024-04-03 08:00 +0800", "2024-04-07 08:00 +0800"},
		{"劳动节 2024: the Sunday worked before it", weekday, "2024-04-26 08:00 +0800", "2024-04-28 08:00 +0800"},
		{"劳动节 2024", daily, "2024-04-30 08:00 +0800", "2024-05-06 08:00 +0800"},
		{"劳动节 2024: the Saturday worked after it", daily, "2024-05-10 08:00 +0800", "2024-05-11 08:00 +0800"},
		{"端午节 2024", daily, "2024-06-07 08:00 +0800", "2024-06-11 08:00 +0800"},
		{"中秋节 2024: the Saturday worked before it", daily, "2024-09-13 08:00 +0800", "2024-09-14 08:00 +0800"},
		{"中秋节 2024", daily, "2024-09-14 08:00 +0800", "2024-09-18 08:00 +0800"},
		{"国庆节 2024: the Sunday worked before it", daily, "2024-09-27 08:00 +0800", "2024-09-29 08:00 +0800"},
		{"国庆节 2024", daily, "2024-09-30 08:00 +0800", "2024-10-08 08:00 +0800"},
		{"国庆节 2024: the Saturday worked after it", daily, "2024-10-11 08:00 +0800", "2024-10-12 08:00 +0800"},
		{"元旦 2025 is a Wednesday alone", daily, "2024-12-31 08:00 +0800", "2025-01-02 08:00 +0800"},
		{"春节 2025: the Sunday worked before it", daily, "2025-01-24 08:00 +0800", "2025-01-26 08:00 +0800"},
		{"春节 2025", weekday, "2025-01-27 08:00 +0800", "2025-02-05 08:00 +0800"},
		{"春节 2025: the Saturday worked after it", weekday, "2025-02-07 08:00 +0800", "2025-02-08 08:00 +0800"},
		{"清明节 2025", daily, "2025-04-03 08:00 +0800", "2025-04-07 08:00 +0800"},
		{"劳动节 2025: the Sunday worked before it", daily, "2025-04-25 08:00 +0800", "2025-04-27 08:00 +0800"},
		{"劳动节 2025", daily, "2025-04-30 08:00 +0800", "2025-05-06 08:00 +0800"},
		{"端午节 2025", daily, "2025-05-30 08:00 +0800", "2025-06-03 08:00 +0800"},
		{"国庆节和中秋节 2025: the Sunday worked before them", daily, "2025-09-26 08:00 +0800", "2025-09-28 08:00 +0800"},
		{"国庆节和中秋节 2025", daily, "2025-09-30 08:00 +0800", "2025-10-09 08:00 +0800"},
		{"国庆节和中秋节 2025: the Saturday worked after them", daily, "2025-10-10 08:00 +0800", "2025-10-11 08:00 +0800"},
		{"元旦 2026 ends on a Saturday, the Sunday is worked", daily, "2025-12-31 08:00 +0800", "2026-01-04 08:00 +0800"},
		{"春节 2026: the Saturday worked before it", weekday, "2026-02-13 08:00 +0800", "2026-02-14 08:00 +0800"},
		{"春节 2026", weekday, "2026-02-14 08:00 +0800", "2026-02-24 08:00 +0800"},
		{"春节 2026: the Saturday worked after it", weekday, "2026-02-27 08:00 +0800", "2026-02-28 08:00 +0800"},
		{"清明节 2026", daily, "2026-04-03 08:00 +0800", "2026-04-07 08:00 +0800"},
		{"劳动节 2026", daily, "2026-04-30 08:00 +0800", "2026-05-06 08:00 +0800"},
		{"劳动节 2026: the Saturday worked after it", daily, "2026-05-08 08:00 +0800", "2026-05-09 08:00 +0800"},
		{"端午节 2026", daily, "2026-06-18 08:00 +0800", "2026-06-22 08:00 +0800"},
		{"国庆节 2026: the Sunday worked long before it", daily, "2026-09-18 08:00 +0800", "2026-09-20 08:00 +0800"},
		{"中秋节 2026", daily, "2026-09-24 08:00 +0800", "2026-09-28 08:00 +0800"},
		{"国庆节 2026", daily, "2026-09-30 08:00 +0800", "2026-10-08 08:00 +0800"},
		{"国庆节 2026: the Saturday worked after it", daily, "2026-10-09 08:00 +0800", "2026-10-10 08:00 +0800"},
		{"a year that nobody has announced has plain weekends", daily, "2027-01-29 08:00 +0800", "2027-02-01 08:00 +0800"},

		{"the weekdays by name", "0 8 * * mon,tue,wed,thu,fri", "2026-02-27 08:00 +0800", "2026-02-28 08:00 +0800"},
		{"all seven days by number", "0 8 * * 0-6", "2026-09-18 08:00 +0800", "2026-09-20 08:00 +0800"},
		{"a Monday off waits for the next Monday", "0 8 * * 1", "2026-02-09 08:00 +0800", "2026-03-02 08:00 +0800"},
		{"a worked Saturday is no Monday", "0 8 * * 1", "2026-09-14 08:00 +0800", "2026-09-21 08:00 +0800"},
		{"Monday to Saturday takes worked Saturdays", "0 8 * * 1-6", "2026-10-09 08:00 +0800", "2026-10-10 08:00 +0800"},
		{"and no Sundays", "0 8 * * 1-6", "2026-09-18 08:00 +0800", "2026-09-21 08:00 +0800"},
		{"a day of the month that is off waits for the next month", "0 8 1 * *", "2026-04-01 08:00 +0800", "2026-06-01 08:00 +0800"},
		{"a day of the month or any weekday is every working day", "0 8 31 * 1-5", "2026-10-09 08:00 +0800", "2026-10-10 08:00 +0800"},
		{"a day of the month or a Monday", "0 8 1 * 1", "2026-09-28 08:00 +0800", "2026-10-12 08:00 +0800"},
		{"a month", "0 8 * 10 *", "2025-10-31 08:00 +0800", "2026-10-08 08:00 +0800"},
		{"several times a day", "0 8,18 * * *", "2026-09-30 08:00 +0800", "2026-09-30 18:00 +0800"},
		{"several times a day, after the last", "0 8,18 * * *", "2026-09-30 18:00 +0800", "2026-10-08 08:00 +0800"},
		{"each hour, over a holiday", "0 * * * *", "2026-09-30 23:00 +0800", "2026-10-08 00:00 +0800"},
		{"29 February that is a Sunday waits eight years", "0 8 29 2 *", "2028-02-29 08:00 +0800", "2036-02-29 08:00 +0800"},
		{"and over a century without a leap year", "0 8 29 2 *", "2084-02-29 08:00 +0800", "2092-02-29 08:00 +0800"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := working(t, tt.spec, "Asia/Shanghai").Next(at(t, tt.after))
			if want := at(t, tt.want); !got.Equal(want) {
				t.Errorf("Next(%s) of %q = %v, want %v", tt.after, tt.spec, got, want)
			}
		})
	}
}

// The civil day is that of the list, not of Beijing.
func TestWorkingDaysInAnotherTimeZone(t *testing.T) {
	s := working(t, "30 2 * * *", "America/New_York")
	// 8 March 2026, when clocks go forward, is a Sunday.
	if got, want := s.Next(at(t, "2026-03-06 02:30 -0500")), at(t, "2026-03-09 02:30 -0400"); !got.Equal(want) {
		t.Errorf("over the change of clocks: got %v, want %v", got, want)
	}
	// In Shanghai it is the National Day by then.
	if got, want := s.Next(at(t, "2026-09-30 02:00 -0400")), at(t, "2026-09-30 02:30 -0400"); !got.Equal(want) {
		t.Errorf("on the eve: got %v, want %v", got, want)
	}
	// Friday, 30 December 2011 was skipped, and its slot would come on a Saturday.
	if got, want := working(t, "0 8 * * *", "Pacific/Apia").Next(at(t, "2011-12-29 08:00 -1000")), at(t, "2012-01-02 08:00 +1400"); !got.Equal(want) {
		t.Errorf("over the day that Samoa skipped: got %v, want %v", got, want)
	}
}

func TestLatestDueOnWorkingDays(t *testing.T) {
	tests := []struct{ name, spec, next, now, slot, following string }{
		{"in the holiday nothing is due", "0 8 * * 1-5", "2026-02-24 08:00 +0800", "2026-02-18 12:00 +0800", "", "2026-02-24 08:00 +0800"},
		{"its news comes with the first slot after it", "0 8 * * 1-5", "2026-02-24 08:00 +0800", "2026-02-24 08:00 +0800", "2026-02-24 08:00 +0800", "2026-02-25 08:00 +0800"},
		{"missed slots merge over the holiday", "0 8 * * 1-5", "2026-02-12 08:00 +0800", "2026-02-20 12:00 +0800", "2026-02-14 08:00 +0800", "2026-02-24 08:00 +0800"},
		{"a slot stored before the calendar said that it is off still counts", "0 8 * * *", "2026-10-01 08:00 +0800", "2026-10-01 09:00 +0800", "2026-10-01 08:00 +0800", "2026-10-08 08:00 +0800"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			slot, following := working(t, tt.spec, "Asia/Shanghai").LatestDue(at(t, tt.next), at(t, tt.now))
			if !slot.Equal(at(t, tt.slot)) || !following.Equal(at(t, tt.following)) {
				t.Errorf("LatestDue(%s, %s) = %v, %v, want %s, %s", tt.next, tt.now, slot, following, tt.slot, tt.following)
			}
		})
	}
}

// TestEveryWorkingDayHasItsSlot draws times, zones and ways to say every working day, and walks two years of days.
func TestEveryWorkingDayHasItsSlot(t *testing.T) {
	zones := []string{"Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "UTC"}
	specs := []string{"0 0 * * *", "30 2 * * 1-5", "0 8 * * 0-6", "59 23 * * mon-fri", "15 1 31 * 1-5"}
	var cal *digest.Calendar
	rapid.Check(t, func(t *rapid.T) {
		zone, spec := rapid.SampledFrom(zones).Draw(t, "zone"), rapid.SampledFrom(specs).Draw(t, "spec")
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := digest.ScheduleOf(zonewire.List{Schedule: spec, Timezone: zone, Workdays: "cn"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		noon := time.Date(2023, 12, rapid.IntRange(1, 700).Draw(t, "day"), 12, 0, 0, 0, loc)
		slot := s.Next(time.Date(noon.Year(), noon.Month(), noon.Day()-1, 23, 59, 59, 0, loc))
		for range 800 {
			if cal.Working(noon) {
				if slot.Format(time.DateOnly) != noon.Format(time.DateOnly) {
					t.Fatalf("%q in %s: the slot after those before %s is %v", spec, zone, noon.Format(time.DateOnly), slot)
				}
				slot = s.Next(slot)
			}
			noon = noon.AddDate(0, 0, 1)
		}
	})
}

// TestNoSlotOnADayOff draws schedules of any kind.
func TestNoSlotOnADayOff(t *testing.T) {
	var cal *digest.Calendar
	specs := []string{"*/15 * * * *", "0 8,18 * * 1-6", "0 8 * * 1,3", "0 8 1,15 * *", "0 8 1 * 6", "0 0 * * *", "0 8 */2 * 5"}
	zones := []string{"Asia/Shanghai", "America/New_York", "Pacific/Apia", "Asia/Kathmandu"}
	rapid.Check(t, func(t *rapid.T) {
		l := zonewire.List{Schedule: rapid.SampledFrom(specs).Draw(t, "spec"), Timezone: rapid.SampledFrom(zones).Draw(t, "zone"), Workdays: "cn"}
		s, err := digest.ScheduleOf(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Workdays = ""
		all, err := digest.ScheduleOf(l, nil)
		if err != nil {
			t.Fatal(err)
		}
		slot := time.Unix(rapid.Int64Range(1_300_000_000, 1_830_000_000).Draw(t, "after"), 0) // 2011 to 2027
		for range 20 {
			next := s.Next(slot)
			if !next.After(slot) || !cal.Working(next) {
				t.Fatalf("Next(%v) of %q in %s = %v: not later, or on a day off", slot, l.Schedule, l.Timezone, next)
			}
			if again := all.Next(next.Add(-time.Second)); !again.Equal(next) {
				t.Fatalf("%v is no slot of %q in %s without working days", next, l.Schedule, l.Timezone)
			}
			slot = next
		}
	})
}

func TestScheduleOfRefuses(t *testing.T) {
	tests := []struct {
		name string
		list zonewire.List
		want string
	}{
		{"a worked Saturday is too rare", zonewire.List{Schedule: "0 8 * * 6", Workdays: "cn"}, "never comes on a regular working day: write 1-5 as weekday"},
		{"so are weekends", zonewire.List{Schedule: "0 8 * * sat,sun", Workdays: "cn"}, "never comes on a regular working day"},
		{"what never comes at all", zonewire.List{Schedule: "0 8 30 2 *", Workdays: "cn"}, "no such month has such a day"},
		{"what comes too often", zonewire.List{Schedule: "*/5 * * * *", Workdays: "cn"}, "leave 15 minutes"},
		{"an instant list has no days off", zonewire.List{Schedule: zonewire.Instant, Workdays: "cn"}, "leave workdays out, or give times"},
		{"the working days of another country", zonewire.List{Schedule: "0 8 * * *", Workdays: "de"}, `workdays "de" is not cn`},
		{"an instant list in no time zone", zonewire.List{Schedule: zonewire.Instant, Timezone: "Asia/Peking"}, "is unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.list.Timezone == "" {
				tt.list.Timezone = "Asia/Shanghai"
			}
			_, err := digest.ScheduleOf(tt.list, nil)
			if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

// TestCalendarWithoutWork holds that the search for a slot ends.
func TestCalendarWithoutWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "off.txt")
	if err := os.WriteFile(file, []byte("years 2000..2049\n2000-01-01..2049-12-31 off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cal, err := digest.LoadCalendar(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := digest.ScheduleOf(zonewire.List{Schedule: "*/15 * * * *", Timezone: "Asia/Shanghai", Workdays: "cn"}, cal)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Next(day(t, "2026-11-24")); !got.IsZero() {
		t.Errorf("got %v, want none", got)
	}
	if got, want := s.Next(day(t, "2049-11-24")), at(t, "2050-01-03 00:00 +0800"); !got.Equal(want) {
		t.Errorf("got %v, want %v, the first Monday after", got, want)
	}
}

func TestDescribeWorkingDays(t *testing.T) {
	tests := []struct{ name, spec, zh, en string }{
		{"every day", "0 8 * * *", "工作日 08:00（含调休，节假日顺延）", "on Chinese working days at 08:00"},
		{"weekdays", "0 8,18 * * 1-5", "工作日 08:00、18:00（含调休，节假日顺延）", "on Chinese working days at 08:00 and 18:00"},
		{"all days by number", "0 8 * * 0-6", "工作日 08:00（含调休，节假日顺延）", "on Chinese working days at 08:00"},
		{"one day", "0 9 * * 1", "每周一 09:00（遇休息日并入下一期）", "every Monday at 09:00, except on Chinese days off"},
		{"once a month", "0 9 1 * *", "每月 1 日 09:00（遇休息日并入下一期）", "on day 1 of every month at 09:00, except on Chinese days off"},
		{"each hour", "@hourly", "每小时第 0 分（遇休息日并入下一期）", "every hour at :00, except on Chinese days off"},
		{"no words", "0 6-18/2 * * *", "0 6-18/2 * * * Asia/Shanghai（遇休息日并入下一期）", "0 6-18/2 * * * Asia/Shanghai, except on Chinese days off"},
		{"one month", "0 8 * 10 *", "0 8 * 10 * Asia/Shanghai（遇休息日并入下一期）", "0 8 * 10 * Asia/Shanghai, except on Chinese days off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := working(t, tt.spec, "Asia/Shanghai")
			for locale, want := range map[string]string{zonewire.LocaleZH: tt.zh, zonewire.LocaleEN: tt.en} {
				if got := s.Describe(locale); got != want {
					t.Errorf("Describe(%q) of %q = %q, want %q", locale, tt.spec, got, want)
				}
			}
		})
	}
}
