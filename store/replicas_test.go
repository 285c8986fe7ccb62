package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zonewire"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

// onReplicas runs a test on two stores that share one database, as two processes do: replicas on a server, a daemon and a
// command on a file.
func onReplicas(t *testing.T, test func(t *testing.T, r replicas)) {
	t.Helper()
	open := func(t *testing.T, dsn string) replicas {
		opts := store.Options{Create: true, Matcher: exactNames}
		return replicas{mustOpen(t, dsn, opts), mustOpen(t, dsn, opts)}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, open(t, filepath.Join(t.TempDir(), "z.db"))) })
	t.Run("postgres", func(t *testing.T) { test(t, open(t, pgtest.Database(t))) })
}

type replicas [2]*store.DB

// atOnce runs fn so many times at the same moment, by turns on each replica, and waits for all.
func (r replicas) atOnce(n int, fn func(i int, db *store.DB)) {
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			ready.Done()
			ready.Wait()
			fn(i, r[i%len(r)])
		})
	}
	all.Wait()
}

// tally counts from several goroutines.
type tally[K comparable] struct {
	mu sync.Mutex
	n  map[K]int
}

func (c *tally[K]) add(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[K]int{}
	}
	c.n[k]++
}

// failed notes an error that is none of those expected; t.Fatal is for the test's own goroutine only.
func failed(t *testing.T, what string, err error, expected ...error) bool {
	t.Helper()
	if err != nil && !slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) }) {
		t.Errorf("%s: %v", what, err)
	}
	return err != nil
}

func TestReplicasThatStartTogetherMakeOneDatabase(t *testing.T) {
	for range 5 {
		dsn := pgtest.Database(t)
		var created atomic.Int64
		replicas{}.atOnce(6, func(int, *store.DB) {
			db, err := store.Open(context.WithoutCancel(t.Context()), dsn, store.Options{Create: true, Matcher: exactNames})
			if failed(t, "open", err) {
				return
			}
			if db.Created() {
				created.Add(1)
			}
			failed(t, "close", db.Close())
		})
		// Who has created it makes the secret.
		if created.Load() != 1 {
			t.Errorf("%d say that they created the database, want one", created.Load())
		}
	}
}

func TestReplicasStoreAnArticleOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		addZone(t, r[0], "a", "甲区")
		const articles, rounds = 40, 5
		var results tally[zonewire.PutResult]
		for round := range rounds {
			r.atOnce(6, func(_ int, db *store.DB) {
				batch := make([]zonewire.Article, articles)
				for i, n := range rand.Perm(articles) {
					batch[i] = news("a", round*articles+n)
				}
				stored, err := db.PutArticles(t.Context(), at(0), batch)
				failed(t, "store", err)
				for _, s := range stored {
					results.add(s.Result)
				}
			})
		}
		if results.n[zonewire.Added] != articles*rounds {
			t.Errorf("%v, want %d added", results.n, articles*rounds)
		}
		// Each has a number of its own, and none is left out: what commits late is not behind a window.
		var seqs []int64
		for _, a := range must[[]zonewire.Article](t)(r[1].Articles(t.Context(), zonewire.ArticleQuery{Limit: 1000})) {
			seqs = append(seqs, a.Seq)
		}
		slices.Sort(seqs)
		for i, s := range seqs {
			if s != int64(i)+1 {
				t.Fatalf("numbers %v", seqs)
			}
		}
		if of := must[zonewire.Generation](t)(r[1].Generation(t.Context())); len(seqs) != articles*rounds || of.Articles != int64(len(seqs)) {
			t.Errorf("%d articles, the counter stands at %d, want %d", len(seqs), of.Articles, articles*rounds)
		}
	})
}

