package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/store"
)

const hubTopic = "https://news.example.org/feed.atom"

// wish is what a callback asks for.
func wish(url string, mode zonewire.HubMode) zonewire.HubRequest {
	return zonewire.HubRequest{
		Callback: zonewire.Callback{Feed: "all.atom", Topic: hubTopic, URL: url, Host: "reader.example", Secret: "s"},
		Mode:     mode, Lease: time.Hour,
	}
}

func claimOne(t *testing.T, db *store.DB, now time.Duration) zonewire.HubRequest {
	t.Helper()
	all := must[[]zonewire.HubRequest](t)(db.ClaimHubRequests(t.Context(), t0.Add(now), t0.Add(now+time.Minute), 9))
	if len(all) != 1 {
		t.Fatalf("%d requests are due, want 1", len(all))
	}
	return all[0]
}

// subscribeHub lets a callback subscribe and confirm.
func subscribeHub(t *testing.T, db *store.DB, now time.Duration, url string) {
	t.Helper()
	check(t, db.AddHubRequest(t.Context(), wish(url, zonewire.HubSubscribe), t0.Add(now)))
	check(t, db.FinishHubRequest(t.Context(), claimOne(t, db, now), true, t0.Add(now)))
}

func due(t *testing.T, db *store.DB, now time.Duration) []zonewire.HubSubscription {
	t.Helper()
	return must[[]zonewire.HubSubscription](t)(db.ClaimHubDeliveries(t.Context(), t0.Add(now), t0.Add(now+time.Minute), 9))
}

func tell(t *testing.T, db *store.DB, now time.Duration, hash string, change int64) {
	t.Helper()
	put := zonewire.FeedPut{FeedVersion: version("all.atom", hash, change), Topic: hubTopic, Hubs: []string{"https://hub.example/"}}
	must[[]zonewire.FeedVersion](t)(db.PutFeedVersions(t.Context(), []zonewire.FeedPut{put}, t0.Add(now)))
}

func TestNothingIsSubscribedBeforeItIsConfirmed(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		check(t, db.AddHubRequest(t.Context(), wish("https://reader.example/1", zonewire.HubSubscribe), t0))
		r := claimOne(t, db, 0)
		if again := must[[]zonewire.HubRequest](t)(db.ClaimHubRequests(t.Context(), t0, t0.Add(time.Minute), 9)); len(again) != 0 {
			t.Error("a claimed request was handed out twice")
		}
		check(t, db.FinishHubRequest(t.Context(), r, false, t0))
		if topics := must[[]string](t)(db.HubTopics(t.Context(), t0)); len(topics) != 0 {
			t.Errorf("subscribed without confirmation: %v", topics)
		}
	})
}

func TestTheNewestWordOfACallbackStands(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		subscribeHub(t, db, 0, "https://reader.example/1")
		check(t, db.AddHubRequest(t.Context(), wish("https://reader.example/1", zonewire.HubSubscribe), t0.Add(time.Second)))
		first := claimOne(t, db, time.Second)
		check(t, db.AddHubRequest(t.Context(), wish("https://reader.example/1", zonewire.HubUnsubscribe), t0.Add(2*time.Second)))
		check(t, db.FinishHubRequest(t.Context(), first, true, t0.Add(3*time.Second)))
		second := claimOne(t, db, 3*time.Second)
		if second.Mode != zonewire.HubUnsubscribe || second.Attempts != 1 {
			t.Fatalf("the later word was lost: %+v", second)
		}
		check(t, db.FinishHubRequest(t.Context(), second, true, t0.Add(4*time.Second)))
		if all := must[[]zonewire.HubSubscription](t)(db.HubSubscriptionsOf(t.Context(), hubTopic, 9)); len(all) != 0 {
			t.Errorf("still subscribed: %+v", all)
		}
	})
}

