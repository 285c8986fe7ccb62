package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"time"

	"zonewire"
)

const archived = 30 // digests on a list's page

// sent is a digest in a list's archive.
type sent struct {
	zonewire.Digest
	Local time.Time // its slot in the list's time zone
}

// list is a list's page: what it sends, when, the form to get it, and what it sent last.
func (s *server) list(w http.ResponseWriter, r *http.Request) error {
	l, err := s.store.List(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	if !s.mayRead(w, r, l) {
		return errUnknown
	}
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return err
	}
	digests, err := s.store.Digests(r.Context(), l.Slug, archived)
	if err != nil {
		return err
	}
	f := s.frame(r)
	view := struct {
		frame
		List    zonewire.List
		Key     string // opens a private list's digests
		When    string
		Next    time.Time // zero: no next digest
		Zones   []zonewire.Zone
		Digests []sent
		Form    subscribeForm
	}{frame: f, List: l, When: s.when(r, l), Zones: covered(l, zones), Form: s.form(r, f, l, zones)}
	if l.Private {
		view.Key = r.URL.Query().Get("key")
	} else {
		view.Canonical = s.BaseURL + r.URL.Path
	}
	if !l.Paused && !l.NextSlot.IsZero() {
		view.Next = local(l, l.NextSlot)
	}
	for _, d := range digests {
		if hasPage(d, l) {
			view.Digests = append(view.Digests, sent{d, local(l, d.Slot)})
		}
	}
	return s.render(w, r, http.StatusOK, "list.html", view)
}

// covered lists the open zones that a list names, in the usual order; none for a list by province, by city or of all.
func covered(l zonewire.List, zones []zonewire.Zone) []zonewire.Zone {
	var named []zonewire.Zone
	for _, p := range byProvince(zones) {
		for _, z := range p.Zones {
			if slices.Contains(l.ZoneIDs, z.ID) {
				named = append(named, z)
			}
		}
	}
	return named
}

// when says in the reader's language when the list is sent.
func (s *server) when(r *http.Request, l zonewire.List) string {
	if s.Describe == nil {
		return l.Schedule + " (" + l.Timezone + ")"
	}
	locale, _ := localeOf(r)
	return s.Describe(l, locale)
}

// local is the time as the list's readers live it.
func local(l zonewire.List, t time.Time) time.Time {
	loc, err := time.LoadLocation(cmp.Or(l.Timezone, zonewire.DefaultTimezone))
	if err != nil { // this machine lacks the zone that the machine which stored it knew
		loc = zonewire.Shanghai
	}
	return t.In(loc)
}

// hasPage reports whether the digest is one of the list and has anything to show: a skipped one never had, a cancelled
// one was taken back.
func hasPage(d zonewire.Digest, l zonewire.List) bool {
	return d.ListID == l.ID && d.State != zonewire.DigestSkipped && d.State != zonewire.DigestCancelled
}

// mayRead reports whether the reader may know of the list, and keeps what a key opened out of caches and search engines.
func (s *server) mayRead(w http.ResponseWriter, r *http.Request, l zonewire.List) bool {
	if !l.Private {
		return true
	}
	id, ok := s.Secret.OpenToken(zonewire.PurposePrivate, r.URL.Query().Get("key"))
	if !ok || id != l.ID {
		return false
	}
	keepPrivate(w)
	return true
}

func keepPrivate(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "private, no-store")
	w.Header().Set("X-Robots-Tag", "noindex")
}

// digest is a digest as it was sent: the stored page, without a reader's links.
func (s *server) digest(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	d, err := s.store.Digest(r.Context(), id)
	if err != nil {
		return err
	}
	l, err := s.store.List(r.Context(), d.List)
	if err != nil {
		return err
	}
	switch {
	case d.ListID != l.ID: // its list was removed and another has the slug: a private one must not come to light with it
		return errUnknown
	case !s.mayRead(w, r, l), d.State == zonewire.DigestSkipped:
		return errUnknown
	case d.State == zonewire.DigestCancelled:
		return zonewire.ErrGone
	}
	locale, _ := localeOf(r)
	v, err := s.store.WebVariant(r.Context(), d.ID, locale)
	if errors.Is(err, zonewire.ErrNotFound) {
		v, err = s.store.WebVariant(r.Context(), d.ID, l.Locale) // every digest has one in its list's language
	}
	if err != nil {
		return err
	}
	if v.Web == "" {
		return errUnknown
	}
	w.Header().Set("Content-Security-Policy", digestPolicy)
	w.Header().Set("Content-Language", v.Locale)
	s.write(w, r, http.StatusOK, "text/html; charset=utf-8", []byte(v.Web))
	return nil
}
