package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A page smaller than this fits a packet or two either way.
const packable = 1400

var packers sync.Pool // of *gzip.Writer

// packed tells whether a body may be sent compressed. One that is for one person may not: it could hold a token beside
// what a stranger had put into the address, and its length would tell of it (BREACH).
func packed(r *http.Request, h http.Header, size int) bool {
	if size < packable || strings.Contains(h.Get("Cache-Control"), "private") {
		return false
	}
	return acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ","))
}

// acceptsGzip reads an Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(accepted string) bool {
	any, named := false, false
	for part := range strings.SplitSeq(accepted, ",") {
		coding, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if weight, err = strconv.ParseFloat(strings.TrimSpace(q), 64); err != nil {
				weight = 0
			}
		}
		switch strings.TrimSpace(coding) {
		case "gzip", "x-gzip":
			if weight > 0 {
				return true
			}
			named = true
		case "*":
			any = weight > 0
		}
	}
	return any && !named
}

// pack gives the same bytes for the same body, as its entity tag promises.
func pack(body []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, ok := packers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(nil, 5); err != nil {
			return nil, fmt.Errorf("compress page: %w", err)
		}
	}
	defer packers.Put(w)
	w.Reset(&buf)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress page: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress page: %w", err)
	}
	return buf.Bytes(), nil
}