func TestVersionsThatComeWhileOneIsDeliveredAreOneMore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		tell(t, db, 0, "a", 1)
		subscribeHub(t, db, 0, "https://reader.example/1")
		if early := due(t, db, time.Second); len(early) != 0 {
			t.Fatalf("a new subscriber is sent what it has just read: %+v", early)
		}
		tell(t, db, 2*time.Second, "b", 2)
		subs := due(t, db, 2*time.Second)
		if len(subs) != 1 || subs[0].Hash != "a" || subs[0].Secret != "s" {
			t.Fatalf("due: %+v", subs)
		}
		tell(t, db, 4*time.Second, "c", 3)
		tell(t, db, 6*time.Second, "d", 4)
		check(t, db.FinishHubDelivery(t.Context(), subs[0].ID, "b", t0.Add(7*time.Second)))
		subs = due(t, db, 7*time.Second)
		if len(subs) != 1 || subs[0].Hash != "b" {
			t.Fatalf("what came meanwhile is due at once: %+v", subs)
		}
		check(t, db.RetryHubDelivery(t.Context(), subs[0].ID, t0.Add(time.Minute)))
		tell(t, db, 9*time.Second, "e", 5)
		if early := due(t, db, 59*time.Second); len(early) != 0 {
			t.Error("a subscriber that failed is asked before its time")
		}
		subs = due(t, db, time.Minute)
		if len(subs) != 1 || subs[0].Attempts != 1 {
			t.Fatalf("due: %+v", subs)
		}
		check(t, db.FinishHubDelivery(t.Context(), subs[0].ID, "e", t0.Add(time.Minute)))
		if rest := due(t, db, 2*time.Minute); len(rest) != 0 {
			t.Errorf("nothing waits any more: %+v", rest)
		}
	})
}

func TestAClaimOfADeadProcessEnds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		subscribeHub(t, db, 0, "https://reader.example/1")
		tell(t, db, time.Second, "b", 2)
		if len(due(t, db, time.Second)) != 1 || len(due(t, db, 2*time.Second)) != 0 || len(due(t, db, 61*time.Second)) != 1 {
			t.Error("a claim lasts a minute, and no longer")
		}
	})
}

func TestALeaseEnds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		subscribeHub(t, db, 0, "https://reader.example/1")
		subscribeHub(t, db, 30*time.Minute, "https://reader.example/2")
		if diff := cmp.Diff([]int64{0}, must[[]int64](t)(db.HubZones(t.Context(), t0))); diff != "" {
			t.Errorf("zones with subscribers (-want +got)\n%s", diff)
		}
		load := must[zonewire.HubLoad](t)(db.HubLoad(t.Context(), "reader.example", "all.atom", t0.Add(time.Minute)))
		if diff := cmp.Diff(zonewire.HubLoad{Total: 2, OfHost: 2, OfFeed: 2, NewOfHost: 2}, load); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if n := must[int](t)(db.ExpireHubSubscriptions(t.Context(), t0.Add(time.Hour))); n != 1 {
			t.Errorf("%d leases ended, want 1", n)
		}
		tell(t, db, 2*time.Hour, "b", 2)
		if late := due(t, db, 2*time.Hour); len(late) != 0 {
			t.Error("told after the end of its lease")
		}
	})
}

func TestAHubElsewhereIsToldOnceForManyChanges(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		pings := func(now time.Duration) []zonewire.HubPing {
			return must[[]zonewire.HubPing](t)(db.ClaimHubPings(t.Context(), t0.Add(now), t0.Add(now+time.Minute), 9))
		}
		tell(t, db, 0, "a", 1)
		tell(t, db, 2*time.Second, "b", 2)
		one := pings(3 * time.Second)
		if len(one) != 1 || one[0].Topic != hubTopic || one[0].Attempts != 1 {
			t.Fatalf("pings: %+v", one)
		}
		tell(t, db, 4*time.Second, "c", 3) // while it is told
		check(t, db.FinishHubPing(t.Context(), one[0], t0.Add(5*time.Second)))
		if len(pings(5*time.Second)) != 1 {
			t.Fatal("the change that came meanwhile was not told")
		}
		check(t, db.RetryHubPing(t.Context(), one[0], t0.Add(time.Hour)))
		again := pings(time.Hour)
		if len(again) != 1 || again[0].Attempts != 2 {
			t.Fatalf("pings: %+v", again)
		}
		check(t, db.FinishHubPing(t.Context(), again[0], t0.Add(time.Hour)))
		if len(pings(2*time.Hour)) != 0 {
			t.Error("told without a change")
		}
	})
}
