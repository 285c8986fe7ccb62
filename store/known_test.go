package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/store"
)

// A large batch asks which keys are known before it looks closer. It must do what small ones do.
func TestALargeBatchDoesWhatSmallOnesDo(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 26))
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	few := func(prefix string, n int) string {
		if r.IntN(3) == 0 {
			return ""
		}
		return fmt.Sprint(prefix, r.IntN(n))
	}
	all := make([]zonewire.Article, 600)
	for i := range all {
		a := news(pick("a", "b", "nobody"), i)
		a.ExternalID, a.URLCanon, a.TitleKey = few("id ", 150), few("https://a.example/", 150), few("title ", 50)
		a.URL = a.URLCanon
		a.Title = pick("甲", "乙", "丙")
		a.ContentHash = pick("1", "2", "3")
		a.Published = t0.Add(time.Duration(r.IntN(10*24)) * time.Hour)
		if r.IntN(3) > 0 {
			a.Sketch = append(sketch(uint32(r.IntN(20))<<10, zonewire.SketchSize-2), sketch(uint32(1000+r.IntN(3))<<8, 2)...)
		}
		a.Received = t0
		all[i] = a
	}
	one, many := openSQLite(t), openSQLite(t)
	var got, want []zonewire.Stored
	for _, db := range []*store.DB{one, many} {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
	}
	for chunk := range slices.Chunk(all, 5) {
		want = append(want, put(t, one, 0, chunk...)...)
	}
	for chunk := range slices.Chunk(all, 250) {
		got = append(got, put(t, many, 0, chunk...)...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was done differs (- small, + large):\n%s", diff)
	}
	results, copies := map[zonewire.PutResult]int{}, 0
	for i, s := range want {
		results[s.Result]++
		a, b := must[zonewire.Article](t)(one.Article(t.Context(), s.ID)), must[zonewire.Article](t)(many.Article(t.Context(), got[i].ID))
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("article %d differs (- small, + large):\n%s", i, diff)
		}
		if a.DupOf != 0 {
			copies++
		}
	}
	if results[zonewire.Added] < 50 || results[zonewire.Updated] < 50 || results[zonewire.Unchanged] < 10 || copies < 50 {
		t.Errorf("%v, %d copies: this tests little", results, copies)
	}
}
