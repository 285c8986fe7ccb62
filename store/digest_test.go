package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// plain is a small working planner: a day's slots, every article, a mail that names them.
type plain struct{}

func (plain) Slots(l zonewire.List, now time.Time) (slot, following time.Time, err error) {
	if l.Schedule == "broken" {
		return slot, following, zonewire.Invalidf("schedule %q", l.Schedule)
	}
	slot = l.NextSlot
	for !slot.Add(24 * time.Hour).After(now) {
		slot = slot.Add(24 * time.Hour)
	}
	return slot, slot.Add(24 * time.Hour), nil
}

func (p plain) Plan(r zonewire.PlanRequest) (zonewire.Plan, error) {
	var plan zonewire.Plan
	for _, a := range r.Articles {
		if r.List.Takes(a, r.Zones[a.ZoneID]) {
			plan.Items = append(plan.Items, a.ID)
		}
	}
	for _, a := range append(r.Audiences, zonewire.Audience{Locale: r.List.Locale}) {
		v, some, err := p.Recompose(r, zonewire.Variant{Locale: a.Locale, Zones: a.Zones})
		if err != nil {
			return plan, err
		}
		if !some {
			plan.Empty = append(plan.Empty, a)
			continue
		}
		plan.Variants = append(plan.Variants, v)
	}
	return plan, nil
}

func (plain) Recompose(r zonewire.PlanRequest, v zonewire.Variant) (zonewire.Variant, bool, error) {
	ids, err := zonewire.ParseZoneSet(v.Zones)
	if err != nil {
		return v, false, err
	}
	follows := map[int64]bool{}
	for _, id := range ids {
		follows[id] = true
	}
	var titles []string
	for _, a := range r.Articles {
		if a.Withdrawn.IsZero() && (len(ids) == 0 || follows[a.ZoneID]) {
			titles = append(titles, a.Title)
		}
	}
	text := strings.Join(titles, "\n")
	v.Items, v.Mail = len(titles), zonewire.Mail{Subject: r.List.Title, HTML: []string{text}, Text: []string{text}, Digest: r.Digest}
	if v.Web = ""; v.Zones == "" {
		v.Web = fmt.Sprintf("%d of %d: %s", len(titles), len(r.Articles), text)
	}
	return v, len(titles) > 0, nil
}

func addList(t *testing.T, db *store.DB, l zonewire.List) zonewire.List {
	t.Helper()
	l.Title, l.Schedule, l.Timezone, l.Locale = "园区早报", "0 8 * * *", "Asia/Shanghai", zonewire.LocaleZH
	l.MaxItems, l.CatchUp, l.NextSlot = 60, 24*time.Hour, t0.Add(24*time.Hour)
	return must[zonewire.List](t)(db.AddList(t.Context(), at(0), l, time.Time{}))
}

func hashOf(email string) string { return "hash of " + email }

func addressOf(email string) zonewire.Address {
	_, domain, _ := strings.Cut(email, "@")
	return zonewire.Address{Given: email, Key: email, Wire: email, Provider: domain, Hash: hashOf(email)}
}

func subscribe(t *testing.T, db *store.DB, list, email string, zones ...string) zonewire.Subscription {
	t.Helper()
	sub, result, err := db.Subscribe(t.Context(), at(0), zonewire.NewSubscription{
		Address: addressOf(email), List: list, Zones: zones, Confirmed: true, Consent: "test",
	})
	check(t, err)
	if result != zonewire.SubscribeAdded {
		t.Fatalf("subscribe: %s", result)
	}
	return sub
}

func planNext(t *testing.T, db *store.DB, after time.Duration) (zonewire.Digest, bool) {
	t.Helper()
	d, planned, err := db.PlanNext(t.Context(), t0.Add(after), plain{})
	check(t, err)
	return d, planned
}

const day = 24 * time.Hour

func TestADigestTakesWhatCameSinceTheLastOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		put(t, db, 0, news("a", 1))
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "all@example.com")
		subscribe(t, db, "l", "a@example.com", "a")
		subscribe(t, db, "l", "b@example.com", "b")

		if _, planned := planNext(t, db, day-time.Second); planned {
			t.Error("planned before its slot")
		}
		put(t, db, time.Hour, news("a", 2), news("a", 3))
		d, planned := planNext(t, db, day)
		if !planned || d.Items != 2 || d.Recipients != 3 || d.Counts.Sum() != 3 {
			t.Fatalf("got %+v, want the two articles that came after the list, and three recipients", d)
		}
		if d.Counts[zonewire.Pending] != 2 || d.Counts[zonewire.Empty] != 1 {
			t.Errorf("counts %v: want two pending, and one whose zone has nothing", d.Counts)
		}
		if _, again := planNext(t, db, day); again {
			t.Error("planned twice")
		}

		d, _ = planNext(t, db, 2*day)
		if d.State != zonewire.DigestSkipped || d.Reason != "nothing new" || d.Recipients != 0 {
			t.Errorf("a day without news: %+v, want a recorded skip", d)
		}
		put(t, db, 2*day, news("b", 4))
		d, _ = planNext(t, db, 3*day)
		if d.Items != 1 || d.Lo != 3 {
			t.Errorf("got %+v, want only what came since", d)
		}
	})
}

