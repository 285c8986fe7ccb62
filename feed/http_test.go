package feed_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"zonewire/feed"
)

var quiet = slog.New(slog.DiscardHandler)

// request asks a handler as a reader does; headers are name, value, name, value. Headers whose name is the same are sent
// as several lines.
func request(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpacked is a body as it was before it was coded.
func unpacked(t testing.TB, coding string, b []byte) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659: a reader may refuse more
	}
	if err == nil {
		b, err = io.ReadAll(r)
	}
	if err != nil {
		t.Fatalf("unpack %s: %v", coding, err)
	}
	return b
}

const (
	zoneRSS = "/zones/jintan-edz/feed.rss"
	allAtom = "/feed.atom"
)

func TestConditionalRequests(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	first := request(s, "GET", zoneRSS)
	etag := first.Header.Get("ETag")
	packed := request(s, "GET", zoneRSS, "Accept-Encoding", "gzip").Header.Get("ETag")
	modified, err := http.ParseTime(first.Header.Get("Last-Modified"))
	if err != nil || etag == packed || !strings.HasPrefix(etag, `"`) || len(etag) < 34 {
		t.Fatalf("validators: ETag %s and %s, Last-Modified %v %v", etag, packed, modified, err)
	}
	date := func(d time.Duration) string { return modified.Add(d).UTC().Format(http.TimeFormat) }
	apache := strings.TrimSuffix(etag, `"`) + `-gzip"`

	for _, c := range []struct {
		name    string
		headers []string
		want    int
	}{
		{"13.1.2: the same tag", []string{"If-None-Match", etag}, 304},
		{"13.1.2: another tag", []string{"If-None-Match", `"other"`}, 200},
		{"13.1.2: one of a list", []string{"If-None-Match", `"other", W/"else" ,,` + etag}, 304},
		{"5.3: one of several lines", []string{"If-None-Match", `"other"`, "If-None-Match", etag}, 304},
		{"13.1.2: a comma inside a tag", []string{"If-None-Match", `"a,b", ` + etag}, 304},
		{"13.1.2: any", []string{"If-None-Match", "*"}, 304},
		{"13.1.2: weak comparison", []string{"If-None-Match", "W/" + etag}, 304},
		{"8.8.3: a tag needs its quotes", []string{"If-None-Match", strings.Trim(etag, `"`)}, 200},
		{"8.8.3: a tag needs its end", []string{"If-None-Match", strings.TrimSuffix(etag, `"`)}, 200},
		{"8.8.3: W/ is case-sensitive", []string{"If-None-Match", "w/" + etag}, 200},
		{"8.8.3: the empty tag", []string{"If-None-Match", `""`}, 200},
		{"8.8.3.3: the tag of the coding sent", []string{"If-None-Match", packed, "Accept-Encoding", "gzip"}, 304},
		{"8.8.3.3: the tag of another coding is the same document", []string{"If-None-Match", packed}, 304},
		{"8.8.3.3: and the other way", []string{"If-None-Match", etag, "Accept-Encoding", "gzip"}, 304},
		{"Apache's suffix", []string{"If-None-Match", apache}, 304},
		{"Apache's suffix, weak", []string{"If-None-Match", "W/" + apache}, 304},
		{"13.1.3: the same date", []string{"If-Modified-Since", date(0)}, 304},
		{"13.1.3: a later date", []string{"If-Modified-Since", date(time.Hour)}, 304},
		{"13.1.3: a date to come", []string{"If-Modified-Since", date(1e6 * time.Hour)}, 304},
		{"13.1.3: an earlier date", []string{"If-Modified-Since", date(-time.Second)}, 200},
		{"13.1.3: no date", []string{"If-Modified-Since", "yesterday"}, 200},
		{"5.6.7: the RFC 850 form", []string{"If-Modified-Since", modified.UTC().Format("Monday, 02-Jan-06 15:04:05 GMT")}, 304},
		{"5.6.7: the asctime form", []string{"If-Modified-Since", modified.UTC().Format(time.ANSIC)}, 304},
		{"13.1.3: ignored beside another tag", []string{"If-None-Match", `"other"`, "If-Modified-Since", date(0)}, 200},
		{"13.2.2: a tag that matches, an old date", []string{"If-None-Match", etag, "If-Modified-Since", date(-time.Hour)}, 304},
		{"13.1.1: If-Match holds", []string{"If-Match", `"x", ` + etag}, 200},
		{"13.1.1: If-Match any", []string{"If-Match", "*"}, 200},
		{"13.1.1: If-Match fails", []string{"If-Match", `"other"`}, 412},
		{"13.1.1: If-Match compares strongly", []string{"If-Match", "W/" + etag}, 412},
		{"13.2.2: If-Match goes first", []string{"If-Match", `"other"`, "If-None-Match", etag}, 412},
		{"13.1.4: unmodified since", []string{"If-Unmodified-Since", date(0)}, 200},
		{"13.1.4: modified since", []string{"If-Unmodified-Since", date(-time.Second)}, 412},
		{"13.1.4: ignored beside If-Match", []string{"If-Match", etag, "If-Unmodified-Since", date(-time.Second)}, 200},
		{"14.2: a range is not served", []string{"Range", "bytes=0-9"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				r := request(s, method, zoneRSS, c.headers...)
				b := body(t, r)
				if r.StatusCode != c.want {
					t.Errorf("%s %q: got %d, want %d", method, c.headers, r.StatusCode, c.want)
				}
				if (r.StatusCode == 304 || method == "HEAD") && len(b) > 0 {
					t.Errorf("%s %d has a body of %d bytes", method, r.StatusCode, len(b))
				}
			}
		})
	}
}

