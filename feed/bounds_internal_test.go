package feed

import (
	"fmt"
	"testing"
	"time"
)

// What strangers make up has no end: whatever is remembered of it has one.
func TestWhatStrangersMakeUpIsBounded(t *testing.T) {
	table := &zoneTable{elsewhere: map[string]string{}}
	var c counters
	now := time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC)
	for i := range 3 * maxClaims {
		table.remember(fmt.Sprintf("made-up-%d", i), "")
		c.claims.note(claimKey{zone: int64(i), format: RSS, reader: otherReader}, 1, now)
		if n := len(table.elsewhere); n > maxElsewhere {
			t.Fatalf("%d slugs are remembered", n)
		}
		if n := len(c.claims.of); n > maxClaims {
			t.Fatalf("%d claims are remembered", n)
		}
	}
	c.claims.note(claimKey{zone: 0, format: RSS, reader: otherReader}, 2, now)
	if got := c.claims.of[claimKey{0, RSS, otherReader}].subscribers; got != 2 {
		t.Errorf("a claim that is known says %d still", got)
	}
	late := now.Add(claimLasts + time.Second)
	c.claims.note(claimKey{zone: -1, format: RSS, reader: otherReader}, 1, late)
	if n := len(c.claims.of); n != 1 {
		t.Errorf("when all are old, %d are kept", n)
	}
}
