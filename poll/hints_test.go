package poll

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"zonewire/ingest"
)

func TestFreshFor(t *testing.T) {
	date := func(d time.Duration) string { return noon.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"nothing", http.Header{}, 0},
		{"max-age", http.Header{"Cache-Control": {"max-age=600"}}, 10 * time.Minute},
		{"in another case, among others", http.Header{"Cache-Control": {"public, Max-Age=600, must-revalidate"}}, 10 * time.Minute},
		{"in the second header", http.Header{"Cache-Control": {"public", "max-age=600"}}, 10 * time.Minute},
		{"quoted", http.Header{"Cache-Control": {`max-age="600"`}}, 10 * time.Minute},
		{"s-maxage is for caches between", http.Header{"Cache-Control": {"s-maxage=600"}}, 0},
		{"less its age", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"240"}}, 6 * time.Minute},
		{"older than fresh", http.Header{"Cache-Control": {"max-age=600"}, "Age": {"700"}}, 0},
		{"zero", http.Header{"Cache-Control": {"max-age=0"}, "Expires": {date(time.Hour)}}, 0},
		{"negative", http.Header{"Cache-Control": {"max-age=-1"}}, 0},
		{"no number", http.Header{"Cache-Control": {"max-age=soon"}}, 0},
		{"past every number", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, day},
		{"no-store", http.Header{"Cache-Control": {"no-store, max-age=600"}}, 0},
		{"Expires", http.Header{"Expires": {date(time.Hour)}}, time.Hour},
		{"Expires by the server's clock", http.Header{"Expires": {date(3 * time.Hour)}, "Date": {date(2 * time.Hour)}}, time.Hour},
		{"Expires: 0", http.Header{"Expires": {"0"}}, 0},
		{"Expires: -1", http.Header{"Expires": {"-1"}}, 0},
		{"Expires in the past", http.Header{"Expires": {date(-time.Hour)}}, 0},
		{"Expires in a year", http.Header{"Expires": {date(365 * day)}}, day},
	} {
		if got := freshFor(c.header, noon); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                       0,
		"0":                      0,
		"-5":                     0,
		"soon":                   0,
		"1.5":                    0,
		"1":                      time.Hour,
		"7200":                   2 * time.Hour,
		" 7200 ":                 2 * time.Hour,
		"9999999999999999999999": week,
		noon.Add(5 * time.Hour).Format(http.TimeFormat): 5 * time.Hour,
		noon.Add(time.Minute).Format(http.TimeFormat):   time.Hour,
		noon.Add(99 * day).Format(http.TimeFormat):      week,
		noon.Add(-time.Hour).Format(http.TimeFormat):    0,
		noon.Add(5 * time.Hour).Format(time.RFC850):     5 * time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, noon); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestOutsideSkips(t *testing.T) {
	every := make([]int, 24)
	for i := range every {
		every[i] = i
	}
	wednesday := func(hour, minute int) time.Time { return time.Date(2026, 3, 4, hour, minute, 0, 0, time.UTC) }
	for _, c := range []struct {
		name       string
		hints      ingest.Hints
		when, want time.Time
	}{
		{"nothing to skip", ingest.Hints{}, wednesday(4, 30), wednesday(4, 30)},
		{"another hour", ingest.Hints{SkipHours: []int{5}}, wednesday(4, 30), wednesday(4, 30)},
		{"this hour and the next", ingest.Hints{SkipHours: []int{4, 5}}, wednesday(4, 30), wednesday(6, 0)},
		{"over midnight", ingest.Hints{SkipHours: []int{22, 23, 0}}, wednesday(22, 30), wednesday(25, 0)},
		{"this day", ingest.Hints{SkipDays: []time.Weekday{time.Wednesday}}, wednesday(4, 30), wednesday(24, 0)},
		{"this day and the first hour of the next", ingest.Hints{SkipHours: []int{0}, SkipDays: []time.Weekday{time.Wednesday}}, wednesday(4, 30), wednesday(25, 0)},
		{"every hour is nonsense", ingest.Hints{SkipHours: every}, wednesday(4, 30), wednesday(4, 30)},
	} {
		if got := outsideSkips(c.hints, c.when); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHintsAreKeptAsTheyWere(t *testing.T) {
	want := ingest.Hints{Every: time.Hour, SkipHours: []int{0, 23}, SkipDays: []time.Weekday{time.Sunday}}
	got := readHints(writeHints(want))
	if got.Every != want.Every || len(got.SkipHours) != 2 || got.SkipHours[1] != 23 || len(got.SkipDays) != 1 || got.SkipDays[0] != time.Sunday {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, s := range []string{"", "{", "null", `{"Every":"x"}`} {
		if h := readHints(s); h.Every != 0 || h.SkipHours != nil {
			t.Errorf("%q reads as %+v", s, h)
		}
	}
}

func FuzzHeaderHints(f *testing.F) {
	f.Add("max-age=600, public", "Wed, 04 Mar 2026 05:00:00 GMT", "120", `<https://hub.example/>; rel="hub", </self>; rel=self`, "text/html; charset=gbk")
	f.Add("no-cache", "0", "Wed, 04 Mar 2026 05:00:00 GMT", "<a,b>;rel=hub", "")
	f.Add(`max-age="1",max-age=2`, "-1", "1e9", `"<>",;=`, "text/html; charset")
	f.Fuzz(func(t *testing.T, cache, expires, retry, links, contentType string) {
		h := http.Header{"Cache-Control": {cache}, "Expires": {expires}, "Age": {retry}, "Date": {expires}, "Retry-After": {retry}, "Link": {links}, "Content-Type": {contentType}}
		if d := freshFor(h, noon); d < 0 || d > maxHint {
			t.Errorf("fresh for %v", d)
		}
		if d := retryAfter(h, noon); d != 0 && (d < minSilence || d > maxSilence) {
			t.Errorf("retry after %v", d)
		}
		link(answer{final: "https://portal.example/", header: h}, "hub")
		charsetOf(h)
		if v := validator(cache); v != "" && v != cache {
			t.Errorf("validator %q of %q", v, cache)
		}
	})
}

func FuzzRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /*.pdf$\nCrawl-delay: 5\n")
	f.Add("user-agent:zonewire\rallow:/\rdisallow:*\r")
	f.Add("Disallow: /\nCrawl-delay: 1e999\n\ufeffUser-agent: *\n")
	f.Fuzz(func(t *testing.T, body string) {
		r := readRobots(http.StatusOK, body)
		if gap := r.gap(); gap < minGap || gap > maxGap {
			t.Errorf("gap %v", gap)
		}
		for _, address := range []string{"http://a.example", "http://a.example/新闻/1.html?q=%ff", "http://a.example/%E6%96%B0?%zz"} {
			if u, err := url.Parse(address); err == nil {
				r.allows(u)
			}
		}
	})
}
