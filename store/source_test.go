package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/store"
)

// addSource adds a feed that is due at once and gives its id.
func addSource(t *testing.T, db *store.DB, url string) int64 {
	t.Helper()
	s, err := db.AddSource(t.Context(), at(0), zonewire.Source{Kind: zonewire.FeedSource, URL: url, Next: t0})
	check(t, err)
	return s.ID
}

func zoneID(t *testing.T, db *store.DB, slug string) int64 {
	t.Helper()
	return must[zonewire.Zone](t)(db.Zone(t.Context(), slug)).ID
}

// done ends a visit with nothing new, to be repeated after an hour.
func done(v zonewire.Visit, now time.Time) zonewire.Poll {
	return zonewire.Poll{
		Log: zonewire.PollLog{At: now, Status: 304}, State: zonewire.SourceActive, Next: now.Add(time.Hour), Memory: v.Source.Memory,
		Sub: v.Source.Sub, Host: zonewire.HostMemory{Host: v.Host.Host, Until: now.Add(2 * time.Second)},
	}
}

func wants(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestASourceIsKeptAsItWasGiven(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		z := addZone(t, db, "a", "甲区")
		given := zonewire.Source{
			Kind: zonewire.PageSource, URL: "https://www.a.example:8443/col/1/", Title: "要闻", ZoneID: z.ID, Charset: "gb18030",
			Selectors: zonewire.Selectors{List: ".list a", Body: "#zoom"}, Every: 15 * time.Minute, Next: t0,
		}
		added := must[zonewire.Source](t)(db.AddSource(t.Context(), at(0), given))
		want := given
		want.ID, want.Zone, want.State, want.Since, want.Created = added.ID, "a", zonewire.SourceActive, t0, t0
		if diff := cmp.Diff(want, must[zonewire.Source](t)(db.SourceByID(t.Context(), added.ID))); diff != "" {
			t.Error(diff)
		}
		_, err := db.AddSource(t.Context(), at(0), given)
		wants(t, "the same address again", err, zonewire.ErrExists)
		_, err = db.AddSource(t.Context(), at(0), zonewire.Source{Kind: "page", URL: "https://user:pw@a.example/"})
		wants(t, "a password in the address", err, zonewire.ErrInvalid)

		paused := must[zonewire.Source](t)(db.EditSource(t.Context(), at(time.Hour), added.ID, "source.pause", func(s *zonewire.Source) error {
			s.State, s.Reason = zonewire.SourcePaused, "by the operator"
			return nil
		}))
		if paused.State != zonewire.SourcePaused || !paused.Since.Equal(t0.Add(time.Hour)) {
			t.Errorf("paused: %+v", paused)
		}
		check(t, db.RemoveSource(t.Context(), at(2*time.Hour), added.ID))
		if all := must[[]zonewire.Source](t)(db.Sources(t.Context())); len(all) != 0 {
			t.Errorf("removed, and listed: %v", all)
		}
		wants(t, "removed again", db.RemoveSource(t.Context(), at(2*time.Hour), added.ID), zonewire.ErrGone)
		must[zonewire.Source](t)(db.AddSource(t.Context(), at(0), given)) // the address is free again
	})
}

func TestOneVisitAHost(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		one := addSource(t, db, "https://a.example/1")
		addSource(t, db, "https://A.example:443/2")
		elsewhere := addSource(t, db, "https://b.example/")
		now := t0.Add(time.Minute)
		first := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), now))
		second := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), now))
		if first.Source.ID != one || second.Source.ID != elsewhere {
			t.Fatalf("claimed %d and %d", first.Source.ID, second.Source.ID)
		}
		_, err := db.ClaimSource(t.Context(), now)
		wants(t, "its host is talked to", err, zonewire.ErrNotFound)
		_, err = db.ClaimSourceByID(t.Context(), one, now)
		wants(t, "an operator asks while it is polled", err, zonewire.ErrBusy)

		check(t, must0(db.FinishPoll(t.Context(), at(time.Minute), first, done(first, now))))
		_, err = db.ClaimSource(t.Context(), now.Add(time.Second))
		wants(t, "within two seconds", err, zonewire.ErrNotFound)
		other := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), now.Add(2*time.Second)))
		if other.Source.ID != one+1 {
			t.Errorf("claimed %d, want the other of that host", other.Source.ID)
		}
	})
}

