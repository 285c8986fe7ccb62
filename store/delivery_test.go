package store_test

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// planned makes a digest of one article to n readers.
func planned(t *testing.T, db *store.DB, n int) zonewire.Digest {
	t.Helper()
	addZone(t, db, "a", "甲区")
	addList(t, db, zonewire.List{Slug: "l", All: true})
	for i := range n {
		subscribe(t, db, "l", fmt.Sprintf("%d@example.com", i))
	}
	put(t, db, 0, news("a", 1))
	d, ok := planNext(t, db, day)
	if !ok || d.Recipients != n {
		t.Fatalf("planned %+v", d)
	}
	return d
}

func claim(t *testing.T, db *store.DB, worker int64, n int, after time.Duration) []zonewire.Job {
	t.Helper()
	return must[zonewire.Claim](t)(db.Claim(t.Context(), worker, n, nil, t0.Add(after))).Jobs
}

func worker(t *testing.T, db *store.DB, after time.Duration) int64 {
	t.Helper()
	return must[int64](t)(db.StartWorker(t.Context(), t0.Add(after)))
}

func countsOf(t *testing.T, db *store.DB, d zonewire.Digest) zonewire.Counts {
	t.Helper()
	d = must[zonewire.Digest](t)(db.Digest(t.Context(), d.ID))
	if d.Counts.Sum() != d.Recipients {
		t.Fatalf("counts %v sum to %d, want %d", d.Counts, d.Counts.Sum(), d.Recipients)
	}
	return d.Counts
}

var accepted = zonewire.Outcome{State: zonewire.Accepted, Code: 250, Reply: "ok"}

func TestAMailIsClaimedBegunAndFinishedOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 3)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 2, day)
		if len(jobs) != 2 || len(claim(t, db, w, 9, day)) != 1 || len(claim(t, db, w, 9, day)) != 0 {
			t.Fatal("want 2, then the third, then none")
		}
		if c := countsOf(t, db, d); c[zonewire.Leased] != 3 {
			t.Errorf("counts %v, want three leased", c)
		}
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
		check(t, db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)))
		if err := db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("finished twice: %v", err)
		}
		later := t0.Add(day + 2*time.Minute)
		check(t, db.Begin(t.Context(), jobs[1], t0.Add(day)))
		check(t, db.Finish(t.Context(), jobs[1], zonewire.Outcome{State: zonewire.Deferred, Next: later, Code: 451}, t0.Add(day)))
		if len(claim(t, db, w, 9, day+time.Minute)) != 0 {
			t.Error("a deferred mail was claimed before its time")
		}
		again := claim(t, db, w, 9, day+2*time.Minute)
		if len(again) != 1 || again[0].Attempts != 1 {
			t.Errorf("got %+v, want the deferred one at its second try", again)
		}
	})
}

func TestLeavingCancelsWhatIsNotBegun(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 2)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 9, day)
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
		for _, j := range jobs {
			_, err := db.Unsubscribe(t.Context(), at(day), j.Subscription)
			check(t, err)
		}
		if err := db.Begin(t.Context(), jobs[1], t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("a mail to someone who left began: %v", err)
		}
		check(t, db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)))
		if c := countsOf(t, db, d); c[zonewire.Cancelled] != 1 || c[zonewire.Accepted] != 1 {
			t.Errorf("counts %v, want the one with the server recorded, the other cancelled", c)
		}
	})
}

