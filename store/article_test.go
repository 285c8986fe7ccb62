package store_test

import (
	"errors"
	"slices"
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
		first := news("a", 1)
		first.Sketch = sketch(0, zonewire.SketchSize)
		copied, late, short, other := news("b", 1), news("b", 2), news("b", 3), news("b", 4)
		copied.Sketch = append(sketch(0, zonewire.SketchSize-3), sketch(900, 3)...) // a sentence is another
		late.Sketch, late.Published = first.Sketch, first.Published.Add(zonewire.StoryWindow+time.Hour)
		short.Sketch = sketch(0, 1)
		other.Sketch = sketch(1000, zonewire.SketchSize)
		again := news("b", 5)
		again.Sketch = copied.Sketch
		stored := put(t, db, 0, first, copied, late, short, other, again)
		want := []int64{0, stored[0].ID, 0, 0, 0, stored[0].ID}
		for i, s := range stored {
			if a := must[zonewire.Article](t)(db.Article(t.Context(), s.ID)); a.DupOf != want[i] {
				t.Errorf("article %d tells the story of %d, want %d", i, a.DupOf, want[i])
			}
		}
		withdraw := must[int](t)
		withdraw(db.WithdrawArticle(t.Context(), at(time.Hour), stored[1].ID, "", false, plain{}))
		var copies []int64
		for _, a := range must[[]zonewire.Article](t)(db.Copies(t.Context(), stored[0].ID)) {
			copies = append(copies, a.ID)
		}
		if !slices.Equal(copies, []int64{stored[0].ID, stored[5].ID}) {
			t.Errorf("told by %v, want the first and the copy that stands", copies)
		}
	})
}

// sketch is a run of hashes: two of them share what they overlap.
func sketch(from uint32, n int) zonewire.Sketch {
	s := make(zonewire.Sketch, n)
	for i := range s {
		s[i] = (from + uint32(i)) << 8
	}
	return s
}

func TestAnotherSourceDoesNotWriteOverWhatIsThere(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		one, two := addSource(t, db, "https://a.example/feed"), addSource(t, db, "https://b.example/feed")
		polled := func(source int64, id, title, body string) zonewire.Article {
			a := news("a", 1)
			a.SourceID, a.ExternalID, a.Title, a.ContentHTML, a.ContentHash = source, id, title, body, title+body
			a.URL, a.URLCanon = "https://a.example/1", "https://a.example/1"
			return a
		}
		id := put(t, db, 0, polled(one, "g", "标题", "<p>全文。</p>"))[0].ID
		steps := []struct {
			name string
			a    zonewire.Article
			want zonewire.PutResult
			body string
		}{
			{"another feed has an extract", polled(two, "x", "标题…", "<p>摘要。</p>"), zonewire.Unchanged, "<p>全文。</p>"},
			{"its own feed corrects it", polled(one, "g", "标题", "<p>更正。</p>"), zonewire.Updated, "<p>更正。</p>"},
			{"the publisher pushes it", polled(0, "77", "标题", "<p>原文。</p>"), zonewire.Updated, "<p>原文。</p>"},
			{"its feed has the old text", polled(one, "g", "标题", "<p>更正。</p>"), zonewire.Unchanged, "<p>原文。</p>"},
		}
		for _, s := range steps {
			got := put(t, db, time.Hour, s.a)[0]
			a := must[zonewire.Article](t)(db.Article(t.Context(), id))
			if got.ID != id || got.Result != s.want || a.ContentHTML != s.body {
				t.Errorf("%s: %v of article %d, which reads %s", s.name, got.Result, got.ID, a.ContentHTML)
			}
		}
		if a := must[zonewire.Article](t)(db.ArticleByExternal(t.Context(), zoneID(t, db, "a"), "77")); a.ID != id {
			t.Errorf("77 is article %d, want %d", a.ID, id)
		}
		revisions := must[[]zonewire.Revision](t)(db.Revisions(t.Context(), id))
		if len(revisions) != 2 || revisions[0].ContentHTML != "<p>更正。</p>" || revisions[1].ContentHTML != "<p>全文。</p>" {
			t.Errorf("revisions %v", revisions)
		}
	})
}

