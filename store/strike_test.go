package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// press plans an issue a day and plays the mail server.
type press struct {
	t   *testing.T
	db  *store.DB
	day int
}

func newPress(t *testing.T, db *store.DB, readers ...string) *press {
	t.Helper()
	addZone(t, db, "a", "甲区")
	addList(t, db, zonewire.List{Slug: "l", All: true})
	for _, r := range readers {
		subscribe(t, db, "l", r)
	}
	return &press{t: t, db: db}
}

func (p *press) at() time.Duration { return time.Duration(p.day) * day }

func (p *press) act() zonewire.Act { return at(p.at() + time.Minute) }

// issue plans the next day's digest, and answers each of its mails.
func (p *press) issue(answer func(email string) zonewire.Outcome) zonewire.Digest {
	p.t.Helper()
	p.day++
	put(p.t, p.db, p.at()-time.Hour, news("a", 1000+p.day))
	d, ok := planNext(p.t, p.db, p.at())
	if !ok {
		p.t.Fatal("nothing to plan")
	}
	w := worker(p.t, p.db, p.at())
	for _, j := range claim(p.t, p.db, w, 1000, p.at()) {
		check(p.t, p.db.Begin(p.t.Context(), j, t0.Add(p.at())))
		check(p.t, p.db.Finish(p.t.Context(), j, answer(j.Email), t0.Add(p.at())))
	}
	check(p.t, p.db.StopWorker(p.t.Context(), w, t0.Add(p.at())))
	countsOf(p.t, p.db, d)
	return d
}

func (p *press) state(email string) string {
	p.t.Helper()
	s := must[zonewire.Subscriber](p.t)(p.db.Subscriber(p.t.Context(), email))
	sub := s.Subscriptions[0]
	return strings.TrimSpace(string(sub.State) + " " + sub.Reason)
}

func (p *press) want(email, state string) {
	p.t.Helper()
	if got := p.state(email); got != state {
		p.t.Errorf("day %d: %s is %q, want %q", p.day, email, got, state)
	}
}

var (
	sureHard = zonewire.Outcome{State: zonewire.Rejected, Code: 550, Enhanced: "5.1.1", Verdict: zonewire.VerdictHard, Sure: true}
	maybe    = zonewire.Outcome{State: zonewire.Rejected, Code: 550, Verdict: zonewire.VerdictHard}
	full     = zonewire.Outcome{State: zonewire.Rejected, Code: 552, Enhanced: "5.2.2", Verdict: zonewire.VerdictMailbox}
	policy   = zonewire.Outcome{State: zonewire.Expired, Code: 550, Enhanced: "5.7.1", Verdict: zonewire.VerdictPolicy}
)

func always(o zonewire.Outcome) func(string) zonewire.Outcome {
	return func(string) zonewire.Outcome { return o }
}

func TestAnAddressThatSurelyDoesNotExistIsSuppressedAtOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "gone@example.com", "here@example.com")
		d := p.issue(func(email string) zonewire.Outcome {
			if email == "gone@example.com" {
				return sureHard
			}
			return accepted
		})
		p.want("gone@example.com", "bounced hard bounce")
		p.want("here@example.com", "active")
		if c := countsOf(t, db, d); c[zonewire.Rejected] != 1 || c[zonewire.Accepted] != 1 {
			t.Errorf("counts %v", c)
		}
		// The next issue has no row for a place that ended; nobody is sent to in vain.
		if next := p.issue(always(accepted)); next.Recipients != 1 {
			t.Errorf("%d recipients, want only who is there", next.Recipients)
		}
		if all := must[[]zonewire.Suppression](t)(db.Suppressions(t.Context(), 9)); len(all) != 1 || all[0].Email != "gone@example.com" || all[0].Reason != "hard bounce" {
			t.Errorf("suppressions %+v", all)
		}
	})
}

func TestOneDoubtfulRefusalIsNotEnough(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		p.issue(always(maybe))
		p.want("r@example.com", "active")
		p.issue(always(maybe))
		p.want("r@example.com", "bounced hard bounce")
	})
}

func TestASuccessForgetsWhatWasBefore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		p.issue(always(maybe))
		p.issue(always(accepted))
		p.issue(always(maybe))
		p.want("r@example.com", "active")
		p.issue(always(maybe))
		p.want("r@example.com", "bounced hard bounce")
	})
}

func TestAFullMailboxPausesAfterFiveIssuesInFifteenDays(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		for range 15 {
			p.issue(always(full))
			p.want("r@example.com", "active")
		}
		p.issue(always(full)) // the sixteenth: fifteen days after the first
		p.want("r@example.com", "paused mailbox full or disabled")
		if all := must[[]zonewire.Suppression](p.t)(p.db.Suppressions(t.Context(), 9)); len(all) != 0 {
			t.Errorf("a full mailbox is suppressed: %+v", all)
		}
		// The row of the next issue says why nothing went.
		d := p.issue(always(accepted))
		if c := countsOf(t, p.db, d); c[zonewire.Suppressed] != 1 {
			t.Errorf("counts %v, want the paused one accounted for", c)
		}
		sub := must[zonewire.Subscriber](t)(p.db.Subscriber(t.Context(), "r@example.com")).Subscriptions[0]
		must[zonewire.Subscription](t)(p.db.ResumeSubscription(t.Context(), p.act(), sub.ID))
		p.want("r@example.com", "active")
	})
}

