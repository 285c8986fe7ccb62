package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// noting is a planner that tells every note, and keeps what it was given.
type noting struct {
	plain
	notes  []string
	silent []zonewire.Silence
}

func (p *noting) Plan(r zonewire.PlanRequest) (zonewire.Plan, error) {
	plan, err := p.plain.Plan(r)
	p.notes, p.silent = nil, r.Silent
	for _, n := range r.Notes {
		p.notes = append(p.notes, fmt.Sprint(n.Kind, " ", n.Article.ID))
	}
	if len(plan.Items) > 0 {
		plan.Notes = r.Notes
	}
	return plan, err
}

func (p *noting) want(t *testing.T, when string, notes ...string) {
	t.Helper()
	if !slices.Equal(p.notes, notes) {
		t.Errorf("%s: notes %q, want %q", when, p.notes, notes)
	}
}

func correct(t *testing.T, db *store.DB, when time.Duration, zone string, n int, text string) {
	t.Helper()
	a := news(zone, n)
	a.Title, a.ContentHash = text, text
	put(t, db, when, a)
}

func TestWhatBecameOfAMailedArticleIsToldOnce(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "one@example.com")
		cut := func(after time.Duration, p *noting) zonewire.Digest {
			t.Helper()
			d := must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(after), "l", t0.Add(after), p))
			return d
		}
		p := &noting{}
		stored := put(t, db, time.Hour, news("a", 1), news("a", 2), news("a", 3))
		first := cut(2*time.Hour, p)
		mailed(t, db, 2*time.Hour)

		correct(t, db, 3*time.Hour, "a", 1, "更正后的标题")
		must[int](t)(db.WithdrawArticle(t.Context(), at(4*time.Hour), stored[1].ID, "", false, p))
		corrected, withdrawn := fmt.Sprint("corrected ", stored[0].ID), fmt.Sprint("withdrawn ", stored[1].ID)

		// With nothing new there is no digest, and the notes wait.
		if d := cut(5*time.Hour, p); d.State != zonewire.DigestSkipped {
			t.Errorf("notes alone made a digest: %+v", d)
		}
		p.want(t, "with nothing new", withdrawn, corrected)
		put(t, db, 6*time.Hour, news("a", 4))
		second := cut(7*time.Hour, p)
		p.want(t, "with the next news", withdrawn, corrected)
		put(t, db, 8*time.Hour, news("a", 5))
		cut(9*time.Hour, p)
		p.want(t, "once told")

		// A second correction is another note; one of long ago is none.
		correct(t, db, 10*time.Hour, "a", 1, "再次更正")
		correct(t, db, 10*time.Hour, "a", 3, "更正很久以前的")
		put(t, db, 11*time.Hour, news("a", 6))
		cut(12*time.Hour, p)
		p.want(t, "corrected again", fmt.Sprint("corrected ", stored[0].ID), fmt.Sprint("corrected ", stored[2].ID))
		correct(t, db, 40*day, "a", 3, "一个月之后")
		put(t, db, 40*day, news("a", 7))
		cut(40*day+time.Hour, p)
		p.want(t, "after a month")

		// The page of a digest whose note names what is withdrawn now is made again.
		before := must[zonewire.Variant](t)(db.WebVariant(t.Context(), second.ID, zonewire.LocaleZH))
		must[int](t)(db.WithdrawArticle(t.Context(), at(41*day), stored[0].ID, "", false, p))
		if after := must[zonewire.Variant](t)(db.WebVariant(t.Context(), second.ID, zonewire.LocaleZH)); after.ID == before.ID {
			t.Error("the digest that told the correction keeps its page")
		}
		if v := must[zonewire.Variant](t)(db.WebVariant(t.Context(), first.ID, zonewire.LocaleZH)); !strings.Contains(v.Web, "第3条") || strings.Contains(v.Web, "一个月之后") {
			t.Errorf("the archive shows what was not sent: %q", v.Web)
		}
		// And one of which nothing stands keeps a page that says so.
		must[int](t)(db.WithdrawArticle(t.Context(), at(41*day), stored[2].ID, "", false, p))
		if v := must[zonewire.Variant](t)(db.WebVariant(t.Context(), first.ID, zonewire.LocaleZH)); !strings.HasPrefix(v.Web, "0 of 3") {
			t.Errorf("the archive: %q", v.Web)
		}
	})
}

// A mail that nobody got yet is composed without the article: there is nothing to take back.
func TestAWithdrawalBeforeAnyMailIsNoNews(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		subscribe(t, db, "l", "one@example.com")
		p := &noting{}
		stored := put(t, db, time.Hour, news("a", 1), news("a", 2))
		must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(2*time.Hour), "l", t0.Add(2*time.Hour), p))
		must[int](t)(db.WithdrawArticle(t.Context(), at(3*time.Hour), stored[0].ID, "", false, p))
		mailed(t, db, 4*time.Hour)
		put(t, db, 5*time.Hour, news("a", 3))
		must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(6*time.Hour), "l", t0.Add(6*time.Hour), p))
		p.want(t, "withdrawn in time")
	})
}

func TestADigestNamesTheSourcesThatWereDownSinceTheLast(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		zones := map[string]int64{"a": must[zonewire.Zone](t)(db.Zone(t.Context(), "a")).ID, "b": addZone(t, db, "b", "乙区").ID}
		addList(t, db, zonewire.List{Slug: "l", Zones: []string{"a"}})
		subscribe(t, db, "l", "one@example.com")
		down := func(url, title, zone string, since time.Duration, state zonewire.SourceState) {
			t.Helper()
			s := must[zonewire.Source](t)(db.AddSource(t.Context(), at(0), zonewire.Source{Kind: zonewire.FeedSource, URL: url, Title: title, ZoneID: zones[zone]}))
			must[zonewire.Source](t)(db.EditSource(t.Context(), at(since), s.ID, "source.test", func(s *zonewire.Source) error {
				s.State, s.Since, s.Memory.FailingAt = state, t0.Add(since), t0.Add(since)
				return nil
			}))
		}
		down("https://a.example/feed", "甲区门户", "a", time.Hour, zonewire.SourceFailing)
		down("https://blocked.example/feed", "", "a", time.Hour, zonewire.SourceBlocked)
		down("https://b.example/feed", "乙区门户", "b", time.Hour, zonewire.SourceFailing)
		down("https://paused.example/feed", "", "a", time.Hour, zonewire.SourcePaused)
		down("https://late.example/feed", "", "a", 30*time.Hour, zonewire.SourceFailing)

		p := &noting{}
		var got []string
		for i := range 2 {
			after := time.Duration(i+1) * 26 * time.Hour
			put(t, db, after-time.Hour, news("a", i))
			must[zonewire.Digest](t)(db.CutDigest(t.Context(), at(after), "l", t0.Add(after), p))
		}
		for _, s := range p.silent {
			got = append(got, s.Source)
		}
		if want := []string{"甲区门户", "blocked.example"}; !slices.Equal(got, want) {
			t.Errorf("silent: %q, want %q", got, want)
		}
		if len(p.silent) > 0 && !p.silent[0].Since.Equal(t0.Add(time.Hour)) {
			t.Errorf("since %s", p.silent[0].Since)
		}
	})
}