// Two feeds may number their items alike, and a feed may have one id, or one address, for all of its items.
func TestTheIdsOfASourceAreItsOwn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		one, two := addSource(t, db, "https://a.example/feed"), addSource(t, db, "https://b.example/feed")
		item := func(source int64, id, url, title string) zonewire.Article {
			a := news("a", 1)
			a.SourceID, a.ExternalID, a.Title, a.URL, a.URLCanon, a.ContentHash = source, id, title, url, url, title
			return a
		}
		put(t, db, 0, item(0, "1", "", "推送的"))
		for _, c := range []struct {
			name string
			a    zonewire.Article
			want zonewire.PutResult
		}{
			{"an id that was pushed is another's", item(one, "1", "https://a.example/1", "甲"), zonewire.Added},
			{"an id of another source is another's", item(two, "1", "https://b.example/1", "乙"), zonewire.Added},
			{"its own id with its own address", item(one, "1", "https://a.example/1", "甲，更正"), zonewire.Updated},
			{"its own id with the same title elsewhere", item(one, "1", "https://a.example/new/1", "甲，更正"), zonewire.Updated},
			{"one id for all items", item(one, "1", "https://a.example/2", "丙"), zonewire.Added},
			{"one address for all items", item(one, "3", "https://a.example/2", "丁"), zonewire.Added},
			{"an address of another publisher is his article", item(two, "9", "https://a.example/2", "丁"), zonewire.Unchanged},
			{"pushed under an id of its own", item(0, "8", "https://c.example/all", "戊"), zonewire.Added},
			{"another id and title with the same address", item(0, "9", "https://c.example/all", "己"), zonewire.Added},
			{"another id with the same title and address", item(0, "10", "https://c.example/all", "己"), zonewire.Unchanged},
			{"the same item again", item(one, "3", "https://a.example/2", "丁"), zonewire.Unchanged},
			{"and the one before", item(one, "1", "https://a.example/2", "丙"), zonewire.Unchanged},
		} {
			if got := put(t, db, time.Hour, c.a)[0]; got.Result != c.want {
				t.Errorf("%s: %v, want %v", c.name, got.Result, c.want)
			}
		}
	})
}

func TestAPushMayTouchItsZonesOnly(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		a, b := addZone(t, db, "a", "甲区"), addZone(t, db, "b", "乙区")
		foreign := news("b", 1)
		foreign.URL, foreign.URLCanon = "https://b.example/1", "https://b.example/1"
		stored := put(t, db, 0, foreign, news("b", 2))
		grab := news("a", 9) // names another zone's article by its address
		grab.URL, grab.URLCanon = foreign.URL, foreign.URLCanon
		only := zonewire.Push{Only: []int64{a.ID}}
		push := func(p zonewire.Push, as ...zonewire.Article) []zonewire.Stored {
			return must[[]zonewire.Stored](t)(db.PushArticles(t.Context(), at(time.Hour), p, as))
		}
		got := push(only, news("a", 1), grab, news("b", 2), news("b", 3), news("丙区", 4))
		want := []zonewire.PutResult{zonewire.Added, zonewire.Refused, zonewire.Refused, zonewire.Refused, zonewire.Refused}
		for i, s := range got {
			if s.Result != want[i] {
				t.Errorf("article %d: %v, want %v", i, s.Result, want[i])
			}
		}
		if n := len(must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Unfiled: true, Limit: 99}))); n != 3 {
			t.Errorf("%d articles, want the three", n)
		}
		if s := must[zonewire.Article](t)(db.Article(t.Context(), stored[0].ID)); s.ZoneID != b.ID || s.Title != foreign.Title {
			t.Errorf("the foreign one is now %q in %d", s.Title, s.ZoneID)
		}

		edited := news("a", 1)
		edited.Title, edited.ContentHash = "更正", "other"
		if s := push(zonewire.Push{IfChange: got[0].Change - 1}, edited)[0]; s.Result != zonewire.Stale || s.Change != got[0].Change {
			t.Errorf("an edit of an older version: %+v", s)
		}
		if s := push(zonewire.Push{IfChange: got[0].Change}, edited)[0]; s.Result != zonewire.Updated || s.Change <= got[0].Change {
			t.Errorf("an edit of this version: %+v", s)
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

func TestASearchFindsWordsInTitleAndSummary(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		as := []zonewire.Article{news("a", 1), news("a", 2), news("a", 3)}
		as[0].Title, as[0].Summary = "湖滨园区 GDP 增长 5%", "招商"
		as[1].Title, as[1].Summary = "园区招商引资", `共 5_000 家 \ 新增`
		as[2].Title, as[2].Summary = "École 开学", "gdp"
		put(t, db, 0, as...)
		for text, want := range map[string]string{
			"园区": "21", "园区 招商": "21", "湖滨 招商": "1", "gdp": "31", "GDP": "31", "5%": "1", "5_0": "2", `\`: "2", "cole": "3", "没有": "",
		} {
			got := ""
			for _, a := range must[[]zonewire.Article](t)(db.Articles(t.Context(), zonewire.ArticleQuery{Text: text, Limit: 9})) {
				got += a.ExternalID
			}
			if got != want {
				t.Errorf("%q finds %q, want %q", text, got, want)
			}
		}
	})
}
