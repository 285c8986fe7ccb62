package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// returned is a report that names a delivery.
func returned(delivery int64, v zonewire.Verdict, sure bool) zonewire.Bounce {
	return zonewire.Bounce{
		Kind: zonewire.BounceReport, Judgement: zonewire.Judgement{Verdict: v, Sure: sure}, Status: "5.1.1", Code: 550, Text: "no <r@qq.com>", Reason: "no (address)",
		Job: zonewire.JobRef{Kind: zonewire.DigestJob, ID: delivery}, Hash: fmt.Sprintf("report %d %s", delivery, v),
	}
}

func record(t *testing.T, p *press, b zonewire.Bounce) zonewire.BounceRecord {
	t.Helper()
	r, _, err := p.db.RecordBounce(t.Context(), p.act(), b)
	check(t, err)
	return r
}

// deliveryTo finds the delivery of a digest to an address.
func deliveryTo(t *testing.T, db *store.DB, d zonewire.Digest, email string) zonewire.Delivery {
	t.Helper()
	for _, x := range must[[]zonewire.Delivery](t)(db.Deliveries(t.Context(), store.DeliveryQuery{Digest: d.ID})) {
		if x.Email == email {
			return x
		}
	}
	t.Fatalf("no delivery to %s", email)
	return zonewire.Delivery{}
}

func TestAReportMarksTheDeliveryAndJudgesTheReader(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "gone@example.com", "doubt@example.com", "blocked@example.com", "here@example.com")
		d := p.issue(always(accepted)) // the relay takes everything
		gone, doubt, blocked := deliveryTo(t, db, d, "gone@example.com"), deliveryTo(t, db, d, "doubt@example.com"), deliveryTo(t, db, d, "blocked@example.com")
		if r := record(t, p, returned(gone.ID, zonewire.VerdictHard, true)); r.Effect != "suppressed" || r.Delivery != gone.ID || r.Subscriber != gone.Subscriber {
			t.Errorf("%+v", r)
		}
		if r := record(t, p, returned(doubt.ID, zonewire.VerdictHard, false)); r.Effect != "strike" {
			t.Errorf("%+v", r)
		}
		if r := record(t, p, returned(blocked.ID, zonewire.VerdictPolicy, false)); r.Effect != "" {
			t.Errorf("%+v", r)
		}
		p.want("gone@example.com", "bounced hard bounce")
		p.want("doubt@example.com", "active")
		p.want("blocked@example.com", "active")
		if c := countsOf(t, db, d); c[zonewire.Rejected] != 3 || c[zonewire.Accepted] != 1 {
			t.Errorf("counts %v, want what came back counted as rejected", c)
		}
		if got := deliveryTo(t, db, d, "gone@example.com"); got.Reason != "bounced" || got.Code != 550 || got.Verdict != zonewire.VerdictHard {
			t.Errorf("%+v", got)
		}
	})
}

func TestTheSameReturnedMailTwiceIsOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		d := p.issue(always(accepted))
		b := returned(deliveryTo(t, p.db, d, "r@example.com").ID, zonewire.VerdictHard, false)
		first := record(t, p, b)
		r, added, err := p.db.RecordBounce(t.Context(), p.act(), b)
		check(t, err)
		if added || r.ID != first.ID || len(must[[]zonewire.BounceRecord](t)(p.db.Bounces(t.Context(), "", 9))) != 1 {
			t.Errorf("stored twice: %+v", r)
		}
		p.want("r@example.com", "active") // two strikes of one issue are one
	})
}

func TestAReportWithoutOurMarksIsMatchedByAddressWithinTwoWeeks(t *testing.T) {
	p := newPress(t, openSQLite(t), "r@example.com")
	d := p.issue(always(accepted))
	b := zonewire.Bounce{
		Kind: zonewire.BounceReport, Judgement: zonewire.Judgement{Verdict: zonewire.VerdictHard, Sure: true}, Recipients: []string{"R@example.com"}, Hash: "a",
	}
	if r := record(t, p, b); r.Delivery != deliveryTo(t, p.db, d, "r@example.com").ID || r.Effect != "suppressed" {
		t.Errorf("%+v", r)
	}
	q := newPress(t, openSQLite(t), "r@example.com")
	q.issue(always(accepted))
	q.day += 15
	if r := record(t, q, b); r.Delivery != 0 || r.Effect != "" {
		t.Errorf("a report that names only an address not mailed for two weeks did something: %+v", r)
	}
	q.want("r@example.com", "active")
}

func TestReportsSlowAProviderAsRepliesDo(t *testing.T) {
	var readers []string
	for i := range 12 {
		readers = append(readers, fmt.Sprintf("r%d@qq.com", i))
	}
	p := newPress(t, openSQLite(t), readers...)
	d := p.issue(always(accepted))
	for _, r := range readers {
		record(t, p, returned(deliveryTo(t, p.db, d, r).ID, zonewire.VerdictPolicy, false))
		p.want(r, "active")
	}
	all := must[[]zonewire.Provider](t)(p.db.Providers(t.Context()))
	if len(all) != 1 || all[0].Name != "qq.com" || all[0].Opened.IsZero() || all[0].Reason != "no (address)" {
		t.Errorf("%+v, want the breaker open after twelve reports that our content is refused", all)
	}
}

