package feed_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"zonewire/feed"
)

// discard is a response writer that keeps nothing, so that the handler is what is measured.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkHit compares a hit with a bare handler that writes the same bytes, over real connections: the ratio is what
// the handler adds. The last two show the handler alone.
func BenchmarkHit(b *testing.B) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	full := request(s, "GET", zoneRSS, "Accept-Encoding", "gzip")
	packed := body(b, full)
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
	})
	for _, c := range []struct {
		name string
		etag string
	}{{"gzip 200", ""}, {"304", full.Header.Get("ETag")}} {
		headers := http.Header{"Accept-Encoding": {"gzip"}}
		if c.etag != "" {
			headers.Set("If-None-Match", c.etag)
		}
		b.Run(c.name, func(b *testing.B) {
			ours, theirs := client(b, s, headers), client(b, bare, headers)
			ours()
			theirs()
			var spent, base time.Duration
			for b.Loop() { // in turns, so that both meet the same machine
				start := time.Now()
				theirs()
				middle := time.Now()
				ours()
				base += middle.Sub(start)
				spent += time.Since(middle)
			}
			b.ReportMetric(float64(spent)/float64(base), "ratio")
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/hit")
		})
		b.Run(c.name+" handler", func(b *testing.B) {
			r := httptest.NewRequest("GET", zoneRSS, nil)
			maps.Copy(r.Header, headers)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(w, r)
			}
		})
	}
}

// client gives a function that asks h once over a kept connection.
func client(b *testing.B, h http.Handler, headers http.Header) func() {
	b.Helper()
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	r, err := http.NewRequestWithContext(b.Context(), "GET", srv.URL+zoneRSS, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = headers
	return func() {
		resp, err := srv.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
