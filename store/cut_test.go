package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"zonewire"
	"zonewire/internal/pgtest"
	"zonewire/store"
)

// scene makes what a method needs, and gives the method and what must hold once it was cut and has answered.
type scene func(t *testing.T, db *store.DB) (do func() error, holds func(t *testing.T, cut pgtest.Moment, err error))

// A connection that is lost before, while or after a transaction commits leaves what one run of it leaves: the store runs it
// again, and its answer is true.
func TestAConnectionLostAtCommitChangesNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		trap  pgtest.Trap
		scene scene
	}{
		{"articles come in", pgtest.Trap{Of: "insert into article "}, articlesComeIn},
		{"a digest is planned", pgtest.Trap{Of: "insert into digest "}, aDigestIsPlanned},
		{"somebody subscribes", pgtest.Trap{Of: "insert into subscription"}, somebodySubscribes},
		{"somebody leaves", pgtest.Trap{Of: "insert into ticket"}, somebodyLeaves},
		{"an article is withdrawn", pgtest.Trap{Of: "set withdrawn_ms"}, anArticleIsWithdrawn},
		{"alarms are settled", pgtest.Trap{Of: "insert into alarm"}, alarmsAreSettled},
		{"mail is claimed", pgtest.Trap{Of: "set state = 1"}, mailIsClaimed},
		{"a mail is begun", pgtest.Trap{Text: "set began_ms = $3"}, aMailIsBegun},
		{"a mail is finished", pgtest.Trap{Text: "set state = $3, reason"}, aMailIsFinished},
		{"one mail follows another", pgtest.Trap{Text: "set state = $3, reason"}, oneMailFollowsAnother},
		{"one mail follows another, and the second half is cut", pgtest.Trap{Text: "set began_ms = $3"}, oneMailFollowsAnother},
		{"a refusal is finished", pgtest.Trap{Of: "set verdict"}, aRefusalIsFinished},
	} {
		for _, moment := range []pgtest.Moment{pgtest.Before, pgtest.During, pgtest.After} {
			t.Run(fmt.Sprint(c.name, " ", moment), func(t *testing.T) {
				t.Parallel()
				line := pgtest.Proxy(t, pgtest.Database(t))
				db := mustOpen(t, line.DSN(), store.Options{Create: true, Matcher: exactNames})
				do, holds := c.scene(t, db)
				laid := c.trap
				laid.At = moment
				trap := line.Set(laid)
				err := do()
				select {
				case <-trap.Sprung:
				case <-time.After(5 * time.Second):
					t.Fatal("nothing was cut")
				}
				holds(t, moment, err)
			})
		}
	}
}

// nothing reports an answer that a method must not give.
func nothing(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("it answered: %v", err)
	}
}

// acts counts what the audit tells of an action.
func acts(t *testing.T, db *store.DB, action string) int {
	t.Helper()
	n := 0
	for _, e := range must[[]zonewire.AuditEntry](t)(db.Audit(t.Context(), 1000)) {
		if e.Action == action {
			n++
		}
	}
	return n
}

func articlesComeIn(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	addZone(t, db, "a", "甲区")
	before := acts(t, db, "article.push")
	var stored []zonewire.Stored
	do := func() (err error) {
		stored, err = db.PutArticles(t.Context(), at(0), []zonewire.Article{news("a", 1), news("a", 2)})
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Limit: 10}))
		if len(all) != 2 || len(stored) != 2 || stored[0].ID == stored[1].ID {
			t.Fatalf("%d articles, answered %+v", len(all), stored)
		}
		for i, a := range all { // the newest first
			if a.Seq != int64(2-i) || !slices.ContainsFunc(stored, func(s zonewire.Stored) bool { return s.ID == a.ID }) {
				t.Errorf("article %d has number %d; answered %+v", a.ID, a.Seq, stored)
			}
		}
		if n := acts(t, db, "article.push") - before; n > 1 {
			t.Errorf("%d entries of the audit", n)
		}
	}
}