func TestAComplaintEndsAllThatAPersonGets(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com", "s@example.com")
		addList(t, p.db, zonewire.List{Slug: "m", All: true})
		subscribe(t, p.db, "m", "r@example.com")
		d := p.issue(always(accepted))
		b := returned(deliveryTo(t, p.db, d, "r@example.com").ID, "", false)
		b.Kind = zonewire.BounceComplaint
		if r := record(t, p, b); r.Effect != "suppressed" {
			t.Errorf("%+v", r)
		}
		for _, sub := range must[zonewire.Subscriber](t)(p.db.Subscriber(t.Context(), "r@example.com")).Subscriptions {
			if sub.State != zonewire.SubUnsubscribed || sub.Reason != "complaint" {
				t.Errorf("list %s: %s %s", sub.List, sub.State, sub.Reason)
			}
		}
		if l := must[zonewire.List](t)(p.db.List(t.Context(), "l")); l.Paused {
			t.Error("one complaint pauses no list")
		}
	})
}

func TestThreeComplaintsOfFewReadersPauseTheList(t *testing.T) {
	var readers []string
	for i := range 30 {
		readers = append(readers, fmt.Sprintf("r%d@example.com", i))
	}
	p := newPress(t, openSQLite(t), readers...)
	d := p.issue(always(accepted))
	for i := range 3 {
		if l := must[zonewire.List](t)(p.db.List(t.Context(), "l")); l.Paused {
			t.Fatalf("paused after %d complaints", i)
		}
		b := returned(deliveryTo(t, p.db, d, readers[i]).ID, "", false)
		b.Kind = zonewire.BounceComplaint
		record(t, p, b)
	}
	if l := must[zonewire.List](t)(p.db.List(t.Context(), "l")); !l.Paused {
		t.Error("three complaints of thirty readers must pause the list")
	}
}

func TestAMailThatAsksToLeaveEndsThatSubscriptionOnly(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com", "s@example.com")
		addList(t, p.db, zonewire.List{Slug: "m", All: true})
		other := subscribe(t, p.db, "m", "r@example.com")
		sub := must[zonewire.Subscriber](t)(p.db.Subscriber(t.Context(), "r@example.com")).Subscriptions[0]
		if r := record(t, p, zonewire.Bounce{Kind: zonewire.BounceLeave, Subscription: sub.ID, Hash: "leave"}); r.Effect != "unsubscribed" {
			t.Errorf("%+v", r)
		}
		p.want("r@example.com", "unsubscribed")
		if s, _, err := p.db.Subscription(t.Context(), other.ID); err != nil || s.State != zonewire.SubActive {
			t.Errorf("the other list: %v %v", s.State, err)
		}
		// A reply names the mail that it answers.
		d := p.issue(always(accepted))
		b := returned(deliveryTo(t, p.db, d, "s@example.com").ID, "", false)
		b.Kind = zonewire.BounceLeave
		record(t, p, b)
		p.want("s@example.com", "unsubscribed")
	})
}

func TestWhatNobodyUnderstandsIsKeptUntilErasure(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r_x@example.com", "s@example.com")
		p.issue(always(accepted))
		record(t, p, zonewire.Bounce{Kind: zonewire.BounceUnknown, Hash: "1", Raw: []byte("From: R_X@example.com\n\nwhat is this?")})
		record(t, p, zonewire.Bounce{Kind: zonewire.BounceUnknown, Hash: "2", Raw: []byte("From: rax@example.com\n\nand this?")})
		record(t, p, zonewire.Bounce{Kind: zonewire.BounceAuto, Hash: "3", Recipients: []string{"r_x@example.com"}})
		all := must[[]zonewire.BounceRecord](t)(p.db.Bounces(t.Context(), zonewire.BounceUnknown, 9))
		if len(all) != 2 || !strings.Contains(string(all[1].Raw), "what is this?") {
			t.Fatalf("kept %+v", all)
		}
		must[int64](t)(p.db.EraseSubscriber(t.Context(), p.act(), "r_x@example.com"))
		left := must[[]zonewire.BounceRecord](t)(p.db.Bounces(t.Context(), "", 9))
		if len(left) != 1 || string(left[0].Raw) != string(all[0].Raw) {
			t.Errorf("after erasure %+v, want only what does not name the address", left)
		}
	})
}

func TestAnAddressOfOursIsKnownForSixtyDays(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		p := newPress(t, db, "r@example.com")
		d := p.issue(always(accepted))
		id := deliveryTo(t, p.db, d, "r@example.com").ID
		for _, c := range []struct {
			job   zonewire.JobRef
			sub   int64
			after time.Duration
			want  bool
		}{
			{zonewire.JobRef{Kind: zonewire.DigestJob, ID: id}, 0, 59 * day, true},
			{zonewire.JobRef{Kind: zonewire.DigestJob, ID: id}, 0, 61 * day, false},
			{zonewire.JobRef{Kind: zonewire.DigestJob, ID: id + 1}, 0, 0, false},
			{zonewire.JobRef{Kind: zonewire.NoticeJob, ID: 1}, 0, 0, false},
			{zonewire.JobRef{}, 1, 900 * day, true}, // a link to leave works for ever
			{zonewire.JobRef{}, 2, 0, false},
		} {
			got, err := p.db.AddressKnown(t.Context(), c.job, c.sub, 60*day, d.Slot.Add(c.after))
			if err != nil || got != c.want {
				t.Errorf("%+v %d after %v: %v %v, want %v", c.job, c.sub, c.after, got, err, c.want)
			}
		}
	})
}
