package poll_test

import (
	"context"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/poll"
	"zonewire/store"
)

// The database keeps what the store in memory keeps: a feed and a portal for three days, with a new process each day.
func TestOnARealDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "zonewire.db")
		o, client := newOrigin(t)
		morning()
		p := newPortal(o, 25)
		o.on(feedURL, func(w http.ResponseWriter, r *http.Request) {
			serveFeed(w, r, `W/"版本, 1"`, feedDoc(1, 4, "<ttl>300</ttl>"))
		})
		with := func(do func(db *store.DB)) {
			t.Helper()
			db, err := store.Open(t.Context(), path, store.Options{Create: true, Matcher: ingest.NewMatcher})
			if err != nil {
				t.Fatal(err)
			}
			do(db)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		var ids []int64
		with(func(db *store.DB) {
			act := zonewire.Act{At: time.Now(), By: "cli"}
			for _, s := range []zonewire.Source{{Kind: zonewire.FeedSource, URL: feedURL}, {Kind: zonewire.PageSource, URL: listURL}} {
				s.Next = time.Now()
				added, err := db.AddSource(t.Context(), act, s)
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, added.ID)
			}
		})
		for range 3 {
			with(func(db *store.DB) { runPoller(t, poll.New(db, client, options), day) })
			p.publish(2)
		}
		with(func(db *store.DB) {
			all, err := db.Articles(context.Background(), zonewire.ArticleQuery{Limit: 99, Unfiled: true})
			if err != nil || len(all) != 4+29 {
				t.Errorf("%d articles, %v; want 4 of the feed and 29 pages", len(all), err)
			}
			for _, id := range ids {
				s, err := db.SourceByID(t.Context(), id)
				if err != nil || s.State != zonewire.SourceActive || s.Reason != "" {
					t.Errorf("source %d: %s (%s), %v", id, s.State, s.Reason, err)
				}
			}
		})
		for _, address := range []string{feedURL, listURL} {
			for i, h := range o.asked(address) {
				if h.conditional() != (i > 0) {
					t.Errorf("%s, request %d: conditional is %v", address, i+1, h.conditional())
				}
			}
		}
		anyLess(t, o.asked(feedURL), 5*hour)
		for n := range p.articles {
			if asked := len(o.asked(articleURL(n + 1))); asked > 1 {
				t.Errorf("article %d was asked %d times", n+1, asked)
			}
		}
	})
}