func aDigestIsPlanned(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	addZone(t, db, "a", "甲区")
	addList(t, db, zonewire.List{Slug: "l", All: true})
	for i := range 3 {
		subscribe(t, db, "l", fmt.Sprintf("%d@example.com", i))
	}
	put(t, db, 0, news("a", 1))
	do := func() error {
		_, _, err := db.PlanNext(t.Context(), t0.Add(day), plain{})
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		all := must[[]zonewire.Digest](t)(db.Digests(t.Context(), "l", 10))
		if len(all) != 1 || all[0].Recipients != 3 || countsOf(t, db, all[0])[zonewire.Pending] != 3 {
			t.Fatalf("planned %+v, want one digest to three", all)
		}
		if l := must[zonewire.List](t)(db.List(t.Context(), "l")); l.Watermark != 1 || !l.NextSlot.After(t0.Add(day)) {
			t.Errorf("the list stands at %d, and is due at %v", l.Watermark, l.NextSlot)
		}
		if _, again := planNext(t, db, day); again {
			t.Error("the slot is planned twice")
		}
		if n := acts(t, db, "digest.plan"); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
	}
}

func somebodySubscribes(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	addZone(t, db, "a", "甲区")
	addList(t, db, zonewire.List{Slug: "l", All: true})
	var sub zonewire.Subscription
	var result zonewire.SubscribeResult
	do := func() (err error) {
		sub, result, err = db.Subscribe(t.Context(), at(0), zonewire.NewSubscription{
			Address: addressOf("one@example.com"), List: "l", Confirmed: true, Consent: "test",
		})
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		if result != zonewire.SubscribeAdded && result != zonewire.SubscribeUnchanged || sub.State != zonewire.SubActive {
			t.Errorf("answered %s: %+v", result, sub)
		}
		if got := place(t, db, "one@example.com", "l"); got.ID != sub.ID || got.State != zonewire.SubActive {
			t.Errorf("the place is %+v, answered %+v", got, sub)
		}
		if n := acts(t, db, "subscriber.subscribe"); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
	}
}

func somebodyLeaves(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d := planned(t, db, 2)
	leaver := place(t, db, "0@example.com", "l")
	var undo int64
	do := func() (err error) {
		_, undo, err = db.Leave(t.Context(), at(day), leaver.ID)
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		if got := place(t, db, "0@example.com", "l"); got.State != zonewire.SubUnsubscribed {
			t.Errorf("the place is %s", got.State)
		}
		if c := countsOf(t, db, d); c[zonewire.Cancelled] != 1 || c[zonewire.Pending] != 1 {
			t.Errorf("counts %v", c)
		}
		if n := acts(t, db, "subscriber.unsubscribe"); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
		// The way back that was answered is there, and it is the only one.
		if back := must[zonewire.Subscription](t)(db.UndoLeave(t.Context(), at(day+time.Minute), undo)); back.State != zonewire.SubActive {
			t.Errorf("the way back leads to %s", back.State)
		}
		if c := countsOf(t, db, d); c[zonewire.Pending] != 2 {
			t.Errorf("after the way back: counts %v", c)
		}
	}
}

func anArticleIsWithdrawn(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d := planned(t, db, 2)
	a := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Limit: 1}))[0]
	do := func() error {
		_, err := db.WithdrawArticle(t.Context(), at(day), a.ID, "有误", false, plain{})
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		if err != nil && !errors.Is(err, zonewire.ErrGone) { // it is gone: by the run whose answer was lost
			t.Errorf("it answered: %v", err)
		}
		got := must[zonewire.Article](t)(db.Article(t.Context(), a.ID))
		if got.Withdrawn.IsZero() {
			t.Error("it stands")
		}
		if c := countsOf(t, db, d); c[zonewire.Empty] != 2 {
			t.Errorf("counts %v", c)
		}
		if gone := must[[]zonewire.Departure](t)(db.Departures(t.Context(), a.ZoneID, 10)); len(gone) != 1 {
			t.Errorf("it has left its feed %d times", len(gone))
		}
		if n := acts(t, db, "article.withdraw"); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
	}
}