func TestMissedSlotsMergeAndALateOneIsSkipped(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "all@example.com")
		put(t, db, 0, news("a", 1))
		d, _ := planNext(t, db, 3*day+time.Hour)
		if !d.Slot.Equal(t0.Add(3*day)) || d.Items != 1 {
			t.Errorf("three slots missed: %+v, want one digest for the latest", d)
		}
		if _, again := planNext(t, db, 3*day+time.Hour); again {
			t.Error("an older slot was planned as well")
		}

		_, err := db.EditList(t.Context(), at(3*day), "l", func(l *zonewire.List) error {
			l.CatchUp = time.Hour
			return nil
		})
		check(t, err)
		put(t, db, 3*day+2*time.Hour, news("a", 2))
		d, _ = planNext(t, db, 4*day+2*time.Hour)
		if d.State != zonewire.DigestSkipped || d.Reason != "late" {
			t.Errorf("later than the catch-up: %+v, want a recorded skip", d)
		}
		d, _ = planNext(t, db, 5*day)
		if d.Items != 1 {
			t.Errorf("got %+v, want the article of the skipped slot", d)
		}
	})
}

func TestSeveralPlannersMakeOneDigest(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "all@example.com")
		put(t, db, 0, news("a", 1))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := db.PlanNext(t.Context(), t0.Add(day), plain{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if all := must[[]zonewire.Digest](t)(db.Digests(t.Context(), "l", 9)); len(all) != 1 || all[0].Recipients != 1 {
			t.Errorf("got %+v, want one digest to one reader", all)
		}
	})
}

func TestABrokenListHoldsUpNoOther(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "broken", All: true})
		addList(t, db, zonewire.List{Slug: "good", All: true})
		_, err := db.EditList(t.Context(), at(0), "broken", func(l *zonewire.List) error { l.Schedule = "broken"; return nil })
		check(t, err)
		d, planned, err := db.PlanNext(t.Context(), t0.Add(day), plain{})
		if err != nil || !planned || d.List != "good" {
			t.Errorf("got %+v %v %v, want the good list planned", d, planned, err)
		}
		if _, planned, err := db.PlanNext(t.Context(), t0.Add(day), plain{}); planned || !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("got %v %v, want the broken list named", planned, err)
		}
	})
}

func TestCuttingADigestLeavesTheScheduleAlone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		l := addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "all@example.com")
		put(t, db, 0, news("a", 1))
		slot := t0.Add(time.Hour)
		d := must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(time.Hour), "l", slot, plain{}))
		if d.Items != 1 || d.Recipients != 1 {
			t.Errorf("got %+v", d)
		}
		if _, err := db.CutDigest(t.Context(), at(time.Hour), "l", slot, plain{}); !errors.Is(err, zonewire.ErrExists) {
			t.Errorf("cut twice: got %v, want exists", err)
		}
		after := must[zonewire.List](t)(db.List(t.Context(), "l"))
		if !after.NextSlot.Equal(l.NextSlot) || after.Watermark == l.Watermark {
			t.Errorf("next slot %v (was %v), watermark %d (was %d)", after.NextSlot, l.NextSlot, after.Watermark, l.Watermark)
		}
	})
}

func TestPausedPeopleAreAccountedFor(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		forGood := subscribe(t, db, "l", "one@example.com")
		aDay := subscribe(t, db, "l", "two@example.com")
		for id, until := range map[int64]time.Time{forGood.ID: {}, aDay.ID: t0.Add(30 * time.Hour)} {
			_, err := db.PauseSubscription(t.Context(), at(0), id, until)
			check(t, err)
		}
		put(t, db, 0, news("a", 1))
		d, _ := planNext(t, db, day)
		if d.Counts[zonewire.Suppressed] != 2 || d.Recipients != 2 {
			t.Errorf("got %+v, want both suppressed", d)
		}
		put(t, db, day, news("a", 2))
		d, _ = planNext(t, db, 2*day)
		if d.Counts[zonewire.Suppressed] != 1 || d.Counts[zonewire.Pending] != 1 {
			t.Errorf("got %+v, want the one whose pause is over to get it", d)
		}
		jobs := claim(t, db, worker(t, db, 2*day), 9, 2*day)
		if len(jobs) != 1 {
			t.Fatalf("%d mails", len(jobs))
		}
		if text := must[zonewire.Variant](t)(db.Variant(t.Context(), jobs[0].Variant)).Mail.Text[0]; !strings.Contains(text, "第2条") || strings.Contains(text, "第1条") {
			t.Errorf("after the pause the mail says %q, want only what came since", text)
		}
	})
}

