package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// Replicas of one program render the same state at the same moment, or almost. What one has recorded is what all serve.
func TestReplicasServeTheVersionThatWasRecordedFirst(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		for state := range 5 {
			var mu sync.Mutex
			given := map[string]int{}
			r.atOnce(6, func(i int, db *store.DB) {
				v := version("all.rss", fmt.Sprintf("%d-%d", state, i), int64(state))
				v.State = fmt.Sprint("state ", state)
				stands, err := db.PutFeedVersions(t.Context(), []zonewire.FeedPut{{FeedVersion: v}}, t0.Add(time.Duration(i)*time.Second))
				if failed(t, "record", err) {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				given[stands[0].Hash+" "+stands[0].Modified.String()+" "+string(stands[0].Body)]++
			})
			if len(given) != 1 {
				t.Fatalf("state %d: replicas serve %v, want one version for all", state, given)
			}
		}
	})
}

// Replicas see the store at different moments. A version that one has recorded is never followed by an older one, and no two
// versions share a date.
func TestNoReplicaTurnsAFeedBack(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const states = 12
		var mu sync.Mutex
		dates := map[time.Time]string{}
		r.atOnce(4, func(i int, db *store.DB) {
			last := int64(-1)
			for n := range states {
				v := version("all.rss", fmt.Sprint("version ", n), int64(n))
				stands, err := db.PutFeedVersions(t.Context(), []zonewire.FeedPut{{FeedVersion: v}}, t0)
				if failed(t, "record", err) {
					return
				}
				got := stands[0]
				if got.Of.Articles < last || got.Of.Articles < int64(n) {
					t.Errorf("replica %d serves %d after %d, having seen %d", i, got.Of.Articles, last, n)
				}
				last = got.Of.Articles
				mu.Lock()
				if other, taken := dates[got.Modified]; taken && other != got.Hash {
					t.Errorf("%q and %q are both of %s", other, got.Hash, got.Modified)
				}
				dates[got.Modified] = got.Hash
				mu.Unlock()
			}
		})
		if v := stands(t, r[1], "all.rss"); v.Hash != fmt.Sprint("version ", states-1) {
			t.Errorf("%q stands", v.Hash)
		}
	})
}

// One replica records a document that holds an article while it is withdrawn, text and all, on another.
func TestNoReplicaKeepsADocumentWithWhatAnotherHasPurged(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		z := addZone(t, r[0], "a", "甲区")
		name := zonewire.FeedName(z.ID, "rss")
		for round := range 6 {
			stored := put(t, r[0], 0, news("a", round))
			made := must[zonewire.Generation](t)(r[0].Generation(t.Context())).Articles
			r.atOnce(4, func(i int, db *store.DB) {
				if i == 1 {
					_, err := db.WithdrawArticle(t.Context(), at(0), stored[0].ID, "", true, plain{})
					failed(t, "withdraw", err)
					return
				}
				_, err := db.PutFeedVersions(t.Context(), []zonewire.FeedPut{{FeedVersion: version(name, fmt.Sprint(round, i), made)}}, t0)
				failed(t, "record", err)
			})
			if v := stands(t, r[1], name); len(v.Body) > 0 || v.State != "" {
				t.Fatalf("round %d: %q is kept", round, v.Body)
			}
		}
	})
}

func TestReplicasPollASourceOnceATurn(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const sources = 8
		addZone(t, r[0], "a", "甲区")
		for i := range sources {
			addSource(t, r[0], fmt.Sprintf("https://%d.example/", i))
		}
		for turn := range 3 {
			now := t0.Add(time.Duration(turn+1) * 2 * time.Hour)
			var polls tally[int64]
			r.atOnce(4, func(_ int, db *store.DB) {
				for {
					v, err := db.ClaimSource(t.Context(), now)
					if failed(t, "claim", err, zonewire.ErrNotFound) {
						return
					}
					polls.add(v.Source.ID)
					_, err = db.FinishPoll(t.Context(), zonewire.Act{At: now, By: "test"}, v, done(v, now))
					failed(t, "finish", err)
				}
			})
			for id, n := range polls.n {
				if n != 1 {
					t.Errorf("turn %d: source %d was polled %d times", turn, id, n)
				}
			}
			if len(polls.n) != sources {
				t.Errorf("turn %d: %d of %d sources were polled", turn, len(polls.n), sources)
			}
		}
	})
}

