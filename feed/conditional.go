package feed

import (
	"net/http"
	"strconv"
	"strings"
)

// choose picks the form to send by Accept-Encoding (RFC 9110 section 12.5.3): the coding with the highest weight, among
// equals the one that is first in forms. Without the header, and where nothing offered is acceptable, it is the identity.
func choose(accept []string, forms []form) *form {
	best, bestWeight := &forms[len(forms)-1], 0
	if len(accept) == 0 {
		return best
	}
	for i := range forms {
		if w := weight(accept, forms[i].coding); w > bestWeight {
			best, bestWeight = &forms[i], w
		}
	}
	return best
}

// weight is the weight, in thousandths, that the header gives a coding; the empty coding is the identity.
func weight(accept []string, coding string) int {
	// The identity is acceptable unless it is ruled out, but what is named goes before it.
	named, star := -1, -1
	for _, header := range accept {
		for entry := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(entry, ";")
			switch name = strings.TrimSpace(name); {
			case name == "*":
				star = quality(params)
			case strings.EqualFold(name, coding) && coding != "",
				coding == "gzip" && strings.EqualFold(name, "x-gzip"), // section 8.4.1.3: the same
				coding == "" && strings.EqualFold(name, "identity"):
				named = quality(params)
			}
		}
	}
	switch {
	case named >= 0:
		return named
	case coding == "" && star != 0:
		return 1
	case coding != "" && star > 0:
		return star
	}
	return 0
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
	} else if since, ok := date(h, "If-Unmodified-Since"); ok && s.modified.Unix() > since {
		return failed, ""
	}
	// If-Modified-Since counts only where there is no If-None-Match (section 13.1.3), even one that matches nothing.
	if values := h["If-None-Match"]; len(values) > 0 {
		if etag, ok := s.weakMatch(values, sent); ok {
			return notModified, etag
		}
		return send, ""
	}
	if since, ok := date(h, "If-Modified-Since"); ok && s.modified.Unix() <= since {
		return notModified, sent.etag
	}
	return send, ""
}

// date reads a date in any of the three forms of section 5.6.7; what is none is ignored (section 13.1.3). Seconds are all
// that it has.
func date(h http.Header, name string) (unix int64, ok bool) {
	value := h.Get(name)
	if value == "" {
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
			plain := opaque
			if bare, cut := strings.CutSuffix(opaque, `-gzip"`); cut { // Apache marks what it packed
				plain = bare + `"`
			}
			for i := range s.forms {
				if plain == s.forms[i].etag {
					etag, ok = tag, true
				}
			}
		}
	}
	return etag, ok
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