func TestTroubleOfOursNeverCountsAgainstAReader(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		for _, v := range []zonewire.Verdict{zonewire.VerdictPolicy, zonewire.VerdictRate, zonewire.VerdictNetwork} {
			for range 20 {
				o := policy
				o.Verdict = v
				p.issue(always(o))
			}
		}
		p.want("r@example.com", "active")
	})
}

// Forty readers of one provider: when it calls a quarter of them unknown in one issue, it is the provider that is wrong.
func TestTheValveClosesWhenAProviderTurnsOnUs(t *testing.T) {
	var readers []string
	for i := range 100 {
		readers = append(readers, fmt.Sprintf("r%d@qq.com", i), fmt.Sprintf("r%d@example.com", i))
	}
	p := newPress(t, openSQLite(t), readers...)
	p.issue(func(email string) zonewire.Outcome {
		if strings.HasSuffix(email, "@qq.com") && email >= "r70" || email == "r5@example.com" {
			return sureHard
		}
		return accepted
	})
	for _, email := range []string{"r71@qq.com", "r99@qq.com", "r8@qq.com"} {
		p.want(email, "active")
	}
	p.want("r5@example.com", "bounced hard bounce") // another provider is not concerned
	if all := must[[]zonewire.Suppression](t)(p.db.Suppressions(t.Context(), 99)); len(all) != 1 {
		t.Errorf("%d suppressed, want only the one elsewhere", len(all))
	}
	var frozen zonewire.Provider
	for _, pr := range must[[]zonewire.Provider](t)(p.db.Providers(t.Context())) {
		if pr.Name == "qq.com" {
			frozen = pr
		}
	}
	if !frozen.Frozen.Equal(t0.Add(2 * day)) {
		t.Errorf("%+v, want it frozen for a day", frozen)
	}
	// A day later suppression works again, for the one that is really gone.
	p.issue(func(email string) zonewire.Outcome {
		if email == "r71@qq.com" {
			return sureHard
		}
		return accepted
	})
	p.want("r71@qq.com", "bounced hard bounce")
}

func TestSuppressionStopsWhatIsQueued(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 2)
		w := worker(t, db, day)
		jobs := claim(t, db, w, 9, day)
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))
		for i := range 2 {
			if added := must[bool](t)(db.AddSuppression(t.Context(), at(day), hashOf(fmt.Sprintf("%d@example.com", i)), "asked")); !added {
				t.Error("not added")
			}
		}
		if err := db.Begin(t.Context(), jobs[1], t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("a mail to a suppressed address began: %v", err)
		}
		check(t, db.Finish(t.Context(), jobs[0], accepted, t0.Add(day)))
		if c := countsOf(t, db, d); c[zonewire.Suppressed] != 1 || c[zonewire.Accepted] != 1 {
			t.Errorf("counts %v", c)
		}
		put(t, db, day, news("a", 2))
		next, _ := planNext(t, db, 2*day)
		if c := countsOf(t, db, next); c[zonewire.Suppressed] != 2 {
			t.Errorf("the next issue: %v, want both accounted for as suppressed", c)
		}
	})
}

func TestASuppressionOutlivesErasureAndIsLiftedByForceOrByTheOwner(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		p.issue(always(sureHard))
		must[int64](t)(db.EraseSubscriber(t.Context(), p.act(), "r@example.com"))
		join := func(confirmed bool, force string) zonewire.SubscribeResult {
			t.Helper()
			_, result, err := db.Subscribe(t.Context(), p.act(), zonewire.NewSubscription{
				Address: addressOf("r@example.com"), List: "l", Confirmed: confirmed, Consent: "x", Force: force,
			})
			check(t, err)
			return result
		}
		if got := join(true, ""); got != zonewire.SubscribeRefused {
			t.Errorf("an import brought an erased and suppressed address back: %s", got)
		}
		if got := join(true, "they called and asked"); got != zonewire.SubscribeRevived {
			t.Errorf("forced: %s", got)
		}
		p.want("r@example.com", "active")
		found := false
		for _, e := range must[[]zonewire.AuditEntry](t)(db.Audit(t.Context(), 50)) {
			found = found || e.Action == "subscriber.force" && strings.Contains(e.Detail, "they called and asked")
		}
		if !found {
			t.Error("the reason for forcing is not in the audit")
		}

		p.issue(always(sureHard))
		p.want("r@example.com", "bounced hard bounce")
		join(false, "")
		p.want("r@example.com", "pending")
		check(t, db.RequestPlace(t.Context(), p.act(), wishFor("l", "r@example.com")))
		must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), p.act(), letterTo(t, db, p.at()+time.Minute, "r@example.com").ticket))
		p.want("r@example.com", "active")
		if all := must[[]zonewire.Suppression](t)(db.Suppressions(t.Context(), 9)); len(all) != 0 {
			t.Errorf("the owner has confirmed and is still suppressed: %+v", all)
		}
	})
}

func TestRemovingASuppressionLetsBouncedPlacesStandAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		p.issue(always(sureHard))
		check(t, p.db.RemoveSuppression(t.Context(), p.act(), hashOf("r@example.com")))
		p.want("r@example.com", "active")
		if err := p.db.RemoveSuppression(t.Context(), p.act(), hashOf("r@example.com")); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("removing nothing: %v", err)
		}
	})
}
