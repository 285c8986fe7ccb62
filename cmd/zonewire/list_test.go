package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"zonewire"
	"zonewire/digest"
)

func TestResumingAListWaitsForItsNextSlot(t *testing.T) {
	missed := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	now := time.Date(2026, 11, 24, 1, 30, 0, 0, time.UTC) // 09:30 in Shanghai
	for _, c := range []struct {
		name   string
		paused bool
		want   time.Time
	}{
		{"a paused list skips what passed in the pause", true, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)},
		{"a list that runs keeps the slot that is due", false, missed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := zonewire.List{Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", Paused: c.paused, NextSlot: missed}
			if err := resumeList(&l, now, nil); err != nil {
				t.Fatal(err)
			}
			if l.Paused || !l.NextSlot.Equal(c.want) {
				t.Errorf("paused %v, next slot %v; want %v", l.Paused, l.NextSlot, c.want)
			}
		})
	}
}

// The State Council announces a year's days off in the autumn before: what was reckoned without them moves.
func TestANewCalendarMovesSlots(t *testing.T) {
	calendar := func(lines string) *digest.Calendar {
		t.Helper()
		file := filepath.Join(t.TempDir(), "days.txt")
		if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		cal, err := digest.LoadCalendar(file)
		if err != nil {
			t.Fatal(err)
		}
		return cal
	}
	before := calendar("years 2026..2026\n")
	after := calendar("years 2026..2027\n2027-01-01..2027-01-03 off 元旦\n2027-01-09 work\n")
	day := func(d int) time.Time { return time.Date(2027, 1, d, 8, 0, 0, 0, zonewire.Shanghai) }
	for _, c := range []struct {
		name string
		now  time.Time
		want time.Time
	}{
		{"a day off", day(1).Add(-time.Hour), day(4)},
		{"a make-up Saturday", day(8).Add(time.Hour), day(9)},
		{"a day that stays", day(5).Add(-time.Hour), day(5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := zonewire.List{Slug: "l", Schedule: "0 8 * * 1-5", Timezone: "Asia/Shanghai", Workdays: "cn"}
			if err := reschedule(&l, c.now, before); err != nil {
				t.Fatal(err)
			}
			next, changed, err := realign(l, c.now, after)
			if err != nil || !next.Equal(c.want) || changed == l.NextSlot.Equal(c.want) {
				t.Errorf("from %v to %v (changed %v, %v), want %v", l.NextSlot, next, changed, err, c.want)
			}
			if due, changed, err := realign(l, l.NextSlot.Add(time.Minute), after); err != nil || changed || !due.Equal(l.NextSlot) {
				t.Errorf("what is due moved to %v: %v", due, err)
			}
		})
	}
}