// All tick, articles come in all the time, and readers come and go: a slot has one digest, every article is in one digest of
// each list, and every digest's counts sum.
func TestReplicasPlanASlotOnceAndNoArticleTwice(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const lists, days, batches = 3, 4, 6
		addZone(t, r[0], "a", "甲区")
		for i := range lists {
			addList(t, r[0], zonewire.List{Slug: fmt.Sprint("l", i), All: true})
			for n := range 5 {
				subscribe(t, r[0], fmt.Sprint("l", i), fmt.Sprintf("%d-%d@example.com", i, n))
			}
		}
		var planned tally[string]
		tick := func(db *store.DB, now time.Duration) {
			for {
				d, some, err := db.PlanNext(t.Context(), t0.Add(now), plain{})
				if failed(t, "plan", err) || !some {
					return
				}
				planned.add(fmt.Sprint(d.ListID, d.Slot))
			}
		}
		for d := range days {
			now := time.Duration(d+1) * day
			r.atOnce(8, func(i int, db *store.DB) {
				if i < 4 {
					tick(db, now)
					return
				}
				for b := range batches {
					_, err := db.PutArticles(t.Context(), at(now), []zonewire.Article{news("a", 1000*d+100*i+b)})
					failed(t, "store", err)
				}
			})
		}
		tick(r[0], (days+1)*day)
		for slot, n := range planned.n {
			if n != 1 {
				t.Errorf("slot %s was planned %d times", slot, n)
			}
		}
		for i := range lists {
			var windows [][2]int64
			items := 0
			for _, d := range must[[]zonewire.Digest](t)(r[1].Digests(t.Context(), fmt.Sprint("l", i), 100)) {
				windows, items = append(windows, [2]int64{d.Lo, d.Hi}), items+d.Items
				countsOf(t, r[1], d)
			}
			slices.SortFunc(windows, func(a, b [2]int64) int { return int(a[0]+a[1]) - int(b[0]+b[1]) })
			for n := 1; n < len(windows); n++ {
				if windows[n][0] != windows[n-1][1] {
					t.Errorf("list %d: windows %v have a gap", i, windows)
				}
			}
			if want := days * 4 * batches; items != want || len(windows) != days+1 {
				t.Errorf("list %d: %d articles in %d digests, want %d in %d", i, items, len(windows), want, days+1)
			}
		}
		wantSound(t, r[0])
	})
}

func TestReplicasCutADigestForAMomentOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		addZone(t, r[0], "a", "甲区")
		addList(t, r[0], zonewire.List{Slug: "l", All: true})
		subscribe(t, r[0], "l", "one@example.com")
		put(t, r[0], 0, news("a", 1))
		var cut, told atomic.Int64
		r.atOnce(6, func(_ int, db *store.DB) {
			_, err := db.CutDigest(t.Context(), at(time.Hour), "l", t0.Add(time.Hour), plain{})
			if failed(t, "cut", err, zonewire.ErrExists) {
				told.Add(1)
				return
			}
			cut.Add(1)
		})
		if cut.Load() != 1 || told.Load() != 5 {
			t.Errorf("%d cut a digest and %d were told that there is one, want 1 and 5", cut.Load(), told.Load())
		}
	})
}

func TestReplicasShareDeliveriesAndSendEachOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		d := mixed(t, r[0], map[string]int{"a.example": 60, "b.example": 60, "c.example": 30, "d.example": 10, "e.example": 1})
		const readers = 161
		var sent tally[int64]
		left := new(atomic.Int64)
		left.Store(readers)
		r.atOnce(6, func(_ int, db *store.DB) {
			w, err := db.StartWorker(t.Context(), t0.Add(day))
			if failed(t, "start", err) {
				return
			}
			for tries := 0; left.Load() > 0 && tries < 1000; tries++ {
				c, err := db.Claim(t.Context(), w, 7, nil, t0.Add(day))
				if failed(t, "claim", err) {
					return
				}
				for _, j := range c.Jobs {
					err := errors.Join(db.Begin(t.Context(), j, t0.Add(day)), db.Finish(t.Context(), j, accepted, t0.Add(day)))
					if failed(t, "send", err) {
						return
					}
					sent.add(j.ID)
					left.Add(-1)
				}
			}
			failed(t, "stop", db.StopWorker(t.Context(), w, t0.Add(day)))
		})
		for id, n := range sent.n {
			if n != 1 {
				t.Errorf("delivery %d was sent %d times", id, n)
			}
		}
		if c := countsOf(t, r[1], d); c[zonewire.Accepted] != readers {
			t.Errorf("counts %v, want %d accepted", c, readers)
		}
	})
}

