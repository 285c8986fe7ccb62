package digest_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/digest"
)

// day reads "2026-02-15" as the middle of that day in Shanghai.
func day(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation(time.DateOnly, text, zonewire.Shanghai)
	if err != nil {
		t.Fatal(err)
	}
	return v.Add(12 * time.Hour)
}

// TestShippedHolidays holds each holiday of the notices against the file: its first and last day, the days around it, and
// the days worked for it.
func TestShippedHolidays(t *testing.T) {
	tests := []struct {
		name, first, last string
		before, after     bool // whether the days next to it are worked
		made              []string
	}{
		{"元旦 2024", "2024-01-01", "2024-01-01", false, true, nil},
		{"春节 2024", "2024-02-10", "2024-02-17", true, true, []string{"2024-02-04", "2024-02-18"}},
		{"清明节 2024", "2024-04-04", "2024-04-06", true, true, []string{"2024-04-07"}},
		{"劳动节 2024", "2024-05-01", "2024-05-05", true, true, []string{"2024-04-28", "2024-05-11"}},
		{"端午节 2024", "2024-06-08", "2024-06-10", true, true, nil},
		{"中秋节 2024", "2024-09-15", "2024-09-17", true, true, []string{"2024-09-14"}},
		{"国庆节 2024", "2024-10-01", "2024-10-07", true, true, []string{"2024-09-29", "2024-10-12"}},
		{"元旦 2025", "2025-01-01", "2025-01-01", true, true, nil},
		{"春节 2025", "2025-01-28", "2025-02-04", true, true, []string{"2025-01-26", "2025-02-08"}},
		{"清明节 2025", "2025-04-04", "2025-04-06", true, true, nil},
		{"劳动节 2025", "2025-05-01", "2025-05-05", true, true, []string{"2025-04-27"}},
		{"端午节 2025", "2025-05-31", "2025-06-02", true, true, nil},
		{"国庆节、中秋节 2025", "2025-10-01", "2025-10-08", true, true, []string{"2025-09-28", "2025-10-11"}},
		{"元旦 2026", "2026-01-01", "2026-01-03", true, true, []string{"2026-01-04"}},
		{"春节 2026", "2026-02-15", "2026-02-23", true, true, []string{"2026-02-14", "2026-02-28"}},
		{"清明节 2026", "2026-04-04", "2026-04-06", true, true, nil},
		{"劳动节 2026", "2026-05-01", "2026-05-05", true, true, []string{"2026-05-09"}},
		{"端午节 2026", "2026-06-19", "2026-06-21", true, true, nil},
		{"中秋节 2026", "2026-09-25", "2026-09-27", true, true, nil},
		{"国庆节 2026", "2026-10-01", "2026-10-07", true, true, []string{"2026-09-20", "2026-10-10"}},
	}
	var cal *digest.Calendar
	special := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, last := day(t, tt.first), day(t, tt.last)
			for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
				special[d.Format(time.DateOnly)] = true
				if cal.Working(d) {
					t.Errorf("%s is worked, want a day off", d.Format(time.DateOnly))
				}
			}
			for _, made := range tt.made {
				special[made] = true
				if d := day(t, made); !cal.Working(d) || d.Weekday() != time.Saturday && d.Weekday() != time.Sunday {
					t.Errorf("%s, a %s, is no weekend that is worked", made, d.Weekday())
				}
			}
			if got := cal.Working(first.AddDate(0, 0, -1)); got != tt.before {
				t.Errorf("the day before %s: worked is %v, want %v", tt.first, got, tt.before)
			}
			if got := cal.Working(last.AddDate(0, 0, 1)); got != tt.after {
				t.Errorf("the day after %s: worked is %v, want %v", tt.last, got, tt.after)
			}
		})
	}
	for d := day(t, "2023-01-01"); d.Year() < 2029; d = d.AddDate(0, 0, 1) {
		weekend := d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
		if name := d.Format(time.DateOnly); !special[name] && cal.Working(d) == weekend {
			t.Errorf("%s, a %s of no holiday: worked is %v", name, d.Weekday(), !weekend)
		}
	}
}

