package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

func TestPutArticlesTellsWhatItDid(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "jintan", "金坛经济开发区")
		first := news("jintan", 1)
		first.URL, first.URLCanon = "https://example.com/1", "https://example.com/1"
		id := put(t, db, 0, first)[0].ID

		edited := first
		edited.Title, edited.ContentHash = "更正后的标题", "other"
		renumbered := first
		renumbered.ExternalID = "77"
		elsewhere := news("jintan", 2)
		for _, c := range []struct {
			name string
			in   zonewire.Article
			want zonewire.PutResult
			same bool
		}{
			{"the same again is nothing", first, zonewire.Unchanged, true},
			{"the same URL under another id is the same article", renumbered, zonewire.Unchanged, true},
			{"another text is an update", edited, zonewire.Updated, true},
			{"another id is another article", elsewhere, zonewire.Added, false},
		} {
			got := put(t, db, time.Hour, c.in)[0]
			if got.Result != c.want || (got.ID == id) != c.same {
				t.Errorf("%s: got result %d, id %d (first was %d)", c.name, got.Result, got.ID, id)
			}
		}
		a := must[zonewire.Article](t)(db.Article(t.Context(), id))
		if a.Title != "更正后的标题" || !a.Updated.Equal(t0.Add(time.Hour)) || !a.Received.Equal(t0) || a.Change <= a.Seq {
			t.Errorf("after the update: %+v", a)
		}
	})
}

func TestTitleAndDateIdentifyWhatHasNeitherIDNorURL(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		page := news("a", 1)
		page.ExternalID, page.TitleKey = "", "放假通知 2026-11-24"
		other := page
		other.ZoneRaw = "b"
		stored := put(t, db, 0, page, page, other)
		if stored[1].Result != zonewire.Unchanged || stored[2].Result != zonewire.Added {
			t.Errorf("got %+v: want the second unchanged, the one of another zone added", stored)
		}
	})
}

func TestTryArticlesKeepsNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		before := must[zonewire.Generation](t)(db.Generation(t.Context()))
		stored := must[[]zonewire.Stored](t)(db.TryArticles(t.Context(), at(0), []zonewire.Article{news("x", 1)}))
		if stored[0].Result != zonewire.Added {
			t.Errorf("got %+v, want added", stored)
		}
		if after := must[zonewire.Generation](t)(db.Generation(t.Context())); after != before {
			t.Errorf("generation moved from %v to %v", before, after)
		}
	})
}

func TestARepeatDoesNotMoveTheGeneration(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		put(t, db, 0, news("x", 1))
		before := must[zonewire.Generation](t)(db.Generation(t.Context()))
		put(t, db, 0, news("x", 1))
		if after := must[zonewire.Generation](t)(db.Generation(t.Context())); after != before {
			t.Errorf("readers would render again: generation %v, then %v", before, after)
		}
	})
}

func TestABatchIsAllOrNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		bad := news("x", 2)
		bad.Title = ""
		if _, err := db.PutArticles(t.Context(), at(0), []zonewire.Article{news("x", 1), bad}); !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("got %v, want invalid", err)
		}
		all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Unfiled: true, Limit: 9}))
		if len(all) != 0 {
			t.Errorf("%d articles of a failed batch were kept", len(all))
		}
	})
}

func TestAnUnknownZoneWaitsAndAnAliasFilesIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		z := addZone(t, db, "jintan", "金坛经济开发区")
		put(t, db, 0, news("jintan", 1), news("金坛区园区办", 2), news("金坛区园区办", 3))
		pending := must[[]zonewire.PendingZone](t)(db.PendingZones(t.Context()))
		if len(pending) != 1 || pending[0].Name != "金坛区园区办" || pending[0].Articles != 2 {
			t.Fatalf("pending: %+v", pending)
		}
		before := must[zonewire.Generation](t)(db.Generation(t.Context())).Articles
		filed := must[int](t)(db.AddAlias(t.Context(), at(time.Hour), "jintan", "金坛区园区办"))
		if filed != 2 {
			t.Errorf("filed %d, want 2", filed)
		}
		all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{ZoneID: z.ID, Limit: 9}))
		if len(all) != 3 || all[0].Seq <= before {
			t.Errorf("filed articles must be new to lists and feeds: %d articles, first seq %d, counter was %d", len(all), all[0].Seq, before)
		}
	})
}

func TestOneAliasHasOneZone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		must[int](t)(db.AddAlias(t.Context(), at(0), "a", "高新区"))
		if _, err := db.AddAlias(t.Context(), at(0), "b", "高新区"); !errors.Is(err, zonewire.ErrExists) {
			t.Errorf("got %v, want exists", err)
		}
	})
}

