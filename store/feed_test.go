package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/store"
)

// version is a version of a zone's feed, made when the counter of changes stood at change.
func version(feed, hash string, change int64) zonewire.FeedVersion {
	return zonewire.FeedVersion{
		Feed: feed, Hash: hash, State: "state of " + hash, Channel: "channel", Of: zonewire.Generation{Articles: change},
		Body: []byte("body of " + hash), Layout: []byte("layout"),
	}
}

func recordVersion(t *testing.T, db *store.DB, now time.Duration, v zonewire.FeedVersion) zonewire.FeedVersion {
	t.Helper()
	stands := must[[]zonewire.FeedVersion](t)(db.PutFeedVersions(t.Context(), []zonewire.FeedPut{{FeedVersion: v}}, t0.Add(now)))
	return stands[0]
}

func stands(t *testing.T, db *store.DB, feed string) zonewire.FeedVersion {
	t.Helper()
	return must[[]zonewire.FeedVersion](t)(db.FeedVersions(t.Context(), []string{feed}))[0]
}

func TestFeedVersionsKeepTheirMoment(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		for i, c := range []struct {
			name  string
			hash  string
			after time.Duration
			want  time.Duration
		}{
			{"the first, in whole seconds", "a", 1500 * time.Millisecond, time.Second},
			{"the same later", "a", time.Hour, time.Second},
			{"another within the second", "b", 1700 * time.Millisecond, 2 * time.Second},
			{"another later", "c", time.Hour, time.Hour},
		} {
			if got := recordVersion(t, db, c.after, version("zone/1.rss", c.hash, int64(i))).Modified.Sub(t0); got != c.want {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	})
}

func TestAFeedVersionIsGivenBackWhole(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		if v := stands(t, db, "zone/1.rss"); v.Hash != "" {
			t.Errorf("a feed never recorded: %+v", v)
		}
		recordVersion(t, db, 0, version("zone/1.rss", "a", 5))
		recordVersion(t, db, time.Minute, version("zone/1.rss", "b", 7))
		want := version("zone/1.rss", "b", 7)
		want.Modified = t0.Add(time.Minute)
		want.Bases = []zonewire.FeedBase{{Hash: "a", Change: 5, Channel: "channel"}}
		if diff := cmp.Diff(want, stands(t, db, "zone/1.rss")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestAnOlderStateOfTheStoreReplacesNoVersion(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		recordVersion(t, db, 0, version("all.atom", "new", 9))
		if v := recordVersion(t, db, time.Hour, version("all.atom", "late", 8)); v.Hash != "new" || string(v.Body) != "body of new" {
			t.Errorf("a replica that lags behind: %s stands", v.Hash)
		}
	})
}

func TestWhoComesSecondWithTheSameStateIsGivenTheFirstVersion(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		recordVersion(t, db, 0, version("all.atom", "ours", 9))
		theirs := version("all.atom", "theirs", 9)
		theirs.State = "state of ours"
		if v := recordVersion(t, db, time.Hour, theirs); v.Hash != "ours" || string(v.Body) != "body of ours" {
			t.Errorf("two programs that render differently take turns: %s stands", v.Hash)
		}
	})
}

func TestADocumentThatMayHoldWhatHasLeftIsNotKept(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		stored := put(t, db, 0, news("a", 1))
		made := must[zonewire.Generation](t)(db.Generation(t.Context())).Articles
		must[int](t)(db.WithdrawArticle(t.Context(), at(0), stored[0].ID, "", true, plain{}))
		if v := recordVersion(t, db, time.Hour, version("all.atom", "late", made)); v.Hash != "late" {
			t.Errorf("%q stands", v.Hash)
		}
		if v := stands(t, db, "all.atom"); len(v.Body) > 0 || v.State != "" {
			t.Errorf("the text of a purged article is kept: %+v", v)
		}
	})
}

func TestFeedBasesAreBounded(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		for i := range zonewire.MaxFeedBases + 5 {
			recordVersion(t, db, time.Duration(i)*time.Minute, version("all.rss", fmt.Sprint(i), int64(i)))
		}
		bases := stands(t, db, "all.rss").Bases
		if len(bases) != zonewire.MaxFeedBases || bases[0].Hash != fmt.Sprint(zonewire.MaxFeedBases+3) {
			t.Errorf("%d bases, the newest %v", len(bases), bases[0])
		}
	})
}