func TestCalendarYears(t *testing.T) {
	cal, err := digest.LoadCalendar("")
	if err != nil {
		t.Fatal(err)
	}
	for year, want := range map[int]bool{2023: false, 2024: true, 2026: true, 2027: false} {
		if got := cal.Covers(year); got != want {
			t.Errorf("Covers(%d) = %v, want %v", year, got, want)
		}
	}
	if got := cal.Last(); got != 2026 {
		t.Errorf("Last() = %d, want 2026", got)
	}
	if (&digest.Calendar{}).Covers(0) {
		t.Error("an empty calendar covers the year 0")
	}
}

func TestWorkingIsOfTheCivilDay(t *testing.T) {
	eve := time.Date(2026, 9, 30, 20, 0, 0, 0, time.UTC) // in Shanghai it is the National Day
	var cal *digest.Calendar
	if !cal.Working(eve) || cal.Working(eve.In(zonewire.Shanghai)) {
		t.Errorf("worked in UTC is %v, in Shanghai %v; want true, false", cal.Working(eve), cal.Working(eve.In(zonewire.Shanghai)))
	}
}

func TestLoadCalendar(t *testing.T) {
	file := filepath.Join(t.TempDir(), "days.txt")
	text := "\ufeff# 自定\r\n\r\nyears 2027\r\n2027-01-01..2027-01-03 off 元旦 # 三天\r\n2027-01-09 work\r\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cal, err := digest.LoadCalendar(file)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"2027-01-01": false, "2027-01-04": true, "2027-01-09": true, "2027-01-10": false, "2026-10-01": true} {
		if got := cal.Working(day(t, text)); got != want {
			t.Errorf("Working(%s) = %v, want %v", text, got, want)
		}
	}
	if !cal.Covers(2027) || cal.Covers(2026) || cal.Last() != 2027 {
		t.Errorf("covers 2027: %v, 2026: %v, last %d", cal.Covers(2027), cal.Covers(2026), cal.Last())
	}
	if _, err := digest.LoadCalendar(filepath.Join(t.TempDir(), "none.txt")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestCalendarRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "days.txt:1: the file covers no year"},
		{"comments alone", "# a\n# b\n", "days.txt:2: the file covers no year"},
		{"a day before the years", "2026-10-01 off\nyears 2026..2026\n", "days.txt:1: first say which years"},
		{"years twice", "years 2026\nyears 2027\n", `days.txt:2: the years are given twice: keep one line "years 2026..2026"`},
		{"years without any", "years\n", `days.txt:1: write the years as "years 2024..2026"`},
		{"years that are none", "years MMXXVI\n", "are no years"},
		{"years backwards", "years 2027..2026\n", `write "years 2026..2027"`},
		{"years without end", "years 2000..2999\n", "more than 50 years"},
		{"a word that is none", "years 2026\n2026-10-01 holiday\n", `days.txt:2: "2026-10-01 holiday" is not understood`},
		{"a day alone", "years 2026\n2026-10-01\n", "is not understood"},
		{"a day that is none", "years 2026\n2026-02-30 off\n", `days.txt:2: "2026-02-30" is no day`},
		{"a date in another form", "years 2026\n2026.10.1 off\n", `write 2026-10-01`},
		{"a range with an end missing", "years 2026\n2026-10-01.. off\n", `is no day`},
		{"a range backwards", "years 2026\n2026-10-07..2026-10-01 off\n", "runs backwards: write 2026-10-01..2026-10-07"},
		{"a day of another year", "years 2026\n2027-01-01 off\n", "outside the years 2026..2026"},
		{"a range that leaves the years", "years 2026\n2026-12-31..2027-01-03 off\n", "outside the years"},
		{"a range past all bounds", "years 2026\n0001-01-01..9999-12-31 off\n", "outside the years"},
		{"days off twice", "years 2026\n2026-10-01..2026-10-07 off\n2026-10-07 off\n", "days.txt:3: 2026-10-07 is given twice"},
		{"a day off and worked", "years 2026\n2026-10-03 off\n2026-10-03 work\n", "2026-10-03 is given twice"},
		{"a weekday that is worked", "years 2026\n2026-10-09 work\n", "2026-10-09 is a Friday, which is worked anyhow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "days.txt")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := digest.LoadCalendar(file)
			if !errors.Is(err, zonewire.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}
