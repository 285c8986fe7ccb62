package feed

import (
	"context"
	"fmt"
	"slices"
	"time"

	"zonewire"
)

// archivePart is how many arrivals one archive document holds at most, withdrawn ones counted: what stands in a part must
// not move into another.
const archivePart = 100

// partsOf is in how many parts a month's arrivals lie. An empty month has one.
func partsOf(articles int) int { return max(1, (articles+archivePart-1)/archivePart) }

// lastArchive is the address of the newest archive before a month, empty if there is none. It is the last part of a month
// that is over, in which something arrived.
func (s *Server) lastArchive(slug string, arrivals []zonewire.ArrivedIn, before zonewire.Month) string {
	for _, a := range slices.Backward(arrivals) {
		if a.Month < before && a.Articles > 0 {
			return s.site.BaseURL + ArchivePath(slug, a.Month, partsOf(a.Articles))
		}
	}
	return ""
}

// archiveName names an archive in the store: "zone/7/2026-11.atom", its second part "zone/7/2026-11-2.atom".
func archiveName(zone int64, m zonewire.Month, part int) string {
	if part > 1 {
		return fmt.Sprintf("zone/%d/%s-%d.atom", zone, m, part)
	}
	return fmt.Sprintf("zone/%d/%s.atom", zone, m)
}

// archive gives a part, counted from 1, of what arrived in a zone in a month (RFC 5005 section 4). It fails as
// [zonewire.ErrNotFound] for a month before the zone's first arrival or to come, and for a part that there is not.
func (s *Server) archive(ctx context.Context, zone int64, m zonewire.Month, part int) (*served, error) {
	k := key{kind: archiveCell, zone: zone, month: m, part: part}
	return s.load(ctx, k, nil, func(ctx context.Context, old *served) (x *served, err error) {
		err = notOvertaken(func() error {
			x, err = s.fillArchive(ctx, zone, m, part, old)
			return err
		})
		return x, err
	})
}

func (s *Server) fillArchive(ctx context.Context, zone int64, m zonewire.Month, part int, old *served) (*served, error) {
	now := time.Now()
	of, t, err := s.counters(ctx)
	if err != nil {
		return nil, err
	}
	z := t.byID[zone]
	if err := z.open(); err != nil {
		return nil, err
	}
	arrivals, err := s.src.Arrivals(ctx, zone)
	if err != nil {
		return nil, fmt.Errorf("read months of zone %s: %w", z.Slug, err)
	}
	present := zonewire.MonthOf(now)
	if len(arrivals) == 0 || m < arrivals[0].Month || m > present {
		return nil, zonewire.ErrNotFound
	}
	heads, err := s.src.ArrivedHeads(ctx, zone, m)
	if err != nil {
		return nil, fmt.Errorf("read archive %s of zone %s: %w", m, z.Slug, err)
	}
	parts := partsOf(len(heads))
	if part > parts {
		return nil, zonewire.ErrNotFound
	}
	heads = heads[(part-1)*archivePart : min(part*archivePart, len(heads))]
	doc := Document{Zone: &z.Zone, Month: m, Part: part, Parts: parts, Over: m < present}
	if part == 1 {
		doc.Prev = s.lastArchive(z.Slug, arrivals, m)
	}
	state := s.archiveState(doc, heads, z.state)
	if old != nil && old.state == state && old.failed == nil {
		return old, nil
	}
	done, err := s.settle(ctx, making{
		names:  []string{archiveName(zone, m, part)},
		state:  state,
		of:     of,
		render: func(ctx context.Context) ([]rendered, error) { return s.renderArchive(ctx, doc, heads) },
	}, now)
	if err != nil {
		return nil, err
	}
	self := s.site.BaseURL + ArchivePath(z.Slug, m, part)
	x, err := s.single(ctx, done, atomPlace, contentTypes[atomPlace], self, now)
	if err != nil {
		return nil, err
	}
	if doc.Over {
		x.snaps[atomPlace].cacheControl = cacheOver
	} else {
		x.until = earlier(x.until, m.Next().Start())
	}
	return x, nil
}

// archiveState names what an archive is made of. Readers keep the archive of a month that is over for good, so that
// nothing changes it but what has left: not a correction, which the feed brings again, nor a zone's new name.
func (s *Server) archiveState(doc Document, heads []zonewire.Head, zone string) string {
	type head struct{ ID, Change int64 }
	var stand []head
	for _, h := range heads {
		switch {
		case h.Withdrawn:
		case doc.Over:
			stand = append(stand, head{ID: h.ID})
		default:
			stand = append(stand, head{h.ID, h.Change})
		}
	}
	if doc.Over {
		return stateOf("archive", doc.Zone.Slug, doc.Part, doc.Parts, doc.Prev, stand)
	}
	return stateOf("month", s.site, zone, doc.Part, doc.Parts, doc.Prev, stand)
}

// renderArchive renders an archive, its newest arrival first.
func (s *Server) renderArchive(ctx context.Context, doc Document, heads []zonewire.Head) ([]rendered, error) {
	var ids []int64
	for _, h := range slices.Backward(heads) {
		if !h.Withdrawn {
			ids = append(ids, h.ID)
		}
	}
	read, err := s.articles(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if a, ok := read[id]; ok && a.ZoneID == doc.Zone.ID {
			doc.Articles = append(doc.Articles, a)
		}
	}
	r, err := renderOne(s.site, Atom, doc, nil)
	return []rendered{r}, err
}

// single makes a set of one recorded document.
func (s *Server) single(ctx context.Context, done made, place int, contentType []string, self string, now time.Time) (*served, error) {
	v := done.versions[0]
	x := &served{state: done.state, failed: done.failed}
	if s.recording.Is(done.failed); done.failed != nil {
		x.until = now.Add(recordAgain)
	}
	snap, err := newSnapshot(&s.coder, v.meta.Hash, v.doc.body, v.meta.Body, contentType)
	if err != nil {
		return nil, err
	}
	x.snaps[place] = snap.dated(v.meta.Modified, now).linked(self, nil)
	return x, nil
}
