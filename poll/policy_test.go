package poll

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"zonewire"
	"zonewire/ingest"
)

// noon is a Wednesday, by day in Shanghai.
var noon = time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)

func TestSettle(t *testing.T) {
	ago := func(d time.Duration) time.Time { return noon.Add(-d) }
	for _, c := range []struct {
		name    string
		before  zonewire.SourceState
		memory  zonewire.PollMemory
		class   class
		after   zonewire.SourceState
		errors  int
		missing int
	}{
		{"an answer", zonewire.SourceActive, zonewire.PollMemory{}, usable, zonewire.SourceActive, 0, 0},
		{"an answer after failures", zonewire.SourceFailing, zonewire.PollMemory{Errors: 9, FailingAt: ago(day)}, usable, zonewire.SourceActive, 0, 0},
		{"an answer after 404", zonewire.SourceFailing, zonewire.PollMemory{Errors: 9, Gone: 9, GoneAt: ago(week)}, usable, zonewire.SourceActive, 0, 0},
		{"an answer of a blocked one", zonewire.SourceBlocked, zonewire.PollMemory{Errors: 30}, usable, zonewire.SourceActive, 0, 0},
		{"a stopped one that an operator asked", zonewire.SourceStopped, zonewire.PollMemory{Errors: 10}, usable, zonewire.SourceActive, 0, 0},
		{"a paused one stays paused", zonewire.SourcePaused, zonewire.PollMemory{Errors: 3}, usable, zonewire.SourcePaused, 0, 0},
		{"the first failure", zonewire.SourceActive, zonewire.PollMemory{}, failed, zonewire.SourceActive, 1, 0},
		{"the fourth", zonewire.SourceActive, zonewire.PollMemory{Errors: 3, FailingAt: ago(day)}, failed, zonewire.SourceActive, 4, 0},
		{"the fifth", zonewire.SourceActive, zonewire.PollMemory{Errors: 4, FailingAt: ago(day)}, failed, zonewire.SourceFailing, 5, 0},
		{"being busy counts", zonewire.SourceActive, zonewire.PollMemory{Errors: 4, FailingAt: ago(day)}, busy, zonewire.SourceFailing, 5, 0},
		{"a day short of fourteen", zonewire.SourceFailing, zonewire.PollMemory{Errors: 20, FailingAt: ago(13 * day)}, failed, zonewire.SourceFailing, 21, 0},
		{"fourteen days", zonewire.SourceFailing, zonewire.PollMemory{Errors: 20, FailingAt: ago(14 * day)}, failed, zonewire.SourceSuspended, 21, 0},
		{"fourteen days, but asked twice only", zonewire.SourceActive, zonewire.PollMemory{Errors: 1, FailingAt: ago(14 * day)}, busy, zonewire.SourceActive, 2, 0},
		{"a suspended one that an operator asked in vain", zonewire.SourceSuspended, zonewire.PollMemory{Errors: 20, FailingAt: ago(20 * day)}, failed, zonewire.SourceSuspended, 21, 0},
		{"blocked", zonewire.SourceActive, zonewire.PollMemory{}, blocked, zonewire.SourceBlocked, 1, 0},
		{"blocked for a month", zonewire.SourceBlocked, zonewire.PollMemory{Errors: 30, FailingAt: ago(30 * day)}, blocked, zonewire.SourceBlocked, 31, 0},
		{"gone", zonewire.SourceActive, zonewire.PollMemory{}, gone, zonewire.SourceStopped, 1, 0},
		{"missing once", zonewire.SourceActive, zonewire.PollMemory{}, missing, zonewire.SourceActive, 1, 1},
		{"missing nine times in seven days", zonewire.SourceFailing, zonewire.PollMemory{Errors: 8, Gone: 8, GoneAt: ago(week)}, missing, zonewire.SourceFailing, 9, 9},
		{"missing ten times in six days", zonewire.SourceFailing, zonewire.PollMemory{Errors: 9, Gone: 9, GoneAt: ago(6 * day)}, missing, zonewire.SourceFailing, 10, 10},
		{"missing ten times in seven days", zonewire.SourceFailing, zonewire.PollMemory{Errors: 9, Gone: 9, GoneAt: ago(week)}, missing, zonewire.SourceStopped, 10, 10},
		{"out of reach among answers of 404", zonewire.SourceFailing, zonewire.PollMemory{Errors: 9, Gone: 4, GoneAt: ago(week)}, failed, zonewire.SourceFailing, 10, 4},
	} {
		s := zonewire.Source{State: c.before, Reason: "as it was", Memory: c.memory}
		v := verdict{class: c.class}
		if c.class != usable {
			v.reason = "why"
		}
		state, reason, m := settle(s, v, noon)
		if state != c.after || m.Errors != c.errors || m.Gone != c.missing {
			t.Errorf("%s: %s, %d errors, %d missing; want %s, %d, %d", c.name, state, m.Errors, m.Gone, c.after, c.errors, c.missing)
		}
		kept := !c.before.Polled() && state == c.before
		switch {
		case kept && reason != "as it was", !kept && c.class == usable && reason != "", !kept && c.class != usable && !strings.HasSuffix(reason, "why"):
			t.Errorf("%s: reason %q", c.name, reason)
		}
		if m.Errors > 0 && m.FailingAt.IsZero() || m.Errors == 0 && !m.FailingAt.IsZero() || (m.Gone > 0) != !m.GoneAt.IsZero() {
			t.Errorf("%s: failing since %v, missing since %v", c.name, m.FailingAt, m.GoneAt)
		}
	}
}

