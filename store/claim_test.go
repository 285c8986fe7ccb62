package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// mixed plans a digest to readers of several providers.
func mixed(t *testing.T, db *store.DB, sizes map[string]int) zonewire.Digest {
	t.Helper()
	addZone(t, db, "a", "甲区")
	addList(t, db, zonewire.List{Slug: "l", All: true})
	for domain, n := range sizes {
		for i := range n {
			subscribe(t, db, "l", fmt.Sprintf("%d@%s", i, domain))
		}
	}
	put(t, db, 0, news("a", 1))
	d, _ := planNext(t, db, day)
	return d
}

func byProvider(jobs []zonewire.Job) map[string]int {
	n := map[string]int{}
	for _, j := range jobs {
		n[j.Provider]++
	}
	return n
}

func TestAClaimIsSharedAmongProviders(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		mixed(t, db, map[string]int{"qq.com": 300, "gmail.com": 30, "example.org": 5})
		w := worker(t, db, day)
		got := byProvider(claim(t, db, w, 60, day))
		if got["example.org"] != 5 || got["gmail.com"] < 20 || got["qq.com"] < 20 || got["qq.com"]+got["gmail.com"] != 55 {
			t.Errorf("a claim of 60: %v, want an even part for each, and what one does not need for the others", got)
		}
		room := func(name string) int {
			if name == "qq.com" {
				return 3
			}
			return 100
		}
		c := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 60, room, t0.Add(day)))
		if got := byProvider(c.Jobs); got["qq.com"] != 3 {
			t.Errorf("%v, want no more of a provider than there is room for", got)
		}
	})
}

func TestThePaceOfAProviderOutlivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "z.db")
	open := func() *store.DB {
		return mustOpen(t, path, store.Options{Create: true, Matcher: exactNames})
	}
	db := open()
	mixed(t, db, map[string]int{"qq.com": 100, "example.org": 10})
	now := t0.Add(day)
	opened := must[bool](t)(db.Observe(t.Context(), "qq.com", zonewire.Answer{Verdict: zonewire.VerdictRate, Text: "too fast", Began: now, PerHour: 7200}, now))
	if opened {
		t.Error("one complaint opens no breaker")
	}
	check(t, db.Close())

	db = open()
	w := worker(t, db, day)
	first := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 100, nil, now))
	if got := byProvider(first.Jobs); got["qq.com"] != 0 || got["example.org"] != 10 {
		t.Errorf("at once: %v, want nothing for the one that complained", got)
	}
	if first.FreeAt.IsZero() || first.FreeAt.After(now.Add(2*time.Second)) {
		t.Errorf("free %v later, want after one mail's time", first.FreeAt.Sub(now))
	}
	total := 0
	for second := 1; second <= 30; second++ {
		total += byProvider(claim(t, db, w, 100, day+time.Duration(second)*time.Second))["qq.com"]
	}
	if total < 28 || total > 31 {
		t.Errorf("%d in 30 seconds, want one a second: half of 7200 an hour", total)
	}
}

func TestABreakerHoldsBackOneProviderOnly(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := mixed(t, db, map[string]int{"qq.com": 20, "example.org": 5})
		now := t0.Add(day)
		for i := range 10 {
			opened := must[bool](t)(db.Observe(t.Context(), "qq.com", zonewire.Answer{Verdict: zonewire.VerdictPolicy, Text: "blocked", Began: now}, now))
			if opened != (i == 9) {
				t.Fatalf("answer %d: opened %v", i+1, opened)
			}
		}
		w := worker(t, db, day)
		if got := byProvider(claim(t, db, w, 100, day)); got["qq.com"] != 0 || got["example.org"] != 5 {
			t.Errorf("claimed %v", got)
		}
		c := must[zonewire.Claim](t)(db.Claim(t.Context(), w, 100, nil, now))
		if len(c.Jobs) != 0 || !c.FreeAt.Equal(now.Add(15*time.Minute)) {
			t.Errorf("%d jobs, free at %v", len(c.Jobs), c.FreeAt)
		}
		check(t, db.Beat(t.Context(), w, t0.Add(day+15*time.Minute)))
		probe := claim(t, db, w, 100, day+15*time.Minute)
		if len(probe) != 1 || !probe[0].Troubled {
			t.Fatalf("%d probes, want one whose answer is asked for", len(probe))
		}
		must[bool](t)(db.Observe(t.Context(), "qq.com", zonewire.Answer{Began: t0.Add(day + 15*time.Minute)}, t0.Add(day+15*time.Minute)))
		if got := claim(t, db, w, 100, day+16*time.Minute); len(got) != 19 {
			t.Errorf("claimed %d after the probe was taken, want the rest", len(got))
		}
		countsOf(t, db, d)
	})
}