// The pages of one replica take a reader's word while the others claim and begin: what was not begun when it was given is
// not begun afterwards, and nothing of it stays open.
func TestWhoLeavesOnOneReplicaGetsNoMailFromAnother(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const readers = 80
		addZone(t, r[0], "a", "甲区")
		addList(t, r[0], zonewire.List{Slug: "l", All: true})
		places := map[int64]int64{} // by subscriber
		for i := range readers {
			s := subscribe(t, r[0], "l", fmt.Sprintf("%d@%d.example", i, i%3))
			places[s.Subscriber] = s.ID
		}
		put(t, r[0], 0, news("a", 1))
		d, _ := planNext(t, r[0], day)
		people := slices.Collect(maps.Keys(places))
		var gone sync.Map
		var leavers atomic.Int64
		r.atOnce(6, func(i int, db *store.DB) {
			if i < 2 {
				for n := i; n < readers; n += 2 {
					if _, _, err := db.Leave(t.Context(), at(day), places[people[n]]); !failed(t, "leave", err) {
						gone.Store(people[n], true)
					}
				}
				leavers.Add(1)
				return
			}
			w, err := db.StartWorker(t.Context(), t0.Add(day))
			if failed(t, "start", err) {
				return
			}
			for leavers.Load() < 2 {
				c, err := db.Claim(t.Context(), w, 5, nil, t0.Add(day))
				if failed(t, "claim", err) {
					return
				}
				for _, j := range c.Jobs {
					_, left := gone.Load(j.Subscriber)
					if failed(t, "begin", db.Begin(t.Context(), j, t0.Add(day)), zonewire.ErrLost) {
						continue
					}
					if left {
						t.Errorf("subscriber %d had left, and is sent mail", j.Subscriber)
					}
					failed(t, "finish", db.Finish(t.Context(), j, accepted, t0.Add(day)))
				}
			}
		})
		c := countsOf(t, r[0], d)
		if c[zonewire.Accepted]+c[zonewire.Cancelled] != readers {
			t.Errorf("counts %v, want each mail sent or cancelled", c)
		}
		t.Logf("%v", c)
	})
}

// A mail is with the relay while its reader leaves, or its article is withdrawn, and the relay wants it later: that is a mail
// that was not sent, like any other.
func TestAMailThatComesBackAfterItsReaderLeftIsNotSentAgain(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		for round, back := range []struct {
			how  string
			ends zonewire.DeliveryState // nobody knows what became of a mail whose sender died
			do   func(w int64, j zonewire.Job) error
		}{
			{"the relay wants it later", zonewire.Cancelled, func(_ int64, j zonewire.Job) error {
				return r[1].Finish(t.Context(), j, zonewire.Outcome{State: zonewire.Deferred, Next: t0.Add(10 * day)}, t0.Add(10*day))
			}},
			{"its sender dies", zonewire.Uncertain, func(w int64, _ zonewire.Job) error { return r[1].StopWorker(t.Context(), w, t0.Add(10*day)) }},
		} {
			list := fmt.Sprint("l", round)
			if round == 0 {
				addZone(t, r[0], "a", "甲区")
			}
			addList(t, r[0], zonewire.List{Slug: list, All: true})
			s := subscribe(t, r[0], list, list+"@example.com")
			put(t, r[0], 0, news("a", round))
			d, _ := planNext(t, r[0], day)
			w := worker(t, r[1], 10*day)
			jobs := claim(t, r[1], w, 9, 10*day)
			check(t, r[1].Begin(t.Context(), jobs[0], t0.Add(10*day)))
			_, _, err := r[0].Leave(t.Context(), at(10*day), s.ID)
			check(t, err)
			check(t, back.do(w, jobs[0]))
			if again := claim(t, r[1], worker(t, r[1], 10*day), 9, 10*day); len(again) != 0 {
				t.Errorf("%s: %d mails are claimed for who has left", back.how, len(again))
			}
			if c := countsOf(t, r[0], d); c[back.ends] != 1 {
				t.Errorf("%s: counts %v, want it %s", back.how, c, back.ends)
			}
		}
	})
}

