package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"testing"

	"zonewire"
)

func TestPagesTravelPacked(t *testing.T) {
	h, _ := serve(t, sample())
	private := "/lists/board?key=" + token(zonewire.PurposePrivate, 2)
	for _, tt := range []struct {
		name, path, accept, want string
	}{
		{"a browser", "/", "gzip, deflate, br, zstd", "gzip"},
		{"in capitals and with a weight", "/", "br;q=1.0, GZIP;q=0.8, *;q=0.1", "gzip"},
		{"by its old name", "/", "x-gzip", "gzip"},
		{"anything", "/", "*", "gzip"},
		{"anything but", "/", "*, gzip;q=0", ""},
		{"a weight of none", "/", "gzip; q=0.000", ""},
		{"a weight that is none", "/", "gzip;q=high", ""},
		{"other codings only", "/", "br, deflate", ""},
		{"no word of it", "/", "", ""},
		{"the style sheet", "/style.css", "gzip", "gzip"},
		{"a calendar file is too small", "/articles/119/deadline.ics", "gzip", ""},
		{"a private page holds a key beside the address", private, "gzip", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain := get(h, tt.path)
			w := get(h, tt.path, "Accept-Encoding", tt.accept)
			equal(t, "coding", w.Header().Get("Content-Encoding"), tt.want)
			head := do(h, httptest.NewRequest("HEAD", tt.path, nil), "Accept-Encoding", tt.accept)
			equal(t, "tag of a HEAD", head.Header().Get("ETag"), w.Header().Get("ETag"))
			if tt.want == "" {
				equal(t, "body", w.Body.String(), plain.Body.String())
				return
			}
			if w.Header().Get("ETag") == plain.Header().Get("ETag") || w.Body.Len() > plain.Body.Len()/2 {
				t.Errorf("%d bytes of %d, tag %s of %s", w.Body.Len(), plain.Body.Len(), w.Header().Get("ETag"), plain.Header().Get("ETag"))
			}
			equal(t, "the same page again", get(h, tt.path, "Accept-Encoding", tt.accept, "If-None-Match", w.Header().Get("ETag")).Code, 304)
			r, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "unpacked", string(body), plain.Body.String())
		})
	}
}
