package store_test

import (
	"fmt"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// minutes is a planner whose lists are due at any minute.
type minutes struct{ plain }

func (minutes) Slots(_ zonewire.List, now time.Time) (slot, following time.Time, err error) {
	slot = now.Truncate(time.Minute)
	return slot, slot.Add(time.Minute), nil
}

// alerts is a database with an instant list for 招标, and one reader.
func alerts(t *testing.T, db *store.DB) (beat func(after time.Duration) string, match, other func(after time.Duration)) {
	t.Helper()
	addZone(t, db, "a", "甲区")
	must[zonewire.List](t)(db.AddList(t.Context(), at(0), zonewire.List{
		Slug: "l", Title: "招标提醒", Schedule: zonewire.Instant, Timezone: "Asia/Shanghai", All: true, Keyword: "招标",
		MaxItems: 60, Locale: zonewire.LocaleZH, CatchUp: time.Hour, NextSlot: t0.Add(time.Minute),
	}, time.Time{}))
	subscribe(t, db, "l", "one@example.com")
	n := 0
	put1 := func(title string) func(time.Duration) {
		return func(after time.Duration) {
			n++
			a := news("a", n)
			a.Title = fmt.Sprintf("第%d条%s", n, title)
			put(t, db, after, a)
		}
	}
	return func(after time.Duration) string {
		t.Helper()
		d, planned, err := db.PlanNext(t.Context(), t0.Add(after), minutes{})
		check(t, err)
		if !planned {
			return ""
		}
		return fmt.Sprintf("%s %d", d.Slot.Sub(t0), d.Items)
	}, put1("招标公告"), put1("领导调研")
}

func TestAnInstantListMailsAMatchWithinTheMinute(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		beat, match, other := alerts(t, db)
		other(2 * time.Minute)
		if got := beat(2*time.Minute + 5*time.Second); got != "" {
			t.Errorf("nothing matches, and it planned %s", got)
		}
		if all := must[[]zonewire.Digest](t)(db.Digests(t.Context(), "l", 9)); len(all) != 0 {
			t.Errorf("what does not match leaves a trace: %+v", all)
		}
		match(3 * time.Minute)
		if due := must[[]zonewire.List](t)(db.DueLists(t.Context(), t0.Add(2*time.Minute+59*time.Second))); len(due) != 0 {
			t.Error("it was due before the match had come")
		}
		if got, want := beat(3*time.Minute+7*time.Second), "3m0s 1"; got != want {
			t.Errorf("planned %q, want %q", got, want)
		}
		if got := beat(3*time.Minute + 8*time.Second); got != "" {
			t.Errorf("planned again: %s", got)
		}
		match(3*time.Minute + 20*time.Second)
		if got := beat(3*time.Minute + 30*time.Second); got != "" {
			t.Errorf("a second mail in one minute: %s", got)
		}
		if got, want := beat(4*time.Minute), "4m0s 1"; got != want {
			t.Errorf("planned %q, want %q", got, want)
		}
	})
}

func TestAnInstantListSendsFourMailsAnHourAndTheRestInTheNext(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		beat, match, _ := alerts(t, db)
		start := t0.Truncate(time.Hour).Add(time.Hour).Sub(t0)
		for i := range 8 {
			after := start + time.Duration(i+1)*time.Minute
			match(after)
			want := fmt.Sprintf("%s 1", after)
			if i >= zonewire.InstantPerHour {
				want = ""
			}
			if got := beat(after); got != want {
				t.Errorf("match %d: planned %q, want %q", i+1, got, want)
			}
		}
		if got := beat(start + 59*time.Minute); got != "" {
			t.Errorf("a fifth mail: %s", got)
		}
		if got, want := beat(start+time.Hour), fmt.Sprintf("%s 4", start+time.Hour); got != want {
			t.Errorf("the next hour begins with %q, want %q", got, want)
		}
		match(start + time.Hour + time.Minute)
		if got, want := beat(start+time.Hour+time.Minute), fmt.Sprintf("%s 1", start+time.Hour+time.Minute); got != want {
			t.Errorf("and goes on with %q, want %q", got, want)
		}
	})
}

// However long the daemon was down, what matched meanwhile is mailed.
func TestAnInstantListIsNeverTooLate(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		beat, match, _ := alerts(t, db)
		match(2 * time.Minute)
		if got, want := beat(30*time.Hour), "30h0m0s 1"; got != want {
			t.Errorf("planned %q, want %q", got, want)
		}
	})
}
