package digest_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"zonewire"
	"zonewire/digest"
)

// parseSchedule reads the schedule of a list that sends on days off too.
func parseSchedule(spec, timezone string) (digest.Schedule, error) {
	return digest.ScheduleOf(zonewire.List{Schedule: spec, Timezone: timezone}, nil)
}

func schedule(t testing.TB, spec, timezone string) digest.Schedule {
	t.Helper()
	s, err := parseSchedule(spec, timezone)
	if err != nil {
		t.Fatalf("parseSchedule(%q, %q): %v", spec, timezone, err)
	}
	return s
}

// at reads "2026-11-24 08:00 +0800"; empty is the zero time.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	v, err := time.Parse("2006-01-02 15:04 -0700", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParseScheduleRefuses(t *testing.T) {
	tests := []struct{ name, spec, timezone, want string }{
		{"nothing", " ", "Asia/Shanghai", "is empty: give five fields"},
		{"a time zone in the spec", "TZ=UTC 0 8 * * *", "Asia/Shanghai", "leave TZ=UTC out"},
		{"a time zone with nothing behind it, which panics cron", "CRON_TZ=UTC", "Asia/Shanghai", "leave CRON_TZ=UTC out"},
		{"an interval, which a restart forgets", "@every 20m", "Asia/Shanghai", "use @hourly, @daily"},
		{"an interval of nothing", "@every 0s", "Asia/Shanghai", "use @hourly, @daily"},
		{"a shorthand that does not exist", "@noon", "Asia/Shanghai", "use @hourly, @daily"},
		{"a shorthand and more", "@daily 5", "Asia/Shanghai", "use @hourly, @daily"},
		{"instant and more", "@instant 5", "Asia/Shanghai", "use @hourly, @daily"},
		{"seconds", "0 30 8 * * *", "Asia/Shanghai", `six fields: seconds are not kept here; try "30 8 * * *"`},
		{"too few fields", "0 8 * *", "Asia/Shanghai", "has 4 of five fields"},
		{"too many fields", "0 0 8 * * * 2026", "Asia/Shanghai", "has 7 of five fields"},
		{"a minute too large", "60 8 * * *", "Asia/Shanghai", `the minute "60" cannot be read: write * or 0 to 59`},
		{"an hour too large", "0 24 * * *", "Asia/Shanghai", `the hour "24" cannot be read`},
		{"day zero", "0 8 0 * *", "Asia/Shanghai", `the day of the month "0" cannot be read`},
		{"a month that is none", "0 8 * dez *", "Asia/Shanghai", `the month "dez" cannot be read`},
		{"7 for Sunday", "0 8 * * 7", "Asia/Shanghai", "Sunday is 0 or sun, there is no 7"},
		{"7 for Sunday in a range", "0 8 * * 5-7", "Asia/Shanghai", "Sunday is 0 or sun, there is no 7"},
		{"a range backwards", "0 8 * * fri-mon", "Asia/Shanghai", `the day of the week "fri-mon" cannot be read`},
		{"a step of nothing", "0 */0 * * *", "Asia/Shanghai", `the hour "*/0" cannot be read`},
		{"a step past counting", "0 */99999999999999999999 * * *", "Asia/Shanghai", "the hour"},
		{"an empty element", "0 8,,9 * * *", "Asia/Shanghai", `the hour "8,,9" cannot be read`},
		{"a comma alone, which cron takes for never", "0 , * * *", "Asia/Shanghai", `the hour "," cannot be read`},
		{"a star with an end, which cron takes for a star", "0 *-5 * * *", "Asia/Shanghai", `the hour "*-5" cannot be read`},
		{"a sign, which cron swallows", "0 +8 * * *", "Asia/Shanghai", `the hour "+8" cannot be read`},
		{"a full-width digit", "0 \uff18 * * *", "Asia/Shanghai", "the hour \"\uff18\" cannot be read"},
		{"30 February", "0 0 30 2 *", "Asia/Shanghai", "never comes"},
		{"31 of the short months", "0 0 31 4,6,9,11 *", "Asia/Shanghai", "never comes"},
		{"every minute", "* * * * *", "Asia/Shanghai", "comes at 00:00 and again at 00:01: leave 15 minutes"},
		{"14 minutes apart", "0,14 8 * * *", "Asia/Shanghai", "comes at 08:00 and again at 08:14"},
		{"14 minutes apart over the hour", "50,4 8,9 * * *", "Asia/Shanghai", "comes at 08:50 and again at 09:04"},
		{"a minute apart over midnight", "0,59 0,23 * * *", "Asia/Shanghai", "comes at 23:59 and again at 00:00"},
		{"a minute apart late on a full day", "0,16,32,59 0,2,4,6,8,10,12,14,16,18,20,22,23 * * *", "Asia/Shanghai", "comes at 22:59 and again at 23:00"},
		{"a line past reading", strings.Repeat("0,", 200) + "0 8 * * *", "Asia/Shanghai", "schedule of 409 characters"},
		{"a time zone that is none", "0 8 * * *", "Asia/Peking", `time zone "Asia/Peking" is unknown: give a name from the IANA database, such as Asia/Shanghai`},
		{"no time zone", "0 8 * * *", "", "is unknown"},
		{"the machine's time zone", "0 8 * * *", "Local", "is unknown"},
		{"a path as time zone", "0 8 * * *", "../../etc/passwd", "is unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseSchedule(tt.spec, tt.timezone)
			if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseSchedule(%q, %q) = %v, want ErrInvalid with %q", tt.spec, tt.timezone, err, tt.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	tests := []struct{ name, spec, timezone, after, want string }{
		{"later the same day", "0 8 * * *", "Asia/Shanghai", "2026-11-24 07:59 +0800", "2026-11-24 08:00 +0800"},
		{"a slot is after itself only tomorrow", "0 8 * * *", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-25 08:00 +0800"},
		{"the zone of the list counts, not that of the question", "0 8 * * *", "Asia/Shanghai", "2026-11-23 23:30 +0000", "2026-11-24 08:00 +0800"},
		{"over the end of the year", "0 8 * * *", "Asia/Shanghai", "2026-12-31 09:00 +0800", "2027-01-01 08:00 +0800"},
		{"a weekday after Friday is Monday", "30 7 * * 1-5", "Asia/Shanghai", "2026-11-27 07:30 +0800", "2026-11-30 07:30 +0800"},
		{"names of days, in any case", "30 7 * * Mon-FRI", "Asia/Shanghai", "2026-11-27 07:30 +0800", "2026-11-30 07:30 +0800"},
		{"both days given mean either", "0 8 1 * 1", "Asia/Shanghai", "2026-11-30 08:00 +0800", "2026-12-01 08:00 +0800"},
		{"the 31st leaves short months out", "0 8 31 * *", "Asia/Shanghai", "2026-03-31 08:00 +0800", "2026-05-31 08:00 +0800"},
		{"29 February waits for a leap year", "0 8 29 2 *", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2028-02-29 08:00 +0800"},
		{"29 February, when the century is no leap year", "0 8 29 2 *", "Asia/Shanghai", "2096-02-29 08:00 +0800", "2104-02-29 08:00 +0800"},
		{"@hourly", "@hourly", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-24 09:00 +0800"},
		{"@daily", "@daily", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-25 00:00 +0800"},
		{"@midnight", "@midnight", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-25 00:00 +0800"},
		{"@weekly is Sunday", "@weekly", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-29 00:00 +0800"},
		{"@monthly", "@monthly", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-12-01 00:00 +0800"},
		{"@yearly", "@yearly", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2027-01-01 00:00 +0800"},
		{"@annually", "@annually", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2027-01-01 00:00 +0800"},
		{"four times an hour, from any second", "*/15 * * * *", "Asia/Shanghai", "2026-11-24 08:01 +0800", "2026-11-24 08:15 +0800"},
		{"@instant is the next whole minute", "@instant", "Asia/Shanghai", "2026-11-24 08:00 +0800", "2026-11-24 08:01 +0800"},
		{"a half-hour zone", "0 8 * * *", "Asia/Kolkata", "2026-11-24 08:00 +0800", "2026-11-24 08:00 +0530"},

		{"New York, spring: a time that is skipped comes at the end of the gap", "30 2 * * *", "America/New_York", "2026-03-07 02:30 -0500", "2026-03-08 03:00 -0400"},
		{"New York, spring: and the day after at its own time", "30 2 * * *", "America/New_York", "2026-03-08 03:00 -0400", "2026-03-09 02:30 -0400"},
		{"New York, spring: several skipped times come once", "*/15 * * * *", "America/New_York", "2026-03-08 01:45 -0500", "2026-03-08 03:00 -0400"},
		{"New York, spring: and do not come again", "*/15 * * * *", "America/New_York", "2026-03-08 03:00 -0400", "2026-03-08 03:15 -0400"},
		{"New York, autumn: a repeated time comes at its first pass", "30 1 * * *", "America/New_York", "2026-10-31 01:30 -0400", "2026-11-01 01:30 -0400"},
		{"New York, autumn: and not at the second", "30 1 * * *", "America/New_York", "2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"},
		{"New York, autumn: asked between the passes", "30 1 * * *", "America/New_York", "2026-11-01 01:10 -0500", "2026-11-02 01:30 -0500"},
		{"New York, autumn: asked in the second pass", "30 1 * * *", "America/New_York", "2026-11-01 01:40 -0500", "2026-11-02 01:30 -0500"},
		{"New York, autumn: an hourly list leaves the repeated hour out", "0 * * * *", "America/New_York", "2026-11-01 01:00 -0400", "2026-11-01 02:00 -0500"},
		{"Beirut: midnight is skipped", "0 0 * * *", "Asia/Beirut", "2026-03-28 12:00 +0200", "2026-03-29 01:00 +0300"},
		{"Havana: midnight comes twice", "0 0 * * *", "America/Havana", "2026-11-01 00:00 -0400", "2026-11-02 00:00 -0500"},
		{"Lord Howe: half an hour is skipped", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00 +1030", "2026-10-04 02:30 +1100"},
		{"Apia: a whole day was skipped", "0 8 * * *", "Pacific/Apia", "2011-12-29 08:00 -1000", "2011-12-31 00:00 +1400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := schedule(t, tt.spec, tt.timezone).Next(at(t, tt.after))
			if want := at(t, tt.want); !got.Equal(want) {
				t.Errorf("Next(%s) of %q in %s = %v, want %v", tt.after, tt.spec, tt.timezone, got, want)
			}
		})
	}
	t.Run("the zero schedule never comes", func(t *testing.T) {
		if got := (digest.Schedule{}).Next(at(t, "2026-11-24 08:00 +0800")); !got.IsZero() {
			t.Errorf("got %v, want the zero time", got)
		}
	})
}

// TestEveryWallTimeComesOnce walks four years of local days and holds the slots against a list made without cron: the
// first instant, minute by minute, whose clock shows the time, or has passed it.
func TestEveryWallTimeComesOnce(t *testing.T) {
	zones := []string{"Asia/Shanghai", "America/New_York", "Europe/Berlin", "America/Sao_Paulo", "America/St_Johns",
		"America/Havana", "America/Santiago", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu",
		"Atlantic/Azores", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Kiritimati", "Antarctica/Troll", "UTC"}
	clocks := []struct {
		spec         string
		hour, minute int
	}{{"0 0 * * *", 0, 0}, {"30 0 * * *", 0, 30}, {"30 1 * * *", 1, 30}, {"0 2 * * *", 2, 0}, {"30 2 * * *", 2, 30}, {"0 3 * * *", 3, 0}, {"0 8 * * *", 8, 0}, {"59 23 * * *", 23, 59}}
	for _, zone := range zones {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range clocks {
			s := schedule(t, c.spec, zone)
			got := s.Next(time.Date(2023, 12, 31, 23, 59, 0, 0, loc))
			for day := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2028; day = day.AddDate(0, 0, 1) {
				if want := firstShown(day, c.hour, c.minute, loc); !got.Equal(want) {
					t.Fatalf("%s in %s on %s = %v, want %v", c.spec, zone, day.Format(time.DateOnly), got, want)
				}
				got = s.Next(got)
			}
		}
	}
}

// firstShown steps in quarters of an hour from well before the time; no change of 2024 to 2027 falls between them.
func firstShown(day time.Time, hour, minute int, loc *time.Location) time.Time {
	wall := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
	for t := time.Date(day.Year(), day.Month(), day.Day(), hour-3, minute, 0, 0, loc); ; t = t.Add(15 * time.Minute) {
		_, offset := t.Zone()
		if shown := t.UTC().Add(time.Duration(offset) * time.Second); !shown.Before(wall) {
			return t
		}
	}
}

// TestNextIsStrictlyLater draws schedules, zones and instants: no answer may be its own argument (cron's is, for some
// zones, which makes an endless loop), and none may be left out when one asks from just before.
func TestNextIsStrictlyLater(t *testing.T) {
	zones := []string{"Asia/Shanghai", "America/New_York", "America/St_Johns", "Europe/Lisbon", "Africa/Casablanca",
		"Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Antarctica/Troll", "Asia/Pyongyang"}
	specs := []string{"*/15 * * * *", "0 * * * *", "30 1,2 * * *", "0 0 * * *", "0 8 1 * 1", "0 8 29 2 *", "15 23 * * 0", "@monthly"}
	rapid.Check(t, func(t *rapid.T) {
		zone, spec := rapid.SampledFrom(zones).Draw(t, "zone"), rapid.SampledFrom(specs).Draw(t, "spec")
		s, err := parseSchedule(spec, zone)
		if err != nil {
			t.Fatal(err)
		}
		after := time.Unix(rapid.Int64Range(1_199_145_600, 1_830_000_000).Draw(t, "after"), 0) // 2008 to 2027
		for range 20 {
			next := s.Next(after)
			if !next.After(after) {
				t.Fatalf("Next(%v) of %q in %s = %v: not later", after, spec, zone, next)
			}
			if again := s.Next(next.Add(-time.Second)); !again.Equal(next) {
				t.Fatalf("Next(%v) of %q in %s is %v, but a second before it is %v", after, spec, zone, next, again)
			}
			after = next
		}
	})
}

func TestLatestDue(t *testing.T) {
	tests := []struct{ name, spec, next, now, slot, following string }{
		{"due now", "0 8 * * *", "2026-11-24 08:00 +0800", "2026-11-24 08:00 +0800", "2026-11-24 08:00 +0800", "2026-11-25 08:00 +0800"},
		{"due a little ago", "0 8 * * *", "2026-11-24 08:00 +0800", "2026-11-24 09:00 +0800", "2026-11-24 08:00 +0800", "2026-11-25 08:00 +0800"},
		{"not due yet", "0 8 * * *", "2026-11-24 08:00 +0800", "2026-11-24 07:59 +0800", "", "2026-11-24 08:00 +0800"},
		{"three missed days merge into the last", "0 8 * * *", "2026-11-21 08:00 +0800", "2026-11-24 08:30 +0800", "2026-11-24 08:00 +0800", "2026-11-25 08:00 +0800"},
		{"a missed weekend had no slots", "0 8 * * 1-5", "2026-11-20 08:00 +0800", "2026-11-22 12:00 +0800", "2026-11-20 08:00 +0800", "2026-11-23 08:00 +0800"},
		{"a year of hours", "0 * * * *", "2025-11-24 08:00 +0800", "2026-11-24 08:30 +0800", "2026-11-24 08:00 +0800", "2026-11-24 09:00 +0800"},
		{"a slot cut before the schedule changed still counts", "0 8 * * *", "2026-11-24 07:00 +0800", "2026-11-24 07:30 +0800", "2026-11-24 07:00 +0800", "2026-11-24 08:00 +0800"},
		{"instant: now is a slot", "@instant", "2026-11-24 07:10 +0800", "2026-11-24 07:30 +0800", "2026-11-24 07:30 +0800", "2026-11-24 07:31 +0800"},
		{"instant: until the hour's mails are spent, which only the store knows", "@instant", "2026-11-24 08:00 +0800", "2026-11-24 07:30 +0800", "", "2026-11-24 08:00 +0800"},
		{"instant: never", "@instant", "", "2026-11-24 07:30 +0800", "", ""},
		{"never", "0 8 * * *", "", "2026-11-24 07:30 +0800", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			slot, following := schedule(t, tt.spec, "Asia/Shanghai").LatestDue(at(t, tt.next), at(t, tt.now))
			if !slot.Equal(at(t, tt.slot)) || !following.Equal(at(t, tt.following)) {
				t.Errorf("LatestDue(%s, %s) = %v, %v, want %s, %s", tt.next, tt.now, slot, following, tt.slot, tt.following)
			}
		})
	}
}

func TestWall(t *testing.T) {
	slot := at(t, "2026-11-24 00:00 +0000")
	if got, want := schedule(t, "@daily", "Asia/Shanghai").Wall(slot), "2026-11-24 08:00 Asia/Shanghai"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDescribe(t *testing.T) {
	tests := []struct{ name, spec, zh, en string }{
		{"every day", "0 8 * * *", "每天 08:00", "every day at 08:00"},
		{"every day, said with steps of one", "0 8 */1 * *", "每天 08:00", "every day at 08:00"},
		{"twice a day", "0 8,18 * * *", "每天 08:00、18:00", "every day at 08:00 and 18:00"},
		{"weekdays", "0 8 * * 1-5", "工作日 08:00", "on weekdays at 08:00"},
		{"weekdays by name", "30 7 * * mon,tue,wed,thu,fri", "工作日 07:30", "on weekdays at 07:30"},
		{"weekends", "0 9 * * 0,6", "周末 09:00", "on weekends at 09:00"},
		{"one day", "0 9 * * 1", "每周一 09:00", "every Monday at 09:00"},
		{"three days", "0 9 * * 1,3,5", "每周一、三、五 09:00", "every Monday, Wednesday and Friday at 09:00"},
		{"@weekly", "@weekly", "每周日 00:00", "every Sunday at 00:00"},
		{"once a month", "0 9 1 * *", "每月 1 日 09:00", "on day 1 of every month at 09:00"},
		{"twice a month", "0 9 1,15 * *", "每月 1、15 日 09:00", "on day 1 and 15 of every month at 09:00"},
		{"@hourly", "@hourly", "每小时第 0 分", "every hour at :00"},
		{"too many times for words", "0 6-18/2 * * *", "0 6-18/2 * * * Asia/Shanghai", "0 6-18/2 * * * Asia/Shanghai"},
		{"four an hour", "*/15 * * * *", "*/15 * * * * Asia/Shanghai", "*/15 * * * * Asia/Shanghai"},
		{"either day", "0 8 1 * 1", "0 8 1 * 1 Asia/Shanghai", "0 8 1 * 1 Asia/Shanghai"},
		{"every day of the month by number, or Mondays", "0 8 1-31 * 1", "0 8 1-31 * 1 Asia/Shanghai", "0 8 1-31 * 1 Asia/Shanghai"},
		{"once a year", "@yearly", "0 0 1 1 * Asia/Shanghai", "0 0 1 1 * Asia/Shanghai"},
		{"as it comes", "@instant", "一有匹配的消息就发，每小时最多 4 封", "as soon as something matches, at most 4 mails an hour"},
		{"extra spaces are not repeated", " 0  8 1   1 * ", "0 8 1 1 * Asia/Shanghai", "0 8 1 1 * Asia/Shanghai"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := schedule(t, tt.spec, "Asia/Shanghai")
			for locale, want := range map[string]string{zonewire.LocaleZH: tt.zh, zonewire.LocaleEN: tt.en, "fr": tt.zh} {
				if got := s.Describe(locale); got != want {
					t.Errorf("Describe(%q) of %q = %q, want %q", locale, tt.spec, got, want)
				}
			}
		})
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, spec := range []string{"0 8 * * *", "*/15 * * * *", "@daily", "@every 1s", "@instant", "TZ=", "CRON_TZ=UTC", "0 0 30 2 *",
		"0 0 29 2 *", "0 8 1 * 1", ", , , , ,", "*/99999999999999999999 * * * *", "1-5/2,7 mon-fri * * *", "0 0 8 * * *", "* * *", "0 8 * * 7"} {
		f.Add(spec, "Asia/Shanghai")
	}
	f.Add("0 8 * * *", "America/New_York")
	f.Add("0 8 * * *", "Local")
	f.Add("0 8 * * *", "../etc")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec, timezone string) {
		s, err := parseSchedule(spec, timezone)
		if err != nil {
			if !errors.Is(err, zonewire.ErrInvalid) {
				t.Fatalf("parseSchedule(%q, %q) = %v, want ErrInvalid", spec, timezone, err)
			}
			return
		}
		first := s.Next(start)
		second := s.Next(first)
		if !first.After(start) || !second.After(first) {
			t.Fatalf("slots of %q in %q: %v, %v: not later than %v", spec, timezone, first, second, start)
		}
		if s.Describe(zonewire.LocaleEN) == "" || s.Describe(zonewire.LocaleZH) == "" {
			t.Fatalf("%q in %q has no description", spec, timezone)
		}
	})
}