func TestNext(t *testing.T) {
	feed := func(change func(*timing)) timing {
		x := timing{source: zonewire.Source{ID: 1, Kind: zonewire.FeedSource}, now: noon}
		change(&x)
		return x
	}
	for _, c := range []struct {
		name string
		t    timing
		want time.Duration // ± 10 %
	}{
		{"no news in a week", feed(func(*timing) {}), day},
		{"six in a week", feed(func(x *timing) { x.recent = 6 }), day},
		{"thirteen in a week", feed(func(x *timing) { x.recent = 13 }), 12 * time.Hour},
		{"a thousand in a week", feed(func(x *timing) { x.recent = 1000 }), time.Hour},
		{"a thousand, 15 minutes allowed", feed(func(x *timing) { x.recent, x.source.Every = 1000, 15*time.Minute }), 15 * time.Minute},
		{"a thousand, six hours wanted", feed(func(x *timing) { x.recent, x.source.Every = 1000, 6*time.Hour }), 6 * time.Hour},
		{"a quiet feed, an hour wanted", feed(func(x *timing) { x.recent, x.source.Every = 0, time.Hour }), time.Hour},
		{"one failure", feed(func(x *timing) { x.recent, x.source.Memory.Errors = 167, 1 }), 2 * time.Hour},
		{"four failures", feed(func(x *timing) { x.recent, x.source.Memory.Errors = 167, 4 }), 16 * time.Hour},
		{"a hundred failures", feed(func(x *timing) { x.recent, x.source.Memory.Errors = 167, 100 }), day},
		{"429 without more", feed(func(x *timing) { x.recent, x.source.Memory.Errors, x.verdict.slower = 167, 1, true }), 4 * time.Hour},
		{"asked for three days of silence", feed(func(x *timing) { x.recent, x.verdict.retry = 167, 3*day }), 3*day + 3*time.Minute},
		{"blocked", feed(func(x *timing) { x.recent, x.verdict.class = 167, blocked }), day},
		{"a hub pushes", feed(func(x *timing) { x.recent, x.source.Sub.Until = 167, noon.Add(day) }), day},
		{"a hub's lease has run out", feed(func(x *timing) { x.recent, x.source.Sub.Until = 167, noon.Add(-day) }), time.Hour},
		{"no validators, the whole an hour ago", feed(func(x *timing) { x.recent, x.whole, x.source.Memory.Whole = 167, true, noon.Add(-time.Hour) }), 23*time.Hour + 3*time.Minute},
		{"no validators, never had the whole", feed(func(x *timing) { x.recent, x.whole = 167, true }), time.Hour},
		{"fresh for five hours", feed(func(x *timing) { x.recent, x.fresh = 167, 5*time.Hour }), 5*time.Hour + 3*time.Minute},
		{"a ttl of five hours", feed(func(x *timing) {
			x.recent, x.source.Memory.Hints = 167, writeHints(ingest.Hints{Every: 5 * time.Hour})
		}), 5*time.Hour + 3*time.Minute},
	} {
		got := next(c.t).Sub(noon)
		if got < c.want*9/10 || got > c.want*11/10 {
			t.Errorf("%s: in %v, want %v ± 10 %%", c.name, got, c.want)
		}
	}
}

func TestNextIsNeverBeforeAnythingThatSaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
		}
		now := noon.Add(span("now", 400*day))
		every := time.Duration(rapid.SampledFrom([]int64{0, 15, 60, 1440}).Draw(t, "every")) * time.Minute
		hints := ingest.Hints{Every: span("ttl", 400*day), SkipHours: rapid.SliceOf(rapid.IntRange(0, 23)).Draw(t, "hours")}
		x := timing{
			source: zonewire.Source{
				ID: rapid.Int64().Draw(t, "id"), Kind: rapid.SampledFrom([]zonewire.SourceKind{zonewire.FeedSource, zonewire.PageSource}).Draw(t, "kind"), Every: every,
				Memory: zonewire.PollMemory{Errors: rapid.IntRange(0, 1000).Draw(t, "errors"), Hints: writeHints(hints), Whole: now.Add(-span("whole", 2*day))},
			},
			recent: rapid.IntRange(0, 1<<40).Draw(t, "recent"), fresh: span("fresh", maxHint), whole: rapid.Bool().Draw(t, "no validators"), now: now,
			verdict: verdict{retry: span("retry", maxSilence)},
		}
		floor := every
		if every == 0 {
			floor = time.Hour
		}
		at := next(x)
		least := max(floor, x.fresh, min(hints.Every, day), x.verdict.retry)
		if at.Before(now.Add(least)) || x.whole && at.Before(x.source.Memory.Whole.Add(day)) {
			t.Fatalf("in %v, want %v at least", at.Sub(now), least)
		}
		// Base or hint with its jitter, a skipped day, a night.
		if most := max(day, x.verdict.retry) + day/10 + day + 13*time.Hour; at.After(now.Add(most)) {
			t.Fatalf("in %v, want %v at most", at.Sub(now), most)
		}
		if hour := at.In(zonewire.Shanghai).Hour(); x.source.Kind == zonewire.PageSource && (hour < 8 || hour >= 20) {
			t.Fatalf("a page at %d o'clock", hour)
		}
	})
}

func TestNightsAreSkippedToASpreadMorning(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 3, 4, hour, minute, 0, 0, zonewire.Shanghai) }
	for _, c := range []struct{ when, want time.Time }{
		{at(8, 0), at(8, 0)},
		{at(19, 59), at(19, 59)},
		{at(20, 0), at(32, 30)},
		{at(23, 59), at(32, 30)},
		{at(0, 0), at(8, 30)},
		{at(7, 59), at(8, 30)},
	} {
		if got := outsideNight(c.when, 0.5); !got.Equal(c.want) {
			t.Errorf("%v: %v, want %v", c.when, got, c.want)
		}
	}
}

func TestValidatorsThatCannotGoBackAreNone(t *testing.T) {
	for value, want := range map[string]string{
		`W/"a"`:                   `W/"a"`,
		"":                        "",
		"\xff\xfe":                "",
		"a\x00b":                  "",
		"a\nb":                    "",
		strings.Repeat("x", 1025): "",
	} {
		if got := validator(value); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestClassOf(t *testing.T) {
	for want, codes := range map[class][]int{
		usable: {200, 304}, gone: {410}, missing: {404}, blocked: {403, 412, 521}, busy: {429, 503},
		failed: {0, 100, 204, 206, 226, 300, 301, 400, 401, 402, 405, 406, 418, 451, 500, 502, 504, 520, 522},
	} {
		for _, status := range codes {
			if got := classOf(status); got != want {
				t.Errorf("%d is %d, want %d", status, got, want)
			}
			if want != usable && meaning(status) == "" {
				t.Errorf("%d is not explained", status)
			}
		}
	}
}

func TestLink(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"quoted", []string{`<https://hub.example/>; rel="hub"`}, "https://hub.example/"},
		{"bare", []string{`<https://hub.example/>;rel=hub`}, "https://hub.example/"},
		{"relative", []string{`</hub>; rel=hub`}, "https://portal.example/hub"},
		{"the second of a header", []string{`</self>; rel="self", </hub>; rel="hub"`}, "https://portal.example/hub"},
		{"the second header", []string{`</self>; rel="self"`, `</hub>; rel="hub"`}, "https://portal.example/hub"},
		{"several relations", []string{`</both>; rel="self HUB"`}, "https://portal.example/both"},
		{"another parameter first", []string{`</hub>; title="a, b; rel=self"; rel=hub`}, "https://portal.example/hub"},
		{"a comma in the address", []string{`</hub?a,b>; rel=hub`}, "https://portal.example/hub?a,b"},
		{"none", []string{`</self>; rel="self"`}, ""},
		{"part of a word", []string{`</x>; rel="github"`}, ""},
		{"no brackets", []string{`/hub; rel=hub`}, ""},
		{"cut off", []string{`</hub`, `<`, ``, `,`, `"`}, ""},
	} {
		a := answer{final: "https://portal.example/feed", header: http.Header{"Link": c.headers}}
		if got := link(a, "hub"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCharsetOf(t *testing.T) {
	for value, want := range map[string]string{
		"text/html; charset=GB2312":             "GB2312",
		`text/xml;charset="utf-8"`:              "utf-8",
		"text/html":                             "",
		"":                                      "",
		"charset=gbk":                           "",
		"text/html; charset=gbk; charset=utf-8": "",
		"text/html; charset=gbk; broken parameter": "",
	} {
		if got := charsetOf(http.Header{"Content-Type": {value}}); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}
