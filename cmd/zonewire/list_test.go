package main

import (
	"testing"
	"time"

	"zonewire"
)

func TestResumingAListWaitsForItsNextSlot(t *testing.T) {
	missed := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	now := time.Date(2026, 11, 24, 1, 30, 0, 0, time.UTC) // 09:30 in Shanghai
	for _, c := range []struct {
		name   string
		paused bool
		want   time.Time
	}{
		{"a paused list skips what passed in the pause", true, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)},
		{"a list that runs keeps the slot that is due", false, missed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := zonewire.List{Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", Paused: c.paused, NextSlot: missed}
			if err := resumeList(&l, now, nil); err != nil {
				t.Fatal(err)
			}
			if l.Paused || !l.NextSlot.Equal(c.want) {
				t.Errorf("paused %v, next slot %v; want %v", l.Paused, l.NextSlot, c.want)
			}
		})
	}
}