func TestNobodyWhoLeavesWhileADigestIsPlannedStaysOnIt(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const readers, rounds = 30, 4
		addZone(t, r[0], "a", "甲区")
		addList(t, r[0], zonewire.List{Slug: "l", All: true})
		for round := range rounds {
			var places []int64
			for i := range readers {
				places = append(places, subscribe(t, r[0], "l", fmt.Sprintf("%d-%d@example.com", round, i)).ID)
			}
			put(t, r[0], 0, news("a", round))
			r.atOnce(3, func(i int, db *store.DB) {
				if i == 0 {
					_, _, err := db.PlanNext(t.Context(), t0.Add(time.Duration(round+1)*day), plain{})
					failed(t, "plan", err)
					return
				}
				for n := i - 1; n < readers; n += 2 {
					_, _, err := db.Leave(t.Context(), at(day), places[n])
					failed(t, "leave", err)
				}
			})
		}
		for _, d := range must[[]zonewire.Digest](t)(r[1].Digests(t.Context(), "l", 100)) {
			if c := countsOf(t, r[1], d); c[zonewire.Pending]+c[zonewire.Leased]+c[zonewire.Deferred] != 0 {
				t.Errorf("counts %v: everybody has left, and mail waits for them", c)
			}
		}
		wantSound(t, r[0])
	})
}

// Once one replica has paused sending, no replica begins another mail, whatever it has claimed.
func TestAPauseOnOneReplicaHoldsForAll(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		d := mixed(t, r[0], map[string]int{"a.example": 100, "b.example": 100})
		for round := range 5 {
			check(t, r[0].ResumeSending(t.Context(), at(day), false))
			var paused, over atomic.Bool
			var begun atomic.Int64
			r.atOnce(5, func(i int, db *store.DB) {
				if i == 0 {
					for begun.Load() < 10 && !t.Failed() {
						time.Sleep(time.Millisecond)
					}
					failed(t, "pause", db.PauseSending(t.Context(), at(day), "test"))
					paused.Store(true)
					time.Sleep(20 * time.Millisecond) // what would go on wrongly has its time
					over.Store(true)
					return
				}
				w, err := db.StartWorker(t.Context(), t0.Add(day))
				if failed(t, "start", err) {
					return
				}
				for !over.Load() && !t.Failed() {
					before := paused.Load()
					c, err := db.Claim(t.Context(), w, 4, nil, t0.Add(day))
					if failed(t, "claim", err) {
						return
					}
					if before && len(c.Jobs) > 0 {
						t.Errorf("round %d: %d mails claimed after the pause", round, len(c.Jobs))
					}
					for _, j := range c.Jobs {
						before := paused.Load()
						if failed(t, "begin", db.Begin(t.Context(), j, t0.Add(day)), zonewire.ErrLost) {
							continue
						}
						if before {
							t.Errorf("round %d: a mail was begun after the pause", round)
						}
						begun.Add(1)
						// It comes back, so that there is mail for the next round.
						failed(t, "finish", db.Finish(t.Context(), j, zonewire.Outcome{State: zonewire.Deferred, Next: t0.Add(day)}, t0.Add(day)))
					}
				}
			})
			if c := countsOf(t, r[1], d); c[zonewire.Leased] != 0 {
				t.Errorf("round %d: counts %v, want nothing held by anybody", round, c)
			}
		}
	})
}

func TestNoAnswerOfAProviderIsLostBetweenReplicas(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		for round := range 10 {
			name := fmt.Sprintf("%d.example", round)
			r.atOnce(4, func(_ int, db *store.DB) {
				_, err := db.Observe(t.Context(), name, zonewire.Answer{Verdict: zonewire.VerdictRate, Text: "slower", Began: t0}, t0)
				failed(t, "observe", err)
			})
			all := must[[]zonewire.Provider](t)(r[round%2].Providers(t.Context()))
			i := slices.IndexFunc(all, func(p zonewire.Provider) bool { return p.Name == name })
			if i < 0 || all[i].Hits != 4 {
				t.Fatalf("%s: four answers at once: %+v", name, all)
			}
		}
	})
}

// Six workers on two replicas ask every second. Together they get what the pace gives, not each.
func TestThePaceIsCountedOverAllReplicas(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		mixed(t, r[0], map[string]int{"slow.example": 100, "quick.example": 20})
		now := t0.Add(day)
		must[bool](t)(r[0].Observe(t.Context(), "slow.example", zonewire.Answer{Verdict: zonewire.VerdictRate, Text: "slower", Began: now, PerHour: 7200}, now))
		var workers [6]int64
		for i := range workers {
			workers[i] = worker(t, r[i%2], day)
		}
		var claimed tally[string]
		const seconds = 20
		for s := 1; s <= seconds; s++ {
			r.atOnce(len(workers), func(i int, db *store.DB) {
				c, err := db.Claim(t.Context(), workers[i], 10, nil, now.Add(time.Duration(s)*time.Second))
				failed(t, "claim", err)
				for _, j := range c.Jobs {
					claimed.add(j.Provider)
				}
			})
		}
		if n := claimed.n["slow.example"]; n < seconds-2 || n > seconds+1 {
			t.Errorf("%d mails in %d seconds, want one a second: half of 7200 an hour", n, seconds)
		}
		if claimed.n["quick.example"] != 20 {
			t.Errorf("the other group: %d of 20", claimed.n["quick.example"])
		}
	})
}

