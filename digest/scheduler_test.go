package digest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/digest"
)

// memStore is one list in memory, which plans as the database does. Before, if set, runs at the head of each call.
type memStore struct {
	list    zonewire.List
	planned []zonewire.Digest
	calls   int
	before  func(call int) error
}

func (m *memStore) PlanNext(ctx context.Context, now time.Time, p zonewire.Planning) (zonewire.Digest, bool, error) {
	m.calls++
	if m.before != nil {
		if err := m.before(m.calls); err != nil {
			return zonewire.Digest{}, false, err
		}
	}
	if m.list.NextSlot.IsZero() || m.list.NextSlot.After(now) {
		return zonewire.Digest{}, false, nil
	}
	slot, following, err := p.Slots(m.list, now)
	if err != nil {
		return zonewire.Digest{}, false, err
	}
	m.list.NextSlot = following
	d := zonewire.Digest{ID: int64(len(m.planned) + 1), List: m.list.Slug, Slot: slot, State: zonewire.DigestPlanned}
	if zonewire.Late(m.list, slot, now) {
		d.State, d.Reason = zonewire.DigestSkipped, "late"
	}
	m.planned = append(m.planned, d)
	return d, true, nil
}

// daily is a store with a list due every day at 08:00 in Shanghai, from the given instant on.
func daily(t testing.TB, from time.Time) *memStore {
	l := zonewire.List{ID: 1, Slug: "morning", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", CatchUp: 24 * time.Hour}
	l.NextSlot = schedule(t, l.Schedule, l.Timezone).Next(from)
	return &memStore{list: l}
}

// runFor runs the scheduler for a span of the bubble's time and gives what it logged.
func runFor(t *testing.T, s *digest.Scheduler, span time.Duration) string {
	t.Helper()
	var log bytes.Buffer
	s.Planning, s.Log = &digest.Planner{}, slog.New(slog.NewTextHandler(&log, nil))
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	return log.String()
}

func TestSchedulerPlansThirtyDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now())
		first := m.list.NextSlot
		woken := 0
		runFor(t, &digest.Scheduler{Store: m, Every: time.Minute, Planned: func() { woken++ }}, 30*24*time.Hour)
		if len(m.planned) != 30 || woken != 30 {
			t.Fatalf("%d digests, %d calls of Planned; want 30 of each", len(m.planned), woken)
		}
		for i, d := range m.planned {
			if want := first.AddDate(0, 0, i); !d.Slot.Equal(want) || d.State != zonewire.DigestPlanned {
				t.Errorf("digest %d: %s for %v, want planned for %v", d.ID, d.State, d.Slot, want)
			}
		}
	})
}

func TestSchedulerMergesWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now().Add(-5*24*time.Hour)) // off for five days
		log := runFor(t, &digest.Scheduler{Store: m}, 3*time.Second)
		if len(m.planned) != 1 || m.list.NextSlot.Before(time.Now()) {
			t.Errorf("digests %+v, next slot %v at %v: want one digest, and the next slot to come", m.planned, m.list.NextSlot, time.Now())
		}
		if !strings.Contains(log, `msg="digest planned" list=morning digest=1`) {
			t.Errorf("log says nothing of it:\n%s", log)
		}
	})
}

func TestSchedulerRecordsALateSlotAndWakesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now().Add(-24*time.Hour))
		m.list.CatchUp = time.Hour
		time.Sleep(2 * time.Hour)
		log := runFor(t, &digest.Scheduler{Store: m, Planned: func() { t.Error("woken for a skipped digest") }}, 3*time.Second)
		if !strings.Contains(log, `msg="digest skipped" list=morning digest=1`) || !strings.Contains(log, "reason=late") {
			t.Errorf("log says nothing of the skipped digest:\n%s", log)
		}
	})
}

func TestSchedulerGoesOnAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now().Add(-24*time.Hour))
		m.before = func(call int) error {
			if call == 1 {
				panic("the first beat breaks")
			}
			return nil
		}
		log := runFor(t, &digest.Scheduler{Store: m}, 3*time.Second)
		if len(m.planned) != 1 || !strings.Contains(log, "the first beat breaks") {
			t.Errorf("%d digests, want 1 by the second beat; log:\n%s", len(m.planned), log)
		}
	})
}

func TestSchedulerComplainsOnceInTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now())
		m.before = func(call int) error {
			switch {
			case call <= 300:
				return fmt.Errorf("port %d: %w", call, zonewire.ErrUnavailable) // its words differ
			case call <= 301:
				return nil
			case call <= 302:
				return zonewire.ErrUnavailable
			}
			return fmt.Errorf("list morning: %w", zonewire.ErrInvalid)
		}
		log := runFor(t, &digest.Scheduler{Store: m}, 16*time.Minute+time.Second/2)
		// Away at once; away anew after it was back; the broken list at once, and again ten minutes later.
		if away, broken := strings.Count(log, "database unavailable"), strings.Count(log, "list morning: invalid"); away != 2 || broken != 2 {
			t.Errorf("%d and %d complaints, want 2 and 2:\n%s", away, broken, log)
		}
		if m.calls != 960 {
			t.Errorf("%d beats in 16 minutes, want one a second all the same", m.calls)
		}
	})
}

// A beat that is running when the scheduler stops is waited for: the store closes after it.
func TestSchedulerWaitsForItsBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := daily(t, time.Now())
		var ended atomic.Bool
		m.before = func(int) error {
			time.Sleep(10 * time.Second)
			ended.Store(true)
			return context.Canceled
		}
		log := runFor(t, &digest.Scheduler{Store: m}, 5*time.Second)
		if !ended.Load() || m.calls != 1 {
			t.Errorf("the beat ended: %v, beats: %d; want one, waited for", ended.Load(), m.calls)
		}
		if log != "" {
			t.Errorf("stopping is no failure, but the log says:\n%s", log)
		}
	})
}

func TestBeatPlansAllThatIsDue(t *testing.T) {
	left := 3
	s := &digest.Scheduler{Store: storeFunc(func() (zonewire.Digest, bool, error) {
		if left == 0 {
			return zonewire.Digest{}, false, zonewire.ErrInvalid
		}
		left--
		return zonewire.Digest{ID: int64(left + 1)}, true, nil
	}), Planning: &digest.Planner{}, Log: slog.New(slog.DiscardHandler)}
	n, err := s.Beat(t.Context(), slot)
	if n != 3 || !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("Beat = %d, %v, want 3 digests and the error of the list left aside", n, err)
	}
}

type storeFunc func() (zonewire.Digest, bool, error)

func (f storeFunc) PlanNext(context.Context, time.Time, zonewire.Planning) (zonewire.Digest, bool, error) {
	return f()
}
