package feed

import (
	"context"
	"net/http"
	"time"
)

// ListPath is where every feed is listed, by province.
const ListPath = "/zones.opml"

const listName = "zones.opml" // in the store

// list gives the OPML of all feeds.
func (s *Server) list(ctx context.Context) (*served, error) {
	return s.load(ctx, key{kind: listCell}, nil, func(ctx context.Context, old *served) (x *served, err error) {
		err = notOvertaken(func() error {
			x, err = s.fillList(ctx, old)
			return err
		})
		return x, err
	})
}

func (s *Server) fillList(ctx context.Context, old *served) (*served, error) {
	now := time.Now()
	of, t, err := s.counters(ctx)
	if err != nil {
		return nil, err
	}
	state := stateOf("list", s.site, t.state)
	if old != nil && old.state == state && old.failed == nil {
		return old, nil
	}
	done, err := s.settle(ctx, making{
		names: []string{listName},
		state: state,
		of:    of,
		render: func(context.Context) ([]rendered, error) {
			return []rendered{{body: RenderOPML(s.site, t.zones())}}, nil
		},
	}, now)
	if err != nil {
		return nil, err
	}
	return s.single(ctx, done, 0, listType, s.site.BaseURL+ListPath, now)
}

// style gives the style sheet. It comes with the program, so that no moment is known since when it is what it is.
func (s *Server) style(ctx context.Context) (*served, error) {
	return s.load(ctx, key{kind: styleCell}, nil, func(context.Context, *served) (*served, error) {
		snap, err := newSnapshot(&s.coder, hashOf(Stylesheet), Stylesheet, nil, styleType)
		if err != nil {
			return nil, err
		}
		snap.cacheControl = cacheStyle
		return &served{snaps: [places]*snapshot{snap}}, nil
	})
}

// isFeed reports whether it is a feed in every format, not one document.
func (x *served) isFeed() bool { return x.versions[0].meta.Hash != "" }

// only is the snapshot of a set that has one.
func (x *served) only() *snapshot {
	for _, snap := range x.snaps {
		if snap != nil {
			return snap
		}
	}
	return &snapshot{status: http.StatusNotFound}
}