// RFC 9110 section 15.4.5: a 304 has the headers that the 200 would have had, of those that caches use.
func TestNotModifiedHeaders(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	for _, coding := range []string{"identity", "gzip"} {
		full := request(s, "GET", zoneRSS, "Accept-Encoding", coding)
		r := request(s, "GET", zoneRSS, "Accept-Encoding", coding, "If-Modified-Since", full.Header.Get("Last-Modified"))
		for _, name := range []string{"ETag", "Cache-Control", "Vary", "Access-Control-Allow-Origin"} {
			if got, want := r.Header.Get(name), full.Header.Get(name); got != want || want == "" {
				t.Errorf("%s: 304 has %s %q, 200 has %q", coding, name, got, want)
			}
		}
		for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding"} {
			if r.Header.Get(name) != "" {
				t.Errorf("304 has %s", name)
			}
		}
	}
	weak := "W/" + request(s, "GET", zoneRSS, "Accept-Encoding", "gzip").Header.Get("ETag")
	if got := request(s, "GET", zoneRSS, "If-None-Match", weak).Header.Get("ETag"); got != weak {
		t.Errorf("a reader behind a proxy that unpacks gets tag %s, sent %s", got, weak)
	}
}

func TestCodings(t *testing.T) {
	s := feed.NewServer(newStore(), site, feed.Options{})
	plain := body(t, request(s, "GET", zoneRSS))
	for _, c := range []struct {
		name   string
		accept []string
		want   string
	}{
		{"12.5.3: no header", nil, ""},
		{"12.5.3: empty header", []string{""}, ""},
		{"gzip", []string{"gzip"}, "gzip"},
		{"what newsboat sends", []string{"gzip, deflate"}, "gzip"},
		{"what Miniflux sends", []string{"br,gzip"}, "br"},
		{"what browsers send", []string{"gzip, deflate, br, zstd"}, "br"},
		{"the server's preference among equals", []string{"gzip, zstd"}, "zstd"},
		{"12.5.3: the reader's preference before the server's", []string{"br;q=0.5, zstd;q=0.7, gzip"}, "gzip"},
		{"12.5.3: br is refused", []string{"br;q=0, gzip;q=0.5"}, "gzip"},
		{"8.4.1: case does not count", []string{"GZip"}, "gzip"},
		{"8.4.1.3: x-gzip", []string{"x-gzip"}, "gzip"},
		{"unknown coding", []string{"lzma, compress"}, ""},
		{"12.5.3: refused", []string{"gzip;q=0"}, ""},
		{"12.5.3: refused with digits", []string{"gzip ; q=0.000"}, ""},
		{"12.4.2: weighed", []string{"gzip;q=0.2, deflate;q=1"}, "gzip"},
		{"12.5.3: the identity is wanted more", []string{"gzip;q=0.5, identity;q=0.8"}, ""},
		{"12.5.3: the identity is wanted less", []string{"identity;q=0.5, gzip;q=0.8"}, "gzip"},
		{"12.5.3: equal weights", []string{"identity, gzip"}, "gzip"},
		{"12.5.3: any", []string{"*"}, "br"},
		{"12.5.3: any but these", []string{"br;q=0, zstd;q=0, *"}, "gzip"},
		{"12.5.3: any but all", []string{"gzip;q=0, br;q=0, zstd;q=0, *"}, ""},
		{"12.5.3: nothing but gzip", []string{"gzip, *;q=0"}, "gzip"},
		{"12.5.3: nothing at all", []string{"*;q=0"}, ""},
		{"5.3: several lines", []string{"deflate", "gzip"}, "gzip"},
		{"12.4.2: a weight that is none", []string{"gzip;q=much"}, ""},
		{"12.4.2: a weight out of range", []string{"gzip;q=2"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			for _, a := range c.accept {
				headers = append(headers, "Accept-Encoding", a)
			}
			r := request(s, "GET", zoneRSS, headers...)
			b := body(t, r)
			if got := r.Header.Get("Content-Encoding"); got != c.want {
				t.Fatalf("%q: got coding %q, want %q", c.accept, got, c.want)
			}
			if r.Header.Get("Vary") != "Accept-Encoding" || r.Header.Get("Content-Length") != strconv.Itoa(len(b)) {
				t.Errorf("Vary %q, Content-Length %q of %d", r.Header.Get("Vary"), r.Header.Get("Content-Length"), len(b))
			}
			if !bytes.Equal(unpacked(t, r.Header.Get("Content-Encoding"), b), plain) {
				t.Error("the bytes differ from the identity's")
			}
			head := request(s, "HEAD", zoneRSS, headers...)
			if diff := cmp.Diff(r.Header, head.Header); diff != "" {
				t.Errorf("9.3.2: HEAD has other headers (-GET +HEAD):\n%s", diff)
			}
		})
	}
}