func TestAWithdrawalIsCutFromMailNotBegun(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		for i := range 3 {
			subscribe(t, db, "l", fmt.Sprintf("%d@example.com", i))
		}
		subscribe(t, db, "l", "a@example.com", "a")
		stored := put(t, db, 0, news("a", 1), news("b", 2))
		d, _ := planNext(t, db, day)
		w := must[int64](t)(db.StartWorker(t.Context(), t0.Add(day)))
		jobs := claim(t, db, w, 2, day)
		check(t, db.Begin(t.Context(), jobs[0], t0.Add(day)))

		recut := must[int](t)(db.WithdrawArticle(t.Context(), at(day), stored[0].ID, "撤稿", false, plain{}))
		if recut != 3 {
			t.Errorf("%d deliveries changed, want 3: one had begun", recut)
		}
		if err := db.Begin(t.Context(), jobs[1], t0.Add(day)); !errors.Is(err, zonewire.ErrLost) {
			t.Errorf("the old mail may still be sent: %v", err)
		}
		again := claim(t, db, w, 9, day)
		for _, j := range again {
			if v := must[zonewire.Variant](t)(db.Variant(t.Context(), j.Variant)); strings.Contains(v.Mail.HTML[0], "第1条") {
				t.Errorf("the withdrawn article is still in the mail: %q", v.Mail.HTML[0])
			}
		}
		d = must[zonewire.Digest](t)(db.Digest(t.Context(), d.ID))
		if len(again) != 2 || d.Counts[zonewire.Empty] != 1 || d.Counts.Sum() != d.Recipients {
			t.Errorf("claimed %d, counts %v: want two to send, one empty", len(again), d.Counts)
		}
		check(t, db.Finish(t.Context(), jobs[0], zonewire.Outcome{State: zonewire.Deferred, Next: t0.Add(day), Code: 451}, t0.Add(day)))
		for _, j := range claim(t, db, w, 9, day) {
			if v := must[zonewire.Variant](t)(db.Variant(t.Context(), j.Variant)); strings.Contains(v.Mail.HTML[0], "第1条") {
				t.Errorf("what was under way is tried again as it was: %q", v.Mail.HTML[0])
			}
		}
		if v := must[zonewire.Variant](t)(db.WebVariant(t.Context(), d.ID, zonewire.LocaleZH)); strings.Contains(v.Web, "第1条") {
			t.Errorf("the archive still shows it: %q", v.Web)
		}
	})
}

func TestAMailToAMergedZonesReaderIsCutLikeAnyOther(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "a@example.com", "a")
		stored := put(t, db, 0, news("a", 1), news("a", 2))
		d, _ := planNext(t, db, day)
		must[int](t)(db.CloseZone(t.Context(), at(day), "a", "b"))
		must[int](t)(db.WithdrawArticle(t.Context(), at(day), stored[0].ID, "撤稿", false, plain{}))
		if c := countsOf(t, db, d); c[zonewire.Pending] != 1 {
			t.Errorf("counts %v, want the other article's mail still pending", c)
		}
	})
}

func TestASlotCutByHandIsNotPlannedAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		l := addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "all@example.com")
		put(t, db, 0, news("a", 1))
		cut := must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(day), "l", l.NextSlot, plain{}))
		put(t, db, day, news("a", 2))
		if d, ok := planNext(t, db, day); !ok || d.ID != cut.ID {
			t.Errorf("got %+v, want the digest that was cut", d)
		}
		if d, _ := planNext(t, db, 2*day); d.Items != 1 || d.Lo != cut.Hi {
			t.Errorf("got %+v, want what came after the cut", d)
		}
	})
}

func TestNobodyElseBringsBackWhoLeft(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addList(t, db, zonewire.List{Slug: "l", All: true})
		sub := subscribe(t, db, "l", "one@example.com")
		_, err := db.Unsubscribe(t.Context(), at(0), sub.ID)
		check(t, err)
		again := zonewire.NewSubscription{
			Address: zonewire.Address{Given: "one@example.com", Key: "one@example.com", Hash: "hash of one@example.com"},
			List:    "l", Confirmed: true,
		}
		_, result, err := db.Subscribe(t.Context(), at(time.Hour), again)
		if err != nil || result != zonewire.SubscribeRefused {
			t.Errorf("imported again: %s %v, want refused", result, err)
		}

		other := subscribe(t, db, "l", "two@example.com")
		must[int64](t)(db.EraseSubscriber(t.Context(), at(0), "two@example.com"))
		again.Address = zonewire.Address{Given: "two@example.com", Key: "two@example.com", Hash: "hash of two@example.com"}
		_, result, err = db.Subscribe(t.Context(), at(time.Hour), again)
		if err != nil || result != zonewire.SubscribeRefused {
			t.Errorf("imported after erasure: %s %v, want refused", result, err)
		}
		if s, _, err := db.Subscription(t.Context(), other.ID); err != nil || s.State != zonewire.SubUnsubscribed || s.Consent != "" {
			t.Errorf("after erasure: %+v %v", s, err)
		}
	})
}
