package feed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"zonewire"
)

// File is a document as it is served, to be written where a static server finds it.
type File struct {
	Path     string            // of the address, without its first slash
	Body     []byte            // nobody may write into it
	Codings  map[string][]byte // by extension: ".gz", ".br", ".zst"
	Modified time.Time         // as Last-Modified says it; zero = there is none
}

// Files gives every feed of an open zone, every archive, the list of feeds and the style sheet: what readers are sent, byte
// for byte. Versions that nobody has asked for yet are recorded as if somebody had. Views are not among them, for they
// have no end; a static server passes what asks for one on. It stops with the first error, and yield's passes.
func (s *Server) Files(ctx context.Context, yield func(File) error) error {
	t, err := s.loadZones(ctx, s.zones.Load())
	if err != nil {
		return err
	}
	if err := s.feedFiles(ctx, zoneEntry{}, yield); err != nil {
		return err
	}
	for _, slug := range slices.Sorted(maps.Keys(t.bySlug)) {
		z := t.byID[t.bySlug[slug]]
		if z.open() != nil {
			continue
		}
		if err := s.feedFiles(ctx, z, yield); err != nil {
			return err
		}
		if err := s.archiveFiles(ctx, z, yield); err != nil {
			return err
		}
	}
	x, err := s.fillList(ctx, nil)
	if err != nil {
		return err
	}
	if err := yield(fileOf(ListPath, x.only())); err != nil {
		return err
	}
	if x, err = s.style(ctx); err != nil {
		return err
	}
	return yield(fileOf(StylesheetPath, x.only()))
}

func (s *Server) feedFiles(ctx context.Context, z zoneEntry, yield func(File) error) error {
	x, fresh, err := s.current(ctx, z.ID, nil, false)
	if err != nil {
		return err
	}
	if fresh {
		s.changed()
	}
	if err := s.pack(x, nil, z.Slug, time.Now(), rssPlace, atomPlace, jsonPlace); err != nil {
		return err
	}
	for place, f := range Formats() {
		if err := yield(fileOf(Path(z.Slug, f), x.snaps[place])); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) archiveFiles(ctx context.Context, z zoneEntry, yield func(File) error) error {
	arrivals, err := s.src.Arrivals(ctx, z.ID)
	if err != nil {
		return fmt.Errorf("read months of zone %s: %w", z.Slug, err)
	}
	if len(arrivals) == 0 {
		return nil
	}
	parts := map[zonewire.Month]int{}
	for _, a := range arrivals {
		parts[a.Month] = partsOf(a.Articles)
	}
	for m := arrivals[0].Month; m <= zonewire.MonthOf(time.Now()); m = m.Next() {
		for part := 1; part <= max(1, parts[m]); part++ {
			x, err := s.fillArchive(ctx, z.ID, m, part, nil)
			if err != nil {
				return err
			}
			if err := yield(fileOf(ArchivePath(z.Slug, m, part), x.only())); err != nil {
				return err
			}
		}
	}
	return nil
}

func fileOf(path string, snap *snapshot) File {
	f := File{Path: strings.TrimPrefix(path, "/"), Body: snap.forms[plainForm].body, Codings: map[string][]byte{}, Modified: snap.modified}
	for i, c := range codingOf[:plainForm] {
		f.Codings[c.extension] = snap.forms[i].body
	}
	return f
}
