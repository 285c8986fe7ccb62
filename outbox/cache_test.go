package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"zonewire"
)

func TestVariantCacheKeepsTheMostRecentWithinItsBytes(t *testing.T) {
	var loads []int64
	broken, unfit := errors.New("broken"), errors.New("unfit")
	load := func(_ context.Context, id int64) (zonewire.Variant, error) {
		loads = append(loads, id)
		if id == 9 && len(loads) == 1 {
			return zonewire.Variant{}, broken
		}
		return zonewire.Variant{ID: id, Mail: zonewire.Mail{Digest: id, Text: []string{strings.Repeat("x", 100_000)}}}, nil
	}
	prepare := func(m zonewire.Mail) (*Prepared, error) {
		if m.Digest == 2 {
			return nil, unfit
		}
		return &Prepared{boundary: fmt.Sprint(m.Digest), text: m.Text}, nil
	}
	c := newVariantCache(250_000, load, prepare)
	if _, err := c.get(t.Context(), 9); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	for _, id := range []int64{9, 1, 9, 2, 3, 9, 2, 1} { // 3 pushes out 1, as 9 was used since; 2 weighs next to nothing
		p, err := c.get(t.Context(), id)
		if err != nil || id != 2 && p.boundary != fmt.Sprint(id) || id == 2 && !errors.Is(p.unfit, unfit) {
			t.Errorf("get %d: %+v, %v", id, p, err)
		}
	}
	if want := []int64{9, 9, 1, 2, 3, 1}; !slices.Equal(loads, want) {
		t.Errorf("loads %v, want %v", loads, want)
	}
	sum := 0
	for e := c.order.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*cached).size
	}
	if len(c.byID) != c.order.Len() || c.used != sum || c.used > c.room {
		t.Errorf("%d kept in the map, %d in order, %d of %d bytes used, %d counted", len(c.byID), c.order.Len(), c.used, c.room, sum)
	}
}