func must0[T any](_ T, err error) error { return err }

func TestAClaimThatLapsedIsLost(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addSource(t, db, "https://a.example/1")
		addSource(t, db, "https://a.example/2")
		slow := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), t0))
		check(t, db.KeepSource(t.Context(), slow, t0.Add(5*time.Minute)))
		_, err := db.ClaimSource(t.Context(), t0.Add(4*time.Minute))
		wants(t, "a claim that was kept", err, zonewire.ErrNotFound)
		// Both are due, and the host is free: whichever is taken, the slow visit is over.
		later := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), t0.Add(6*time.Minute)))
		p := done(slow, t0)
		p.Articles = []zonewire.Article{news("a", 1)}
		wants(t, "keep", db.KeepSource(t.Context(), slow, t0.Add(time.Hour)), zonewire.ErrLost)
		wants(t, "finish", must0(db.FinishPoll(t.Context(), at(0), slow, p)), zonewire.ErrLost)
		if all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Limit: 9})); len(all) != 0 {
			t.Error("a visit that was lost stored an article")
		}
		check(t, db.FreeSource(t.Context(), later, t0.Add(6*time.Minute)))
		again := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), t0.Add(6*time.Minute)))
		if again.Source.ID != later.Source.ID {
			t.Errorf("given back %d, claimed %d", later.Source.ID, again.Source.ID)
		}
	})
}

func TestWhatAVisitBringsIsStoredWhole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		id := addSource(t, db, "https://a.example/1")
		v := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), t0))
		page := func(n int) zonewire.QueuedPage {
			url := fmt.Sprintf("https://a.example/%d.html", n)
			return zonewire.QueuedPage{URL: url, Canon: url, Title: "标题", Date: "[11-24]"}
		}
		p := done(v, t0)
		p.Title, p.URL, p.State, p.Reason = "甲区要闻", "https://a.example/new", zonewire.SourceBlocked, "403"
		p.Memory = zonewire.PollMemory{
			ETag: `W/"x"`, LastModified: "yesterday", BodyHash: "h", Parser: 1, Polled: t0, Succeeded: t0, Changed: t0, Whole: t0,
			ListAt: t0.Add(time.Hour), Errors: 1, FailingAt: t0, Gone: 2, GoneAt: t0, MovedTo: "https://c.example/", MovedTimes: 3,
			Hints: "ttl=60",
		}
		p.Sub = zonewire.Subscribed{Hub: "https://hub.example/", Topic: "https://a.example/self", Next: t0}
		p.Host = zonewire.HostMemory{Host: "a.example", Until: t0.Add(2 * time.Second), Robots: "User-agent: *", Status: 200, RobotsAt: t0}
		p.Articles = []zonewire.Article{news("a", 1), news("丙区", 2)}
		p.Seen = []zonewire.QueuedPage{page(3), page(2), page(1)} // the newest first, as a list has them
		stored := must[[]zonewire.Stored](t)(db.FinishPoll(t.Context(), at(0), v, p))
		if len(stored) != 2 || stored[0].Result != zonewire.Added || stored[1].ZoneID != 0 {
			t.Errorf("stored %+v", stored)
		}
		s := must[zonewire.Source](t)(db.SourceByID(t.Context(), id))
		if diff := cmp.Diff(p.Memory, s.Memory); diff != "" {
			t.Error("memory", diff)
		}
		if diff := cmp.Diff(p.Sub, s.Sub); diff != "" {
			t.Error("subscription", diff)
		}
		if s.Title != p.Title || s.URL != p.URL || s.State != p.State || s.Reason != p.Reason || !s.Next.Equal(p.Next) {
			t.Errorf("source %+v", s)
		}
		log := must[[]zonewire.PollLog](t)(db.Polls(t.Context(), id, 9))
		if len(log) != 1 || log[0].Added != 2 || log[0].Status != 304 {
			t.Errorf("log %+v", log)
		}

		next := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), p.Next))
		var canons []string
		for _, q := range next.Queue {
			canons = append(canons, q.Canon)
		}
		if want := []string{page(1).Canon, page(2).Canon, page(3).Canon}; !slices.Equal(canons, want) {
			t.Errorf("queue %v, want the oldest first", canons)
		}
		if next.Recent != 2 || next.Queued != 3 {
			t.Errorf("%d recent, %d queued", next.Recent, next.Queued)
		}
		if diff := cmp.Diff(p.Host.Robots, next.Host.Robots); diff != "" || next.Host.Status != 200 {
			t.Errorf("host %+v", next.Host)
		}
		unknown := must[[]string](t)(db.UnknownPages(t.Context(), id, []string{page(9).Canon, page(2).Canon, page(8).Canon}))
		if !slices.Equal(unknown, []string{page(9).Canon, page(8).Canon}) {
			t.Errorf("unknown %v", unknown)
		}
		read, later := page(1), page(2)
		read.Done, read.Tries = true, 1
		later.Tries, later.Next, later.Error = 1, p.Next.Add(time.Hour), "503"
		p = done(next, p.Next)
		p.Tried = []zonewire.QueuedPage{read, later}
		p.State = zonewire.SourceActive
		check(t, must0(db.FinishPoll(t.Context(), at(0), next, p)))
		last := must[zonewire.Visit](t)(db.ClaimSourceByID(t.Context(), id, p.Next.Add(-time.Minute)))
		if len(last.Queue) != 1 || last.Queue[0].Canon != page(3).Canon || last.Queued != 2 {
			t.Errorf("queue %+v of %d", last.Queue, last.Queued)
		}
	})
}