var home = store.Home{Machine: "m1", File: "17"}

func TestACopiedDatabaseComesUpPaused(t *testing.T) {
	db := openSQLite(t)
	d := planned(t, db, 2)
	check1 := func(home store.Home, want string) {
		t.Helper()
		moved := must[string](t)(db.CheckHome(t.Context(), at(day), home))
		paused := must[string](t)(db.SendingPaused(t.Context()))
		if !strings.Contains(moved, want) || (want == "") != (moved == "") || paused != moved {
			t.Errorf("home %v: moved %q, paused %q, want %q", home, moved, paused, want)
		}
	}
	check1(home, "")
	check1(home, "")
	check1(store.Home{File: "17"}, "") // the same file, seen from a container
	other := store.Home{Machine: "m2", File: "17"}
	check1(other, "copied or moved")
	w := worker(t, db, day)
	if got := claim(t, db, w, 9, day); len(got) != 0 {
		t.Errorf("a copy sends %d mails", len(got))
	}
	// Opened again where it was paused, it stays so until somebody resumes.
	if moved := must[string](t)(db.CheckHome(t.Context(), at(day), other)); moved != "" {
		t.Errorf("told twice: %s", moved)
	}
	if must[string](t)(db.SendingPaused(t.Context())) == "" {
		t.Error("the second start resumed sending")
	}
	check(t, db.ResumeSending(t.Context(), at(day), false))
	if got := claim(t, db, w, 9, day); len(got) != 2 {
		t.Errorf("claimed %d after resuming", len(got))
	}
	countsOf(t, db, d)
	if moved := must[string](t)(db.CheckHome(t.Context(), at(day), store.Home{Machine: "m2", File: "18"})); moved == "" {
		t.Error("another file on the same machine is a copy")
	}
}

// The copy of last night is put back under the same name on the same machine: only the note beside the file knows.
func TestAnOlderCopyPutBackComesUpPaused(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "z.db"), filepath.Join(dir, "backup.db")
	opts := store.Options{Create: true, Matcher: exactNames}
	db := mustOpen(t, path, opts)
	planned(t, db, 2)
	must[string](t)(db.CheckHome(t.Context(), at(0), home))
	check(t, db.StopWorker(t.Context(), worker(t, db, 0), t0))
	check(t, db.Close())
	copyFile(t, path, backup)

	db = mustOpen(t, path, opts)
	w := worker(t, db, day)
	for _, j := range claim(t, db, w, 9, day) {
		check(t, errors.Join(db.Begin(t.Context(), j, t0.Add(day)), db.Finish(t.Context(), j, accepted, t0.Add(day))))
	}
	check(t, db.StopWorker(t.Context(), w, t0.Add(day)))
	check(t, db.Close())
	db = mustOpen(t, path, opts)
	if moved := must[string](t)(db.CheckHome(t.Context(), at(day), home)); moved != "" {
		t.Fatalf("an ordinary restart: %s", moved)
	}
	check(t, db.Close())

	copyFile(t, backup, path) // into the same file, as cp does
	db = mustOpen(t, path, opts)
	if moved := must[string](t)(db.CheckHome(t.Context(), at(day), home)); !strings.Contains(moved, "older") {
		t.Fatalf("moved %q: an older copy would mail everybody again", moved)
	}
	if must[string](t)(db.SendingPaused(t.Context())) == "" {
		t.Error("not paused")
	}
	// From here on it is the database of this place.
	check(t, db.ResumeSending(t.Context(), at(day), true))
	check(t, db.StopWorker(t.Context(), worker(t, db, day), t0.Add(day)))
	if moved := must[string](t)(db.CheckHome(t.Context(), at(day), home)); moved != "" {
		t.Errorf("after resuming: %s", moved)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	check(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	check(t, err)
	_, err = io.Copy(out, in)
	check(t, errors.Join(err, out.Close()))
}