func TestARenamedZoneIsFoundByItsFormerSlug(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "old", "甲区")
		check(t, db.RenameZone(t.Context(), at(0), "old", "new"))
		if z := must[zonewire.Zone](t)(db.Zone(t.Context(), "old")); z.Slug != "new" {
			t.Errorf("got %s, want new", z.Slug)
		}
	})
}

func TestAMergedZoneHandsOverArticlesListsAndChoices(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		b := addZone(t, db, "b", "乙区")
		addList(t, db, zonewire.List{Slug: "l", Zones: []string{"a"}})
		subscribe(t, db, "l", "one@example.com", "a")
		put(t, db, 0, news("a", 1), news("b", 2))
		if moved := must[int](t)(db.CloseZone(t.Context(), at(time.Hour), "a", "b")); moved != 1 {
			t.Errorf("moved %d, want 1", moved)
		}
		all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{ZoneID: b.ID, Limit: 9}))
		if len(all) != 2 {
			t.Errorf("zone b has %d articles, want 2", len(all))
		}
		if l := must[zonewire.List](t)(db.List(t.Context(), "l")); len(l.Zones) != 1 || l.Zones[0] != "b" {
			t.Errorf("the list carries %v, want b", l.Zones)
		}
		if s := must[zonewire.Subscriber](t)(db.Subscriber(t.Context(), "one@example.com")); s.Subscriptions[0].Zones[0] != "b" {
			t.Errorf("the reader follows %v, want b", s.Subscriptions[0].Zones)
		}
	})
}

func TestTheSameStoryOfTwoZonesIsOneStory(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		long := news("a", 1)
		for len(long.ContentHTML) < 400 {
			long.ContentHTML += "<p>同一篇报道。</p>"
		}
		other := long
		other.ZoneRaw = "b"
		stored := put(t, db, 0, long, other)
		if a := must[zonewire.Article](t)(db.Article(t.Context(), stored[1].ID)); a.DupOf != stored[0].ID {
			t.Errorf("dup of %d, want %d", a.DupOf, stored[0].ID)
		}
	})
}

func TestAWithdrawnArticleLeavesAndNeverComesBack(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		z := addZone(t, db, "a", "甲区")
		id := put(t, db, 0, news("a", 1))[0].ID
		must[int](t)(db.WithdrawArticle(t.Context(), at(time.Hour), id, "撤稿", false, plain{}))
		if all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{ZoneID: z.ID, Limit: 9})); len(all) != 0 {
			t.Error("it is still listed")
		}
		if got := put(t, db, 2*time.Hour, news("a", 1))[0]; got.Result != zonewire.Dead || got.ID != id {
			t.Errorf("put again: %+v, want dead", got)
		}
		if _, err := db.WithdrawArticle(t.Context(), at(time.Hour), id, "", false, plain{}); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("withdrawn twice: got %v, want gone", err)
		}
		must[int](t)(db.WithdrawArticle(t.Context(), at(time.Hour), id, "", true, plain{}))
		if a := must[zonewire.Article](t)(db.Article(t.Context(), id)); a.Title != "" || a.ContentHTML != "" {
			t.Errorf("purged, but its text is there: %+v", a)
		}
	})
}

func TestWritersNeverCommitBehindAWindow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		const writers, each = 4, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if _, err := db.PutArticles(t.Context(), at(0), []zonewire.Article{news("a", w*each+i+1)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		seen, lo := map[int64]bool{}, int64(0)
		for len(seen) < writers*each && !t.Failed() {
			hi := must[zonewire.Generation](t)(db.Generation(t.Context())).Articles
			all := must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Limit: 1000}))
			for _, a := range all {
				if a.Seq > lo && a.Seq <= hi {
					seen[a.ID] = true
				}
			}
			if len(all) == writers*each && hi == lo {
				break // everything is committed, and the window stands at its end
			}
			lo = hi
		}
		wg.Wait()
		if len(seen) != writers*each {
			t.Errorf("windows saw %d of %d articles", len(seen), writers*each)
		}
	})
}

func TestFeedVersionsKeepTheirMoment(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		version := func(hash string, after time.Duration) time.Duration {
			return must[time.Time](t)(db.PutFeedVersion(t.Context(), "zone/1.rss", hash, t0.Add(after))).Sub(t0)
		}
		for _, c := range []struct {
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
			if got := version(c.hash, c.after); got != c.want {
				t.Errorf("%s: got %v, want %v", c.name, got, c.want)
			}
		}
	})
}