// Every version reaches every subscriber of the hub once, or in a later one; while one replica tells, the other records what
// is new.
func TestReplicasTellASubscriberOfTheHubOfAVersionOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const readers, versions = 4, 5
		tell(t, r[0], 0, "version 0", 0)
		for i := range readers {
			subscribeHub(t, r[0], 0, fmt.Sprintf("https://reader.example/%d", i))
		}
		var told tally[string]
		now := t0.Add(time.Second)
		deliver := func(db *store.DB) (some bool) {
			subs, err := db.ClaimHubDeliveries(t.Context(), now, now.Add(time.Minute), 2)
			failed(t, "claim", err)
			for _, s := range subs {
				all, err := db.FeedVersions(t.Context(), []string{s.Feed})
				if failed(t, "read", err) {
					continue
				}
				told.add(s.URL + " " + all[0].Hash)
				failed(t, "finish", db.FinishHubDelivery(t.Context(), s.ID, all[0].Hash, now))
			}
			return len(subs) > 0
		}
		var written atomic.Bool
		r.atOnce(5, func(i int, db *store.DB) {
			if i > 0 {
				for !written.Load() || deliver(db) {
					time.Sleep(time.Millisecond)
				}
				return
			}
			for n := range versions {
				p := zonewire.FeedPut{FeedVersion: version("all.atom", fmt.Sprint("version ", n+1), int64(n+1)), Topic: hubTopic}
				_, err := db.PutFeedVersions(t.Context(), []zonewire.FeedPut{p}, now)
				failed(t, "record", err)
				deliver(db)
			}
			written.Store(true)
		})
		for deliver(r[0]) {
		}
		for what, n := range told.n {
			if n != 1 {
				t.Errorf("%s: told %d times", what, n)
			}
		}
		for i := range readers {
			if last := fmt.Sprintf("https://reader.example/%d version %d", i, versions); told.n[last] != 1 {
				t.Errorf("reader %d was not told of the last version", i)
			}
		}
	})
}

func TestReplicasVerifyACallbackOnce(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		const wishes = 12
		for i := range wishes {
			check(t, r[0].AddHubRequest(t.Context(), wish(fmt.Sprintf("https://reader.example/%d", i), zonewire.HubSubscribe), t0))
		}
		var asked tally[string]
		r.atOnce(6, func(_ int, db *store.DB) {
			for {
				all, err := db.ClaimHubRequests(t.Context(), t0, t0.Add(time.Minute), 2)
				if failed(t, "claim", err) || len(all) == 0 {
					return
				}
				for _, q := range all {
					asked.add(q.URL)
					failed(t, "finish", db.FinishHubRequest(t.Context(), q, true, t0))
				}
			}
		})
		for url, n := range asked.n {
			if n != 1 {
				t.Errorf("%s was asked %d times", url, n)
			}
		}
		if all := must[[]zonewire.HubSubscription](t)(r[1].HubSubscriptionsOf(t.Context(), hubTopic, 99)); len(all) != wishes {
			t.Errorf("%d subscriptions of %d wishes", len(all), wishes)
		}
	})
}

// One person asks on both replicas at once, as a click that is repeated does.
func TestAPersonIsAddedOnceByAllReplicas(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		addZone(t, r[0], "a", "甲区")
		addList(t, r[0], zonewire.List{Slug: "l", All: true})
		for round := range 4 {
			email := fmt.Sprintf("%d@example.com", round)
			var results tally[zonewire.SubscribeResult]
			r.atOnce(6, func(_ int, db *store.DB) {
				_, result, err := db.Subscribe(t.Context(), at(0), zonewire.NewSubscription{Address: addressOf(email), List: "l", Confirmed: true, Consent: "test"})
				failed(t, "subscribe", err)
				results.add(result)
			})
			if results.n[zonewire.SubscribeAdded] != 1 {
				t.Errorf("%v, want one added", results.n)
			}
		}
		if n := must[map[string]map[zonewire.SubscriptionState]int](t)(r[1].ListSizes(t.Context()))["l"][zonewire.SubActive]; n != 4 {
			t.Errorf("the list has %d people, want 4", n)
		}
	})
}

// A CMS repeats a request while its first try is at work, and meets the other replica.
func TestAnIdempotencyKeyHoldsOnAllReplicas(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		key := must[zonewire.APIKey](t)(r[0].AddKey(t.Context(), at(0), "cms", "hash", nil))
		var first, busy atomic.Int64
		r.atOnce(6, func(_ int, db *store.DB) {
			again, err := db.BeginAnswer(t.Context(), key.ID, "name", "request", t0)
			switch {
			case failed(t, "begin", err, zonewire.ErrBusy):
				busy.Add(1)
			case again == nil:
				first.Add(1)
			}
		})
		if first.Load() != 1 || busy.Load() != 5 {
			t.Errorf("%d were let through and %d told to wait, want 1 and 5", first.Load(), busy.Load())
		}
	})
}

func TestAnAlarmIsToldOnceByAllReplicas(t *testing.T) {
	onReplicas(t, func(t *testing.T, r replicas) {
		for round := range 3 {
			var fresh atomic.Int64
			present := []zonewire.Alarm{alarm(fmt.Sprint("cause ", round), 0)}
			r.atOnce(6, func(_ int, db *store.DB) {
				news, _, err := db.SettleAlarms(t.Context(), at(0), present, tells("ops@example.com"))
				failed(t, "settle", err)
				fresh.Add(int64(len(news)))
			})
			if fresh.Load() != 1 {
				t.Errorf("%d replicas found the alarm new, want one", fresh.Load())
			}
		}
		if all := sentNotices(t, r[0], time.Hour); len(all) != 3 {
			t.Errorf("told %q, want three notices", all)
		}
	})
}
