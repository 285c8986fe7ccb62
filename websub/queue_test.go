package websub

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var begun = time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)

func taskOf(host string) task { return task{host: host, until: begun.Add(claimFor)} }

func TestHostsTakeTurns(t *testing.T) {
	q := newQueue()
	for range 4 {
		q.add(taskOf("a"), begun)
	}
	q.add(taskOf("b"), begun)
	q.add(taskOf("c"), begun)
	order := ""
	for {
		next, ok := q.next(begun)
		if !ok {
			break
		}
		order += next.host
	}
	if order != "abca" {
		t.Errorf("begun in the order %s, want abca: two of a, and it is not the first twice", order)
	}
	q.finish("a", answered, begun)
	if next, ok := q.next(begun); !ok || next.host != "a" {
		t.Error("a has a place, and is not next")
	}
}

func TestATaskThatWaitedTooLongIsLeftToItsClaim(t *testing.T) {
	q := newQueue()
	q.add(taskOf("a"), begun)
	late := begun.Add(claimFor - sendWithin)
	if _, ok := q.next(late.Add(time.Nanosecond)); ok || q.held != 0 {
		t.Errorf("begun so late that its claim may end, or held on: %d", q.held)
	}
	q.add(taskOf("a"), begun)
	if _, ok := q.next(late); !ok {
		t.Error("not begun, though there is time")
	}
}

func TestAHostThatDoesNotAnswerRests(t *testing.T) {
	q := newQueue()
	fail := func(shown health, at time.Time) {
		t.Helper()
		q.add(task{host: "a", until: at.Add(claimFor)}, at)
		if _, ok := q.next(at); !ok {
			t.Fatal("nothing to do")
		}
		q.finish("a", shown, at)
	}
	fail(silent, begun)
	fail(silent, begun)
	fail(answered, begun) // in a row is what counts
	fail(silent, begun)
	fail(unasked, begun)
	fail(silent, begun)
	q.add(taskOf("a"), begun)
	fail(silent, begun)
	if _, ok := q.next(begun); ok || q.held != 0 {
		t.Error("three times silent, and it is asked again at once")
	}
	q.add(task{host: "a", until: begun.Add(2 * claimFor)}, begun)
	if q.held != 0 {
		t.Error("what is for a host that rests is held")
	}
	fail(silent, begun.Add(restFor)) // one try
	if q.add(task{host: "a", until: begun.Add(3 * claimFor)}, begun.Add(restFor)); q.held != 0 {
		t.Error("silent again after its rest, and it does not rest on")
	}
	q.forget(begun.Add(restFor + rememberIn + 1))
	if len(q.lanes) != 0 {
		t.Errorf("%d hosts are remembered", len(q.lanes))
	}
}

func TestWhatCountsAsATryIsSkippedWhileItsHostRests(t *testing.T) {
	q := newQueue()
	for range manySilent {
		q.add(taskOf("a"), begun)
		q.next(begun)
		q.finish("a", silent, begun)
	}
	skipped := 0
	x := taskOf("a")
	x.send = func(context.Context) health { return answered }
	x.skip = func(context.Context) health { skipped++; return unasked }
	q.add(x, begun)
	next, ok := q.next(begun)
	if !ok || next.send(t.Context()) != unasked || skipped != 1 {
		t.Errorf("skipped %d times, want once", skipped)
	}
}

func TestOneHostHasNoMoreThanItsShareAtHand(t *testing.T) {
	q := newQueue()
	for range maxHeld {
		q.add(taskOf("a"), begun)
	}
	if q.held != hostShare {
		t.Errorf("%d at hand, want %d", q.held, hostShare)
	}
}

// Whatever happens, no host has more than its requests at a time, every task is begun at most once, and none that could be
// begun is passed over.
func TestTheQueueKeepsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, now := newQueue(), begun
		last := 0
		seen := map[int]bool{} // tasks that were handed out, by number
		number := func(x task) int { return int(x.until.Sub(now) - claimFor) }
		active := map[string]int{}
		host := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				last++
				q.add(task{host: host.Draw(t, "host"), until: now.Add(claimFor + time.Duration(last))}, now)
			case 1:
				next, ok := q.next(now)
				if !ok {
					for name, l := range q.lanes {
						if len(l.waiting) > 0 && active[name] < perHost {
							t.Fatalf("%s has %d waiting and %d at a time, and nothing is next", name, len(l.waiting), active[name])
						}
					}
					continue
				}
				if active[next.host]++; active[next.host] > perHost || seen[number(next)] {
					t.Fatalf("%s: %d at a time, begun before: %v", next.host, active[next.host], seen[number(next)])
				}
				seen[number(next)] = true
			case 2:
				if name := host.Draw(t, "host"); active[name] > 0 {
					active[name]--
					q.finish(name, rapid.SampledFrom([]health{unasked, answered, silent}).Draw(t, "shown"), now)
				}
			case 3:
				q.forget(now)
			}
			sum, waiting := 0, 0
			for _, n := range active {
				sum += n
			}
			for _, l := range q.lanes {
				waiting += len(l.waiting)
			}
			if sum != q.active || waiting != q.held {
				t.Fatalf("%d active and %d held, want %d and %d", q.active, q.held, sum, waiting)
			}
		}
		held := q.held
		for {
			next, ok := q.take()
			if !ok {
				break
			}
			if held--; seen[number(next)] {
				t.Fatal("given back, and begun")
			}
		}
		if held != 0 || q.held != 0 {
			t.Fatalf("%d are held and not given back", held)
		}
	})
}

func TestPausesGrow(t *testing.T) {
	for _, c := range []struct {
		failures int
		want     time.Duration
	}{
		{1, 10 * time.Second}, {2, 20 * time.Second}, {3, 40 * time.Second}, {8, 1280 * time.Second}, {12, 20480 * time.Second}, {13, 6 * time.Hour},
		{14, 6 * time.Hour}, {1000, 6 * time.Hour},
	} {
		if got := pauseAfter(c.failures, 0); got != c.want {
			t.Errorf("after %d failures %v, want %v", c.failures, got, c.want)
		}
		if got := pauseAfter(c.failures, 1); got != c.want*4/5 {
			t.Errorf("after %d failures, made shorter, %v, want %v", c.failures, got, c.want*4/5)
		}
	}
}