func alarmsAreSettled(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	do := func() error {
		_, _, err := db.SettleAlarms(t.Context(), at(0), []zonewire.Alarm{alarm("sending-paused", 0)}, tells("op@example.com"))
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		if all := must[[]zonewire.Alarm](t)(db.Alarms(t.Context())); len(all) != 1 {
			t.Errorf("%d alarms stand", len(all))
		}
		if sent := sentNotices(t, db, time.Minute); len(sent) != 1 {
			t.Errorf("the operator is told %v", sent)
		}
		if n := acts(t, db, "alarm.begin"); n != 1 {
			t.Errorf("%d entries of the audit", n)
		}
	}
}

// What a claim has taken is answered, however often it was run: nobody else could claim it while its worker lives.
func mailIsClaimed(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d := planned(t, db, 5)
	w := worker(t, db, day)
	var jobs []zonewire.Job
	do := func() error {
		c, err := db.Claim(t.Context(), w, 2, nil, t0.Add(day))
		jobs = c.Jobs
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		for more := jobs; len(more) > 0; jobs = append(jobs, more...) {
			more = claim(t, db, w, 2, day)
		}
		for _, j := range jobs {
			check(t, db.Begin(t.Context(), j, t0.Add(day)))
			check(t, db.Finish(t.Context(), j, accepted, t0.Add(day)))
		}
		if c := countsOf(t, db, d); c[zonewire.Accepted] != 5 {
			t.Errorf("%d jobs were handed out; counts %v", len(jobs), c)
		}
	}
}

// flying is a digest to n people, all of it claimed, and the first mail begun.
func flying(t *testing.T, db *store.DB, n int) (zonewire.Digest, []zonewire.Job) {
	d := planned(t, db, n)
	jobs := claim(t, db, worker(t, db, day), n, day)
	check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
	return d, jobs
}

func aMailIsBegun(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	_, jobs := flying(t, db, 2)
	do := func() error { return db.Begin(t.Context(), jobs[1], t0.Add(day)) }
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		all := must[[]zonewire.Delivery](t)(db.Deliveries(t.Context(), store.DeliveryQuery{ID: jobs[1].ID}))
		if len(all) != 1 || all[0].Attempts != 1 {
			t.Errorf("%+v, want one attempt", all)
		}
		check(t, db.Finish(t.Context(), jobs[1], accepted, t0.Add(day)))
	}
}

func aMailIsFinished(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d, jobs := flying(t, db, 2)
	do := func() error { return db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)) }
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		if c := countsOf(t, db, d); c[zonewire.Accepted] != 1 || c[zonewire.Leased] != 1 {
			t.Errorf("counts %v", c)
		}
	}
}

func oneMailFollowsAnother(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d, jobs := flying(t, db, 2)
	var lost, taken error
	do := func() (err error) {
		lost, taken, err = db.Turn(t.Context(), jobs[0], accepted, jobs[1], t0.Add(day))
		return err
	}
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		nothing(t, lost)
		nothing(t, taken)
		check(t, db.Finish(t.Context(), jobs[1], accepted, t0.Add(day)))
		if c := countsOf(t, db, d); c[zonewire.Accepted] != 2 {
			t.Errorf("counts %v", c)
		}
	}
}

func aRefusalIsFinished(t *testing.T, db *store.DB) (func() error, func(*testing.T, pgtest.Moment, error)) {
	d, jobs := flying(t, db, 2)
	refusal := zonewire.Outcome{State: zonewire.Rejected, Code: 550, Enhanced: "5.1.1", Reply: "no such user", Verdict: zonewire.VerdictHard, Sure: true}
	do := func() error { return db.Finish(t.Context(), jobs[0], refusal, t0.Add(day)) }
	return do, func(t *testing.T, _ pgtest.Moment, err error) {
		nothing(t, err)
		if c := countsOf(t, db, d); c[zonewire.Rejected] != 1 {
			t.Errorf("counts %v", c)
		}
		if all := must[[]zonewire.Delivery](t)(db.Deliveries(t.Context(), store.DeliveryQuery{ID: jobs[0].ID})); all[0].Verdict != zonewire.VerdictHard {
			t.Errorf("the verdict is %q", all[0].Verdict)
		}
	}
}