// A mail that is with the mail server cannot be taken back. If the server wants it later, it is not sent again.
func TestWhatEndsWhileItIsUnderWayIsNotSentAgain(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, db *store.DB, d zonewire.Digest, j zonewire.Job) error{
		"its reader leaves": func(t *testing.T, db *store.DB, _ zonewire.Digest, j zonewire.Job) error {
			_, _, err := db.Leave(t.Context(), at(day), j.Subscription)
			return err
		},
		"its reader pauses": func(t *testing.T, db *store.DB, _ zonewire.Digest, j zonewire.Job) error {
			_, err := db.PauseSubscription(t.Context(), at(day), j.Subscription, time.Time{})
			return err
		},
		"its reader is erased": func(t *testing.T, db *store.DB, _ zonewire.Digest, j zonewire.Job) error {
			_, err := db.EraseSubscriber(t.Context(), at(day), j.Email)
			return err
		},
		"its address is suppressed": func(t *testing.T, db *store.DB, _ zonewire.Digest, j zonewire.Job) error {
			_, err := db.AddSuppression(t.Context(), at(day), addressOf(j.Email).Hash, "asked by phone")
			return err
		},
		"its list is removed": func(t *testing.T, db *store.DB, _ zonewire.Digest, _ zonewire.Job) error {
			_, err := db.RemoveList(t.Context(), at(day), "l")
			return err
		},
		"its digest is cancelled": func(t *testing.T, db *store.DB, d zonewire.Digest, _ zonewire.Job) error {
			_, err := db.CancelDigest(t.Context(), at(day), d.ID)
			return err
		},
		"all that waits is left": func(t *testing.T, db *store.DB, _ zonewire.Digest, _ zonewire.Job) error {
			return db.ResumeSending(t.Context(), at(day), true)
		},
		"its only article is withdrawn": func(t *testing.T, db *store.DB, _ zonewire.Digest, _ zonewire.Job) error {
			_, err := db.WithdrawArticle(t.Context(), at(day), 1, "", false, plain{})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			onEachEngine(t, func(t *testing.T, db *store.DB) {
				d := planned(t, db, 2)
				w := worker(t, db, day)
				jobs := claim(t, db, w, 2, day)
				for _, j := range jobs {
					check(t, db.Begin(t.Context(), j, t0.Add(day)))
				}
				check(t, end(t, db, d, jobs[0]))
				if err := end(t, db, d, jobs[1]); !errors.Is(err, zonewire.ErrNotFound) && !errors.Is(err, zonewire.ErrGone) { // a list ends once
					check(t, err)
				}
				later := t0.Add(day + time.Minute)
				check(t, db.Finish(t.Context(), jobs[0], zonewire.Outcome{State: zonewire.Deferred, Next: later, Code: 451}, later))
				check(t, db.Finish(t.Context(), jobs[1], accepted, later))
				if again := claim(t, db, w, 9, day+time.Hour); len(again) != 0 {
					t.Errorf("%+v is sent again", again)
				}
				if c := countsOf(t, db, d); c[zonewire.Cancelled] != 1 || c[zonewire.Accepted] != 1 {
					t.Errorf("counts %v, want one cancelled, one accepted", c)
				}
			})
		})
	}
}

func TestWhoTakesLeavingBackGetsWhatTheServerWantedLater(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		planned(t, db, 2)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 2, day)
		later := t0.Add(day + time.Minute)
		deferred := zonewire.Outcome{State: zonewire.Deferred, Next: later, Code: 451}
		for i, j := range jobs {
			check(t, db.Begin(t.Context(), j, t0.Add(day)))
			_, undo, err := db.Leave(t.Context(), at(day), j.Subscription)
			check(t, err)
			if i == 0 { // the server's reply comes before, or after
				check(t, db.Finish(t.Context(), j, deferred, later))
			}
			_, err = db.UndoLeave(t.Context(), at(day+time.Minute), undo)
			check(t, err)
			if i == 1 {
				check(t, db.Finish(t.Context(), j, deferred, later))
			}
		}
		if again := claim(t, db, w, 9, day+time.Hour); len(again) != 2 {
			t.Errorf("%d are sent again, want both", len(again))
		}
	})
}

func TestASilentWorkersMailIsTakenOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 3)
		frozen, w := worker(t, db, day), worker(t, db, day)
		jobs := claim(t, db, frozen, 2, day)
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))

		beats(t, db, w, day, day+19*time.Second)
		if got := claim(t, db, w, 9, day+19*time.Second); len(got) != 1 {
			t.Errorf("claimed %d while the other is still taken for alive, want 1", len(got))
		}
		check(t, db.Beat(t.Context(), w, t0.Add(day+19*time.Second)))
		taken := claim(t, db, w, 9, day+21*time.Second)
		if len(taken) != 2 {
			t.Fatalf("took over %d, want 2", len(taken))
		}
		if taken[0].Losses != 1 || taken[1].Losses != 0 {
			t.Errorf("losses %d and %d: only what was begun is a loss", taken[0].Losses, taken[1].Losses)
		}
		for _, j := range jobs {
			if err := db.Begin(t.Context(), j, t0.Add(day+22*time.Second)); !errors.Is(err, zonewire.ErrLost) {
				t.Errorf("the thawed worker may send: %v", err)
			}
		}
		if err := db.Finish(t.Context(), jobs[0], accepted, t0.Add(day+22*time.Second)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("the thawed worker's outcome counts: %v", err)
		}
		check(t, db.Beat(t.Context(), frozen, t0.Add(day+22*time.Second)))
		if c := countsOf(t, db, d); c[zonewire.Leased] != 3 {
			t.Errorf("counts %v", c)
		}
	})
}

// beats lets a worker beat for a while, as it does every 5 seconds.
func beats(t *testing.T, db *store.DB, w int64, from, to time.Duration) {
	t.Helper()
	for at := from; at <= to; at += 5 * time.Second {
		check(t, db.Beat(t.Context(), w, t0.Add(at)))
	}
}

// While the database was away nobody could beat: whoever comes back first must not take the others for dead.
func TestAfterAnOutageEveryoneHasTimeToBeat(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		planned(t, db, 3)
		other, w := worker(t, db, day), worker(t, db, day)
		claim(t, db, other, 2, day)
		back := day + time.Hour
		if got := claim(t, db, w, 9, back); len(got) != 1 {
			t.Errorf("claimed %d right after the outage, want what the other has not", len(got))
		}
		beats(t, db, w, back, back+15*time.Second)
		if got := claim(t, db, w, 9, back+19*time.Second); len(got) != 0 {
			t.Errorf("took over %d before the other had its time", len(got))
		}
		if got := claim(t, db, w, 9, back+20*time.Second); len(got) != 2 {
			t.Errorf("took over %d, want 2: it did not come back", len(got))
		}
	})
}

func TestTheMailOfAProcessThatIsGoneIsTakenOverAtOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		planned(t, db, 2)
		dead := exec.Command("true")
		check(t, dead.Run())
		gone := worker(t, db, day)
		claim(t, db, gone, 9, day)
		behind(t, db, `UPDATE worker SET pid = ?1, pid_start = 'before' WHERE id = ?2`, dead.Process.Pid, gone)
		if got := claim(t, db, worker(t, db, day), 9, day); len(got) != 2 {
			t.Errorf("took over %d, want 2", len(got))
		}
	})
}

func TestALostReplyIsRepeatedOrHeld(t *testing.T) {
	lose := zonewire.Outcome{Lost: true, Reply: "connection closed"}
	t.Run("sent again, at most four times", func(t *testing.T) {
		db := openSQLite(t)
		d := planned(t, db, 1)
		w := worker(t, db, day)
		for i := range zonewire.MaxLosses {
			jobs := claim(t, db, w, 9, day)
			if len(jobs) != 1 {
				t.Fatalf("try %d: claimed %d", i+1, len(jobs))
			}
			check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
			check(t, db.Finish(t.Context(), jobs[0], lose, t0.Add(day)))
		}
		if c := countsOf(t, db, d); c[zonewire.Uncertain] != 1 {
			t.Errorf("counts %v, want it uncertain after five losses", c)
		}
		check(t, db.SettleDelivery(t.Context(), at(day), 1, zonewire.Accepted))
		if c := countsOf(t, db, d); c[zonewire.Accepted] != 1 {
			t.Errorf("counts %v after settling", c)
		}
	})
	t.Run("held", func(t *testing.T) {
		db := mustOpen(t, filepath.Join(t.TempDir(), "z.db"), store.Options{Create: true, Matcher: exactNames, Uncertain: zonewire.Hold})
		d := planned(t, db, 2)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 9, day)
		for _, j := range jobs {
			check(t, db.Begin(t.Context(), j, t0.Add(day)))
		}
		check(t, db.Finish(t.Context(), jobs[0], lose, t0.Add(day)))
		check(t, db.StopWorker(t.Context(), w, t0.Add(day))) // stopped with a mail at the server
		if c := countsOf(t, db, d); c[zonewire.Uncertain] != 2 {
			t.Errorf("counts %v, want both uncertain", c)
		}
	})
}

func TestPausedSendingBeginsNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 2)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 1, day)
		check(t, db.PauseSending(t.Context(), at(day), "operator"))
		if err := db.Begin(t.Context(), jobs[0], t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("a claimed mail began while paused: %v", err)
		}
		if got := claim(t, db, w, 9, day); len(got) != 0 {
			t.Errorf("claimed %d while paused", len(got))
		}
		if waiting := must[store.Waiting](t)(db.WaitingMail(t.Context())); waiting.Deliveries != 2 {
			t.Errorf("waiting %+v, want 2", waiting)
		}
		check(t, db.ResumeSending(t.Context(), at(day), false))
		if got := claim(t, db, w, 9, day); len(got) != 2 {
			t.Errorf("claimed %d after resuming, want 2", len(got))
		}
		check(t, db.PauseSending(t.Context(), at(day), "operator"))
		check(t, db.ResumeSending(t.Context(), at(day), true))
		if c := countsOf(t, db, d); c[zonewire.Expired] != 2 {
			t.Errorf("counts %v after resuming from now, want both expired", c)
		}
	})
}

func TestCancellingADigestStopsItAtOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 3)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 2, day)
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
		if n := must[int](t)(db.CancelDigest(t.Context(), at(day), d.ID)); n != 2 {
			t.Errorf("cancelled %d, want 2", n)
		}
		if err := db.Begin(t.Context(), jobs[1], t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("a cancelled mail began: %v", err)
		}
		check(t, db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)))
		countsOf(t, db, d)
	})
}

func TestRejectedMailCanBeRetried(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 1)
		w := worker(t, db, day)
		job := claim(t, db, w, 9, day)[0]
		check(t, db.Begin(t.Context(), job, t0.Add(day)))
		check(t, db.Finish(t.Context(), job, zonewire.Outcome{State: zonewire.Rejected, Code: 550, Enhanced: "5.1.1"}, t0.Add(day)))
		if n := must[int](t)(db.RetryDeliveries(t.Context(), at(day), d.ID, 0)); n != 1 {
			t.Errorf("retried %d, want 1", n)
		}
		if got := claim(t, db, w, 9, day); len(got) != 1 {
			t.Errorf("claimed %d, want the one to retry", len(got))
		}
	})
}

func TestManyConnectionsShareCommits(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		const n = 200
		d := planned(t, db, n)
		w := worker(t, db, day)
		jobs := claim(t, db, w, n, day)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for j := i; j < n; j += 20 {
					if err := errors.Join(db.Begin(t.Context(), jobs[j], t0.Add(day)), db.Finish(t.Context(), jobs[j], accepted, t0.Add(day))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if c := countsOf(t, db, d); c[zonewire.Accepted] != n {
			t.Errorf("counts %v, want %d accepted", c, n)
		}
	})
}

func TestAnIdleClaimWritesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		w := worker(t, db, 0)
		if got := claim(t, db, w, 9, 10*time.Second); len(got) != 0 {
			t.Fatalf("claimed %d of nothing", len(got))
		}
		var beat int64
		check(t, store.Writer(db).QueryRow(store.Rewrite(db, `SELECT beat_ms FROM worker WHERE id = ?1`), w).Scan(&beat))
		if beat != t0.UnixMilli() {
			t.Errorf("the claim moved the worker's beat by %d ms", beat-t0.UnixMilli())
		}
	})
}