func TestWhatLeavesAZoneIsRemembered(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		a, b := addZone(t, db, "a", "甲区"), addZone(t, db, "b", "乙区")
		stored := put(t, db, 0, news("a", 1), news("a", 2), news("b", 3), news("nowhere", 4))
		seen := must[zonewire.Generation](t)(db.Generation(t.Context())).Articles
		must[zonewire.Article](t)(db.EditArticle(t.Context(), at(time.Hour), stored[0].ID, func(x *zonewire.Article) error {
			x.ZoneID = b.ID
			return nil
		}))
		changed := must[[]int64](t)(db.ChangedZones(t.Context(), seen))
		if diff := cmp.Diff([]int64{a.ID, b.ID}, changed); diff != "" {
			t.Errorf("both zones of a move have changed (-want +got)\n%s", diff)
		}
		for _, s := range stored[1:] {
			must[int](t)(db.WithdrawArticle(t.Context(), at(2*time.Hour), s.ID, "", false, plain{}))
		}
		type left struct {
			Article int64
			Moved   bool
		}
		of := func(zone int64) []left {
			var all []left
			for _, d := range must[[]zonewire.Departure](t)(db.Departures(t.Context(), zone, 9)) {
				all = append(all, left{d.Article, d.Moved})
			}
			return all
		}
		if diff := cmp.Diff([]left{{stored[1].ID, false}, {stored[0].ID, true}}, of(a.ID)); diff != "" {
			t.Errorf("zone a (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]left{{stored[2].ID, false}, {stored[1].ID, false}}, of(0)); diff != "" {
			t.Errorf("all zones know of no move (-want +got)\n%s", diff)
		}
	})
}

func TestAWithdrawalForgetsTheDocumentsThatMayHoldIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		a := addZone(t, db, "a", "甲区")
		stored := put(t, db, 0, news("a", 1))
		mine, archive := zonewire.FeedName(a.ID, "rss"), fmt.Sprintf("zone/%d/2026-11.atom", a.ID)
		part := fmt.Sprintf("zone/%d/2026-11-2.atom", a.ID)
		others := []string{fmt.Sprintf("zone/%d0.rss", a.ID), fmt.Sprintf("zone/%d.rss", a.ID+1), fmt.Sprintf("zone/%d/2026-10.atom", a.ID), "zones.opml"}
		for _, feed := range append(others, mine, archive, part, "all.json") {
			recordVersion(t, db, 0, version(feed, "x", 1))
		}
		must[int](t)(db.WithdrawArticle(t.Context(), at(time.Hour), stored[0].ID, "", true, plain{}))
		for _, feed := range []string{mine, archive, part, "all.json"} {
			if v := stands(t, db, feed); len(v.Body) > 0 || v.State != "" || v.Hash != "x" {
				t.Errorf("%s keeps its text: %+v", feed, v)
			}
		}
		for _, feed := range others {
			if v := stands(t, db, feed); len(v.Body) == 0 {
				t.Errorf("%s lost its text", feed)
			}
		}
	})
}

func TestArrivalsGoByTheMonthOfFiling(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		z := addZone(t, db, "a", "甲区")
		// The 30th at 16:00 UTC is the 1st in Shanghai.
		end := time.Date(2026, 11, 30, 16, 0, 0, 0, time.UTC).Sub(t0)
		put(t, db, end-time.Second, news("a", 1), news("later", 2))
		stored := put(t, db, end, news("a", 3), news("a", 4))
		must[int](t)(db.WithdrawArticle(t.Context(), at(end), stored[0].ID, "", false, plain{}))
		must[int](t)(db.AddAlias(t.Context(), at(end+time.Hour), "a", "later"))
		want := []zonewire.ArrivedIn{{Month: 202611, Articles: 1}, {Month: 202612, Articles: 3}}
		if diff := cmp.Diff(want, must[[]zonewire.ArrivedIn](t)(db.Arrivals(t.Context(), z.ID))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		heads := must[[]zonewire.Head](t)(db.ArrivedHeads(t.Context(), z.ID, 202612))
		if len(heads) != 3 || !heads[0].Withdrawn || heads[1].Withdrawn || heads[2].Change < heads[1].Change {
			t.Errorf("in order of arrival, withdrawn ones marked: %+v", heads)
		}
	})
}

func TestHeadsAreThoseOfTheArticles(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		z := addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		put(t, db, time.Minute, news("a", 1), news("b", 2), news("a", 3), news("a", 4))
		for _, q := range []zonewire.ArticleQuery{
			{Limit: 9}, {Limit: 2}, {ZoneID: z.ID, Limit: 9}, {Province: "江苏", Text: "第4条", Limit: 9}, {Province: "浙江", Limit: 9}, {ZoneID: z.ID, Before: 4, Limit: 9},
		} {
			var want []zonewire.Head
			for _, a := range must[[]zonewire.Article](t)(db.Articles(t.Context(), q)) {
				want = append(want, zonewire.Head{ID: a.ID, ZoneID: a.ZoneID, Change: a.Change, Updated: a.Updated})
			}
			if diff := cmp.Diff(want, must[[]zonewire.Head](t)(db.Heads(t.Context(), q))); diff != "" {
				t.Errorf("%+v (-articles +heads)\n%s", q, diff)
			}
		}
	})
}
