package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// told is what a planner heard of its readers: the stories told, by the zones they chose.
type heard struct {
	plain
	told map[string]string
}

func (h *heard) Plan(r zonewire.PlanRequest) (zonewire.Plan, error) {
	for _, a := range r.Audiences {
		h.told[a.Zones] = a.Told
	}
	plan, err := h.plain.Plan(r)
	for i := range plan.Variants {
		if i < len(r.Audiences) {
			plan.Variants[i].Told = r.Audiences[i].Told
		}
	}
	return plan, err
}

func moveTo(t *testing.T, db *store.DB, after time.Duration, email, from, to string) zonewire.Subscription {
	t.Helper()
	id := preferences(t, db, after, email)
	return must[zonewire.Subscription](t)(db.EditPlace(t.Context(), at(after), id, place(t, db, email, from).ID, zonewire.PlaceEdit{SwitchTo: &to}))
}

func TestAChangeOfRhythmWaitsForTheNextDigest(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "one@example.com", "a")
		if s := moveTo(t, db, 0, "one@example.com", "l", "m"); s.SwitchTo != "m" || s.State != zonewire.SubActive {
			t.Fatalf("until then both are shown: %+v", s)
		}
		put(t, db, time.Hour, news("a", 1))
		d := must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(2*time.Hour), "l", t0.Add(2*time.Hour), plain{}))
		if d.Recipients != 1 {
			t.Errorf("the old list's next digest has %d recipients", d.Recipients)
		}
		old, now := place(t, db, "one@example.com", "l"), place(t, db, "one@example.com", "m")
		if old.State != zonewire.SubUnsubscribed || old.Reason != "moved" || old.SwitchTo != "" {
			t.Errorf("the old place: %+v", old)
		}
		if now.State != zonewire.SubActive || !slices.Equal(now.Zones, []string{"a"}) || now.Consent != "test" || now.Confirmed.IsZero() {
			t.Errorf("the new place: %+v", now)
		}
		if c := countsOf(t, db, d); c[zonewire.Pending] != 1 {
			t.Errorf("the mail of the old list is still sent: %v", c)
		}
	})
}

// The new list has yet to send what the old one has told.
func TestNothingIsToldTwiceToOneWhoMoved(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "one@example.com", "a")
		subscribe(t, db, "m", "other@example.com")
		stored := put(t, db, time.Hour, news("a", 1))
		moveTo(t, db, time.Hour, "one@example.com", "l", "m")
		must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(2*time.Hour), "l", t0.Add(2*time.Hour), plain{}))
		mailed(t, db, 3*time.Hour)
		put(t, db, 3*time.Hour, news("a", 2))
		h := &heard{told: map[string]string{}}
		must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(4*time.Hour), "m", t0.Add(4*time.Hour), h))
		zone := zonewire.ZoneSet(place(t, db, "one@example.com", "m").ZoneIDs)
		if want := zonewire.ZoneSet([]int64{stored[0].ID}); h.told[zone] != want || h.told[""] != "" {
			t.Errorf("told %v, want story %s for who moved and none for the other", h.told, want)
		}
	})
}

func TestAChangeOfRhythmCanBeTakenBackAndMeansTheSameNews(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		addList(t, db, zonewire.List{Slug: "only-a", Zones: []string{"a"}})
		addList(t, db, zonewire.List{Slug: "private", All: true, Private: true})
		sub := subscribe(t, db, "l", "one@example.com")
		id := preferences(t, db, 0, "one@example.com")
		change := func(to string) error {
			_, err := db.EditPlace(t.Context(), at(0), id, sub.ID, zonewire.PlaceEdit{SwitchTo: &to})
			return err
		}
		for to, want := range map[string]error{"only-a": zonewire.ErrInvalid, "private": zonewire.ErrInvalid, "l": zonewire.ErrInvalid, "none": zonewire.ErrNotFound} {
			if err := change(to); !errors.Is(err, want) {
				t.Errorf("to %s: %v, want %v", to, err, want)
			}
		}
		check(t, change("m"))
		check(t, change(""))
		must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(time.Hour), "l", t0.Add(time.Hour), plain{}))
		if s := place(t, db, "one@example.com", "l"); s.State != zonewire.SubActive {
			t.Errorf("taken back, and moved: %+v", s)
		}
	})
}

func TestRemovingAListMovesWhoWishedToMoveAndEndsWishesForIt(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "from@example.com")
		subscribe(t, db, "m", "to@example.com")
		moveTo(t, db, 0, "from@example.com", "l", "m")
		moveTo(t, db, 0, "to@example.com", "m", "l")
		must[int](t)(db.RemoveList(t.Context(), at(time.Hour), "l"))
		if s := place(t, db, "from@example.com", "m"); s.State != zonewire.SubActive {
			t.Errorf("from the list that is no more: %+v", s)
		}
		if s := place(t, db, "to@example.com", "m"); s.SwitchTo != "" || s.State != zonewire.SubActive {
			t.Errorf("to the list that is no more: %+v", s)
		}
	})
}