func TestOneReplicaProbesAProviderThatRefuses(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		mixed(t, r[0], map[string]int{"shut.example": 30})
		now := t0.Add(day)
		for range 10 {
			must[bool](t)(r[0].Observe(t.Context(), "shut.example", zonewire.Answer{Verdict: zonewire.VerdictPolicy, Text: "blocked", Began: now}, now))
		}
		var workers [6]int64
		for i := range workers {
			workers[i] = worker(t, r[i%2], day+15*time.Minute)
		}
		var probes atomic.Int64
		for s := range 3 {
			r.atOnce(len(workers), func(i int, db *store.DB) {
				c, err := db.Claim(t.Context(), workers[i], 10, nil, now.Add(15*time.Minute+time.Duration(s)*time.Second))
				failed(t, "claim", err)
				probes.Add(int64(len(c.Jobs)))
			})
		}
		if probes.Load() != 1 {
			t.Errorf("%d probes went, want one", probes.Load())
		}
	})
}

// A sender dies with mail in hand. Everybody notices at once, and one takes over.
func TestTheMailOfADeadReplicaIsTakenOverOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		d := planned(t, r[0], 20)
		dead := worker(t, r[0], day)
		jobs := claim(t, r[0], dead, 20, day)
		for _, j := range jobs[:5] {
			check(t, r[0].Begin(t.Context(), j, t0.Add(day)))
		}
		later := day + 21*time.Second
		var workers [6]int64
		for i := range workers {
			workers[i] = worker(t, r[i%2], later)
		}
		var got tally[int64]
		var losses atomic.Int64
		r.atOnce(len(workers), func(i int, db *store.DB) {
			for range 10 {
				c, err := db.Claim(t.Context(), workers[i], 5, nil, t0.Add(later))
				failed(t, "claim", err)
				for _, j := range c.Jobs {
					got.add(j.ID)
					losses.Add(int64(j.Losses))
				}
			}
		})
		for id, n := range got.n {
			if n != 1 {
				t.Errorf("delivery %d was claimed %d times", id, n)
			}
		}
		if len(got.n) != 20 || losses.Load() != 5 {
			t.Errorf("%d mails taken over, %d of them counted as lost, want 20 and 5", len(got.n), losses.Load())
		}
		for _, j := range jobs {
			if err := r[0].Finish(t.Context(), j, accepted, t0.Add(later)); !errors.Is(err, zonewire.ErrLost) {
				t.Errorf("the dead one wakes and has its word: %v", err)
			}
		}
		countsOf(t, r[1], d)
	})
}

// While one holds the writers' turn, many others wait for it. They must leave connections to those who send.
func TestWhoWaitsForATurnHoldsUpNoSender(t *testing.T) {
	dsn := pgtest.Database(t)
	db := mustOpen(t, dsn+"&pool_max_conns=6", store.Options{Create: true, Matcher: exactNames})
	planned(t, db, 1)
	jobs := claim(t, db, worker(t, db, day), 1, day)
	holder, err := store.Writer(mustOpen(t, dsn, store.Options{Matcher: exactNames})).BeginTx(t.Context(), nil)
	check(t, err)
	_, err = holder.ExecContext(t.Context(), `SELECT n FROM counter WHERE name = 'writer' FOR UPDATE`)
	check(t, err)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, _, err := db.AddZone(t.Context(), at(0), zonewire.Zone{Slug: fmt.Sprint("z", i), Name: "区"}); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := func() bool {
		return pgtest.Query(t, dsn, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%writer%'`) != "0"
	}
	for !waiting() {
		time.Sleep(10 * time.Millisecond)
	}
	check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
	check(t, db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)))
	check(t, holder.Rollback())
	wg.Wait()
	if all := must[[]zonewire.Zone](t)(db.Zones(t.Context())); len(all) != 21 {
		t.Errorf("%d zones", len(all))
	}
}
