package store_test

import (
	"slices"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

func TestAKeyIsKnownByItsTokenUntilItIsRevoked(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		a, b := addZone(t, db, "a", "甲区"), addZone(t, db, "b", "乙区")
		token := zonewire.NewKeyToken([]byte("twenty random bytes."))
		k := must[zonewire.APIKey](t)(db.AddKey(t.Context(), at(0), "cms", zonewire.HashKeyToken(token), []int64{b.ID, a.ID, b.ID}))
		if !slices.Equal(k.Slugs, []string{"a", "b"}) || !k.May(a.ID) || k.May(0) || k.May(99) {
			t.Errorf("key %+v", k)
		}
		_, err := db.AddKey(t.Context(), at(0), "cms", "another", nil)
		wants(t, "the name again", err, zonewire.ErrExists)
		got := must[zonewire.APIKey](t)(db.KeyByToken(t.Context(), " "+token+"\n", t0.Add(time.Hour)))
		if got.ID != k.ID || !slices.Equal(got.Zones, []int64{a.ID, b.ID}) {
			t.Errorf("found %+v", got)
		}
		must[zonewire.APIKey](t)(db.KeyByToken(t.Context(), token, t0.Add(time.Hour+time.Second)))
		if all := must[[]zonewire.APIKey](t)(db.Keys(t.Context())); len(all) != 1 || !all[0].Used.Equal(t0.Add(time.Hour)) {
			t.Errorf("keys %+v", all)
		}
		_, err = db.KeyByToken(t.Context(), token+"x", t0)
		wants(t, "another token", err, zonewire.ErrNotFound)
		check(t, db.RevokeKey(t.Context(), at(2*time.Hour), "cms"))
		_, err = db.KeyByToken(t.Context(), token, t0)
		wants(t, "a revoked one", err, zonewire.ErrNotFound)
		wants(t, "revoked again", db.RevokeKey(t.Context(), at(2*time.Hour), "cms"), zonewire.ErrNotFound)
		must[zonewire.APIKey](t)(db.AddKey(t.Context(), at(0), "cms", "another", nil)) // the name is free again
	})
}

func TestARepeatedRequestGetsTheSameAnswerForADay(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		k := must[zonewire.APIKey](t)(db.AddKey(t.Context(), at(0), "cms", "h", nil))
		begin := func(name, request string, when time.Duration) (*zonewire.StoredAnswer, error) {
			return db.BeginAnswer(t.Context(), k.ID, name, request, t0.Add(when))
		}
		fresh := func(what string, a *zonewire.StoredAnswer, err error) {
			t.Helper()
			if a != nil || err != nil {
				t.Errorf("%s: %v, %v; want a new request", what, a, err)
			}
		}
		a, err := begin("n", "x", 0)
		fresh("the first", a, err)
		_, err = begin("n", "x", time.Second)
		wants(t, "while it is at work", err, zonewire.ErrBusy)
		_, err = begin("n", "y", time.Second)
		wants(t, "for something else", err, zonewire.ErrExists)
		a, err = begin("n", "x", 2*time.Minute)
		fresh("after its process died", a, err)
		check(t, db.FinishAnswer(t.Context(), k.ID, "n", zonewire.StoredAnswer{Status: 201, Type: "application/json", Body: []byte("{}")}, t0.Add(2*time.Minute)))
		a, err = begin("n", "x", 23*time.Hour)
		if err != nil || a == nil || a.Status != 201 || string(a.Body) != "{}" {
			t.Errorf("again: %+v, %v", a, err)
		}
		a, err = begin("n", "y", 25*time.Hour)
		fresh("another request a day later", a, err)
		check(t, db.DropAnswer(t.Context(), k.ID, "n"))
		a, err = begin("n", "x", 25*time.Hour)
		fresh("after a failure", a, err)
	})
}