func TestHeadersOfAFeed(t *testing.T) {
	hub := site
	hub.Hubs = []string{"https://news.example.org/hub"}
	s := feed.NewServer(newStore(), hub, feed.Options{})
	for _, c := range []struct{ path, mediaType, self string }{
		{zoneRSS, "application/rss+xml; charset=utf-8", "https://news.example.org" + zoneRSS},
		{allAtom, "application/atom+xml; charset=utf-8", "https://news.example.org/feed.atom"},
		{"/feed.json?_=123&utm_source=x", "application/feed+json; charset=utf-8", "https://news.example.org/feed.json"},
	} {
		r := request(s, "GET", c.path, "Accept", "text/html, application/xml;q=0.9")
		if r.StatusCode != 200 {
			t.Errorf("%s: got %d", c.path, r.StatusCode)
		}
		got := map[string]string{}
		for _, name := range []string{"Content-Type", "X-Content-Type-Options", "Access-Control-Allow-Origin", "Link", "Cache-Control", "Content-Disposition", "Set-Cookie"} {
			got[name] = r.Header.Get(name)
		}
		want := map[string]string{
			"Content-Type": c.mediaType, "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*",
			"Link":                `<` + c.self + `>; rel="self", <https://news.example.org/hub>; rel="hub"`,
			"Cache-Control":       "public, max-age=300, stale-while-revalidate=600, stale-if-error=86400",
			"Content-Disposition": "", "Set-Cookie": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if b := body(t, r); !bytes.Contains(b, []byte(c.self)) || !bytes.Contains(b, []byte(hub.Hubs[0])) {
			t.Errorf("%s: self and hub of the header are not in the document", c.path)
		}
	}
	if a, b := request(s, "GET", zoneRSS+"?_=123").Header, request(s, "GET", zoneRSS).Header; a.Get("ETag") != b.Get("ETag") {
		t.Error("an unknown parameter changes the ETag")
	}
}

func TestPathsAndMethods(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		want               int
		header, value      string
	}{
		{"feed of a zone", "GET", "/zones/jintan-edz/feed.json", 200, "", ""},
		{"feed of all", "HEAD", "/feed.rss", 200, "", ""},
		{"renamed zone", "GET", "/zones/jintan-park/feed.atom", 301, "Location", "https://news.example.org/zones/jintan-edz/feed.atom"},
		{"renamed zone with a query", "GET", "/zones/jintan-park/feed.atom?limit=5", 301, "Location", "https://news.example.org/zones/jintan-edz/feed.atom?limit=5"},
		{"closed zone", "GET", "/zones/old-park/feed.rss", 410, "", ""},
		{"unknown zone", "GET", "/zones/nowhere/feed.rss", 404, "", ""},
		{"no slug", "GET", "/zones/..%2F/feed.rss", 404, "", ""},
		{"empty slug", "GET", "/zones//feed.rss", 404, "", ""},
		{"unknown format", "GET", "/zones/jintan-edz/feed.xml", 404, "", ""},
		{"deeper path", "GET", "/zones/jintan-edz/x/feed.rss", 404, "", ""},
		{"POST", "POST", zoneRSS, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"DELETE", "DELETE", zoneRSS, 405, "Allow", "GET, HEAD, OPTIONS"},
		{"OPTIONS", "OPTIONS", zoneRSS, 204, "Allow", "GET, HEAD, OPTIONS"},
		{"preflight", "OPTIONS", zoneRSS, 204, "Access-Control-Allow-Headers", "If-None-Match, If-Modified-Since, A-IM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(feed.NewServer(newStore(), site, feed.Options{}), c.method, c.path)
			if r.StatusCode != c.want || r.Header.Get(c.header) != c.value {
				t.Errorf("%s %s: got %d, %s %q; want %d, %q", c.method, c.path, r.StatusCode, c.header, r.Header.Get(c.header), c.want, c.value)
			}
			if b := body(t, r); r.StatusCode >= 300 && len(b) > 4096 {
				t.Errorf("%d has %d bytes", r.StatusCode, len(b))
			}
		})
	}
}
