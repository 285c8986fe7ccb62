package outbox

import (
	"context"
	"errors"
	"slices"
	"testing"

	"zonewire"
)

func TestVariantCacheKeepsTheMostRecent(t *testing.T) {
	var loads []int64
	broken := errors.New("broken")
	c := newVariantCache(2, func(_ context.Context, id int64) (zonewire.Variant, error) {
		loads = append(loads, id)
		if id == 9 && len(loads) == 1 {
			return zonewire.Variant{}, broken
		}
		return zonewire.Variant{ID: id}, nil
	})
	if _, err := c.get(t.Context(), 9); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	for _, id := range []int64{9, 1, 9, 2, 9, 1} { // 2 pushes out 1, as 9 was used since
		if v, err := c.get(t.Context(), id); err != nil || v.ID != id {
			t.Errorf("get %d: %d, %v", id, v.ID, err)
		}
	}
	if want := []int64{9, 9, 1, 2, 1}; !slices.Equal(loads, want) {
		t.Errorf("loads %v, want %v", loads, want)
	}
	if len(c.byID) != 2 || c.order.Len() != 2 {
		t.Errorf("%d kept in the map, %d in order, want 2", len(c.byID), c.order.Len())
	}
}
