package feed

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"zonewire"
)

// Deltas (RFC 3229 with the instance manipulation "feed"): a reader that has an earlier version is sent a complete document
// with the entries that are new or changed since. They are cut out of the bytes, without the store and without rendering.

// base finds an earlier version that can be told from. There is none if nobody remembers it, if the feed has said
// something else of itself since, if an article has left that this format cannot tell of, or if every article is newer: then
// the whole document says as much, and perhaps more is new than it holds.
func (v *version) base(hash string) (zonewire.FeedBase, bool) {
	i := slices.IndexFunc(v.meta.Bases, func(b zonewire.FeedBase) bool { return b.Hash == hash })
	if i < 0 || hash == v.meta.Hash {
		return zonewire.FeedBase{}, false
	}
	b := v.meta.Bases[i]
	if b.Channel != v.doc.channel || v.meta.Gone > b.Change {
		return zonewire.FeedBase{}, false
	}
	return b, slices.ContainsFunc(v.doc.layout, func(p piece) bool { return !p.Gone && p.Change <= b.Change })
}

// since is a complete document with what is new since a base.
func (v *version) since(f Format, base zonewire.FeedBase) []byte {
	return cut(f, v.doc, func(p piece) bool { return p.Change > base.Change })
}

// asked finds the version that a request wants to be told from: of those that it has, the earliest, for what is new since
// then holds what is new since the others. There is none for a request that has the present version.
func (v *version) asked(h http.Header) (base zonewire.FeedBase, ok bool) {
	if !manipulated(h["A-Im"]) || unaware(h.Get("User-Agent")) {
		return base, false
	}
	for _, list := range h["If-None-Match"] {
		for tag, opaque := range tags(list) {
			hash := versionNamed(opaque)
			if tag == "*" || hash == v.meta.Hash {
				return zonewire.FeedBase{}, false
			}
			if b, known := v.base(hash); known && (!ok || b.Change < base.Change) {
				base, ok = b, true
			}
		}
	}
	return base, ok
}

// unaware reports whether a program asks for deltas without knowing it: the library in it, feedparser, always asks.
// rss2email gives itself out for the library, or by its name, takes 226 for an error, and would read nothing any more.
func unaware(agent string) bool {
	return strings.HasPrefix(agent, "feedparser/") || strings.HasPrefix(agent, "rss2email/")
}

// manipulated reports whether A-IM (RFC 3229 section 10.5.3) takes "feed". What else it takes we do not have.
func manipulated(accept []string) bool {
	for _, header := range accept {
		for entry := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(name), "feed") && quality(params) > 0 {
				return true
			}
		}
	}
	return false
}

// delta gives the answer to a request that has the base. It is kept like a view: many readers have the same version.
func (s *Server) delta(ctx context.Context, zone int64, f Format, x *served, base zonewire.FeedBase) (*snapshot, error) {
	place, _ := f.place()
	v, full := &x.versions[place], x.snaps[place]
	k := key{kind: deltaCell, zone: zone, format: f, rest: base.Hash + full.hash}
	found, err := s.load(ctx, k, nil, func(context.Context, *served) (*served, error) {
		snap, err := newSnapshot(&s.coder, full.hash, v.since(f, base), nil, full.contentType)
		if err != nil {
			return nil, err
		}
		snap.dated(full.modified, time.Now())
		snap.link, snap.cacheControl, snap.vary, snap.im = full.link, cacheDelta, varyDelta, manipulation
		snap.status = http.StatusIMUsed
		only := &served{}
		only.snaps[place] = snap
		return only, nil
	})
	if err != nil {
		return nil, err
	}
	return found.snaps[place], nil
}