func TestAnOperatorsWordOutlivesTheVisitUnderWay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		id := addSource(t, db, "https://a.example/1")
		v := must[zonewire.Visit](t)(db.ClaimSource(t.Context(), t0))
		must[zonewire.Source](t)(db.EditSource(t.Context(), at(0), id, "source.pause", func(s *zonewire.Source) error {
			s.State = zonewire.SourcePaused
			return nil
		}))
		verified := zonewire.Subscribed{Hub: "https://hub.example/", Topic: "https://a.example/1", Until: t0.Add(time.Hour), Next: t0}
		check(t, db.SetSubscription(t.Context(), id, verified)) // the hub calls back
		p := done(v, t0)
		p.Sub = zonewire.Subscribed{Hub: verified.Hub, Topic: verified.Topic}
		check(t, must0(db.FinishPoll(t.Context(), at(0), v, p)))
		s := must[zonewire.Source](t)(db.SourceByID(t.Context(), id))
		if s.State != zonewire.SourcePaused || s.Sub != verified {
			t.Errorf("state %s, subscription %+v", s.State, s.Sub)
		}
		_, err := db.ClaimSource(t.Context(), t0.Add(100*time.Hour))
		wants(t, "a paused source", err, zonewire.ErrNotFound)
	})
}

func TestTheLogKeepsTheLatestFiftyPolls(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		id, other := addSource(t, db, "https://a.example/1"), addSource(t, db, "https://b.example/1")
		for i := range 60 {
			push := zonewire.Poll{Log: zonewire.PollLog{At: t0, Items: i}}
			check(t, must0(db.FinishPush(t.Context(), at(0), id, push)))
		}
		check(t, must0(db.FinishPush(t.Context(), at(0), other, zonewire.Poll{Log: zonewire.PollLog{At: t0}})))
		log := must[[]zonewire.PollLog](t)(db.Polls(t.Context(), id, 99))
		if len(log) != 50 || log[0].Items != 59 || log[49].Items != 10 {
			t.Errorf("%d lines, from %d", len(log), log[0].Items)
		}
	})
}
