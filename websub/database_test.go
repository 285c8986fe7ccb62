package websub_test

import (
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/store"
	"zonewire/websub"
)

// The database keeps what the store in memory keeps, over a restart.
func TestOnARealDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		path := filepath.Join(t.TempDir(), "zonewire.db")
		var db *store.DB
		open := func() {
			t.Helper()
			var err error
			if db, err = store.Open(t.Context(), path, store.Options{Create: true}); err != nil {
				t.Fatal(err)
			}
			w.kept = db
			w.start(websub.Options{})
		}
		shut := func() {
			t.Helper()
			w.stop()
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
		changes := int64(0)
		record := func(hash string) {
			t.Helper()
			changes++
			_, err := db.PutFeedVersions(t.Context(), []zonewire.FeedPut{{
				FeedVersion: zonewire.FeedVersion{Feed: w.atom.Feed, Hash: hash, Of: zonewire.Generation{Articles: changes}},
				Topic:       w.atom.URL, Hubs: []string{otherHub},
			}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			w.hub.Wake()
			synctest.Wait()
		}
		publish := func(word string) {
			t.Helper()
			record(w.feeds.write(w.atom.Feed, word))
		}
		w.on("hub.example", telling(204))
		w.on("reader.example", willing)
		open()
		record(hashAt(1))
		w.subscribe("reader.example", "hub.lease_seconds", "3600")
		w.subscribe("other.example") // nobody there
		publish("投产")
		w.on("reader.example", telling(500))
		publish("获奖")
		shut()

		w.on("other.example", willing)
		w.on("reader.example", willing)
		open()
		publish("扩建")
		pass(2 * time.Minute)
		publish("停产")
		if got, want := w.bodies("reader.example"), []string{"<feed>投产</feed>", "<feed>获奖</feed>", "<feed>获奖 扩建</feed>", "<feed>停产</feed>"}; !slices.Equal(got, want) {
			t.Errorf("the one was sent %q, want %q", got, want)
		}
		if got, want := w.bodies("other.example"), []string{"<feed>停产</feed>"}; !slices.Equal(got, want) {
			t.Errorf("the other was sent %q, want %q", got, want)
		}
		if n := len(w.sent("hub.example", "POST")); n != 5 {
			t.Errorf("the hub elsewhere was told %d times, want 5", n)
		}
		w.subscribe("other.example", "hub.mode", "unsubscribe")
		pass(time.Hour)
		publish("复工")
		if n := len(w.bodies("reader.example")) + len(w.bodies("other.example")); n != 5 {
			t.Errorf("sent %d times in all after one has left and the lease of the other has ended, want 5", n)
		}
		subs, err := db.HubSubscriptionsOf(t.Context(), atomURL, 10)
		if err != nil || len(subs) != 0 {
			t.Errorf("%d subscriptions are left, %v", len(subs), err)
		}
		shut()
	})
}
