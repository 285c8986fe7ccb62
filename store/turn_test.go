package store_test

import (
	"errors"
	"fmt"
	"testing"

	"zonewire"
	"zonewire/store"
)

func TestATurnRecordsOneMailAndBeginsTheNext(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 3)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 9, day)
		now := t0.Add(day)
		check(t, db.Begin(t.Context(), jobs[0], now))
		turn := func(job, next zonewire.Job) (lost, taken error) {
			t.Helper()
			lost, taken, err := db.Turn(t.Context(), job, accepted, next, now)
			check(t, err)
			return lost, taken
		}
		if lost, taken := turn(jobs[0], jobs[1]); lost != nil || taken != nil {
			t.Fatalf("lost %v, taken %v", lost, taken)
		}
		// What was begun does not come back, what was not does.
		if n := must[int](t)(db.Release(t.Context(), w, now)); n != 1 {
			t.Errorf("released %d, want the one that was not begun", n)
		}
		// The third is someone else's now; the second is recorded all the same.
		if lost, taken := turn(jobs[1], jobs[2]); lost != nil || !errors.Is(taken, zonewire.ErrLost) {
			t.Errorf("lost %v, taken %v, want only the next one lost", lost, taken)
		}
		again := claim(t, db, w, 9, day)
		if len(again) != 1 || again[0].ID != jobs[2].ID {
			t.Fatalf("claimed %v", again)
		}
		// Judged twice: the next one is begun all the same.
		if lost, taken := turn(jobs[1], again[0]); !errors.Is(lost, zonewire.ErrLost) || taken != nil {
			t.Errorf("lost %v, taken %v, want only the first one lost", lost, taken)
		}
		if _, _, err := db.Turn(t.Context(), again[0], zonewire.Outcome{State: zonewire.Deferred}, jobs[0], now); err == nil {
			t.Error("a mail that was not accepted had its turn: a refusal has more to record")
		}
		if c := countsOf(t, db, d); c[zonewire.Accepted] != 2 || c[zonewire.Leased] != 1 {
			t.Errorf("counts %v", c)
		}
	})
}

func TestClaimsGoRoundThroughManyProviders(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		sizes := map[string]int{}
		for i := range 600 {
			sizes[fmt.Sprintf("%03d.example", i)] = 1
		}
		mixed(t, db, sizes)
		w, now := worker(t, db, day), t0.Add(day)
		late := func(name string) int {
			if name < "500" {
				return 0
			}
			return 9
		}
		first := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 50, late, now))
		if len(first.Jobs) != 0 || !first.FreeAt.Equal(now) {
			t.Fatalf("%d jobs, free at %v: a claim that has not seen all must say so", len(first.Jobs), first.FreeAt)
		}
		second := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 50, late, now))
		if len(second.Jobs) != 50 || second.Jobs[0].Provider < "500" {
			t.Errorf("%d jobs where the first claim stopped, want 50", len(second.Jobs))
		}
		total := len(second.Jobs)
		for range 20 {
			total += len(claim(t, db, w, 50, day))
		}
		if total != 600 {
			t.Errorf("claimed %d of 600", total)
		}
		// All are still open, and none is due: some claims later the round is closed.
		var closed bool
		for range 4 {
			c := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 50, nil, now))
			closed = closed || len(c.Jobs) == 0 && c.FreeAt.IsZero()
		}
		if !closed {
			t.Error("claims never say that nothing is left")
		}
	})
}
