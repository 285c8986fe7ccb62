package feed

import "context"

// Refresh brings one feed to the present state of the store, as Run does, without waiting for the next second.
func Refresh(ctx context.Context, s *Server, zone int64) error {
	c := s.cellOf(key{zone: zone})
	old := c.set.Load()
	next, _, err := s.current(ctx, zone, old, false)
	if err != nil {
		return err
	}
	c.set.Store(next)
	return s.pack(next, old, s.slugOf(zone), old.until)
}
