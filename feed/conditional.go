package feed

import (
	"net/http"
	"strconv"
	"strings"
)

// choose picks the form to send by Accept-Encoding (RFC 9110 section 12.5.3): the coding with the highest weight, among
// equals the one that the server prefers. Without the header, and where nothing offered is acceptable, it is the identity.
func choose(accept []string) int {
	if len(accept) == 0 {
		return plainForm
	}
	named := [codings]int{-1, -1, -1, -1}
	star := -1
	for _, header := range accept {
		for entry := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(entry, ";")
			if name = strings.TrimSpace(name); name == "*" {
				star = quality(params)
			} else if i := formNamed(name); i >= 0 {
				named[i] = quality(params)
			}
		}
	}
	best, bestWeight := plainForm, 0
	for i, w := range named {
		switch {
		case w >= 0:
		case i == plainForm && star != 0:
			w = 1 // acceptable unless it is ruled out, but what is named goes before it
		default:
			w = star
		}
		if w > bestWeight {
			best, bestWeight = i, w
		}
	}
	return best
}

// formNamed finds the form of a coding that a request names, -1 if there is none.
func formNamed(name string) int {
	switch {
	case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"): // section 8.4.1.3: the same
		return gzipForm
	case strings.EqualFold(name, "br"):
		return brotliForm
	case strings.EqualFold(name, "zstd"):
		return zstdForm
	case strings.EqualFold(name, "identity"):
		return plainForm
	}
	return -1
}

// quality reads the weight out of parameters (section 12.4.2) in thousandths: 1 without one, 0 for one that is none.
func quality(params string) int {
	for p := range strings.SplitSeq(params, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN is in no range
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}

// verdict is what the conditions of a request ask for.
type verdict int

const (
	send        verdict = iota // 200
	notModified                // 304
	failed                     // 412
)

// judge evaluates the conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2. For a 304 it also gives the
// ETag to answer with.
func (s *snapshot) judge(h http.Header, sent *form) (verdict, string) {
	if values := h["If-Match"]; len(values) > 0 {
		if !strongMatch(values, sent.etag) {
			return failed, ""
		}
	} else if since, ok := s.since(h, "If-Unmodified-Since"); ok && s.modified.Unix() > since {
		return failed, ""
	}
	// If-Modified-Since counts only where there is no If-None-Match (section 13.1.3), even one that matches nothing.
	if values := h["If-None-Match"]; len(values) > 0 {
		if etag, ok := s.weakMatch(values, sent); ok {
			return notModified, etag
		}
		return send, ""
	}
	if since, ok := s.since(h, "If-Modified-Since"); ok && s.modified.Unix() <= since {
		return notModified, sent.etag
	}
	return send, ""
}

// since reads a date in any of the three forms of section 5.6.7. What is none is ignored, and so is a date where the
// document has none (section 13.1.3). Seconds are all that it has.
func (s *snapshot) since(h http.Header, name string) (unix int64, ok bool) {
	value := h.Get(name)
	if value == "" || s.modified.IsZero() {
		return 0, false
	}
	t, err := http.ParseTime(value)
	return t.Unix(), err == nil
}

// weakMatch compares weakly (section 8.8.3.2) with the tags of every coding, the one that would be sent first. A tag of
// another coding means the same document: a proxy that packs or unpacks on the way leaves the reader with it. Such a
// reader gets its own tag back and stays cached.
func (s *snapshot) weakMatch(values []string, sent *form) (etag string, ok bool) {
	for _, list := range values {
		for tag, opaque := range tags(list) {
			if tag == "*" || opaque == sent.etag {
				return sent.etag, true
			}
			if versionNamed(opaque) == s.hash {
				etag, ok = tag, true
			}
		}
	}
	return etag, ok
}

// versionNamed is the hash of the version that an entity tag of any coding, as [tags] gives it, speaks of.
func versionNamed(opaque string) string {
	hash := strings.TrimSuffix(strings.Trim(opaque, `"`), "-gzip") // Apache marks what it packed
	for _, c := range codingOf[:plainForm] {
		if bare, cut := strings.CutSuffix(hash, c.mark); cut {
			return bare
		}
	}
	return hash
}

func strongMatch(values []string, etag string) bool {
	for _, list := range values {
		for tag := range tags(list) {
			if tag == "*" || tag == etag {
				return true
			}
		}
	}
	return false
}

// tags walks a list of entity tags: each as given, and without its W/. It ends at what is no tag.
func tags(list string) func(yield func(tag, opaque string) bool) {
	return func(yield func(tag, opaque string) bool) {
		for {
			list = strings.TrimLeft(list, " \t,")
			if strings.HasPrefix(list, "*") {
				yield("*", "*")
				return
			}
			start := 0
			if strings.HasPrefix(list, "W/") {
				start = 2
			}
			if start >= len(list) || list[start] != '"' {
				return
			}
			length := strings.IndexByte(list[start+1:], '"')
			if length < 0 {
				return
			}
			end := start + 1 + length + 1
			if !yield(list[:end], list[start:end]) {
				return
			}
			list = list[end:]
		}
	}
}
