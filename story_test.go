package zonewire_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"zonewire"
)

// sketches makes those of two bodies of 500 runs each, of which they have this share of all in common.
func sketches(r *rand.Rand, share float64) (a, b zonewire.Sketch) {
	const runs = 500
	common := int(2 * runs * share / (1 + share)) // of the runs of each
	var all [2][]uint32
	for i := range 2*runs - common {
		h := r.Uint32()
		if i < runs {
			all[0] = append(all[0], h)
		}
		if i < common || i >= runs {
			all[1] = append(all[1], h)
		}
	}
	for i, hashes := range all {
		slices.Sort(hashes)
		all[i] = slices.Compact(hashes)[:zonewire.SketchSize]
	}
	return all[0], all[1]
}

func TestKeysFindWhatIsAlikeAndHardlyAnythingElse(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 26))
	const n = 1000
	for _, tt := range []struct {
		share       float64
		least, most float64 // of the pairs have a key in common
	}{
		{1, 1, 1}, {0.98, 0.99, 1}, {0.9, 0.94, 1}, {0.8, 0.84, 0.95}, {0.02, 0, 0.005}, {0, 0, 0.001},
	} {
		found, likeness := 0, 0.0
		for range n {
			a, b := sketches(r, tt.share)
			likeness += a.Likeness(b) / n
			a1, a2 := a.Keys()
			b1, b2 := b.Keys()
			if a1 <= 0 || a2 <= 0 {
				t.Fatalf("keys %d, %d", a1, a2)
			}
			if a1 == b1 || a2 == b2 {
				found++
			}
		}
		if got := float64(found) / n; got < tt.least || got > tt.most {
			t.Errorf("of bodies that share %.2f, %.4f have a key in common; want %.4f to %.4f", tt.share, got, tt.least, tt.most)
		}
		if likeness < tt.share-0.01 || likeness > tt.share+0.01 {
			t.Errorf("bodies that share %.2f have a likeness of %.3f", tt.share, likeness)
		}
	}
	if a, b := (zonewire.Sketch{7}).Keys(); a != 0 || b != 0 {
		t.Errorf("a sketch of one hash has the keys %d, %d", a, b)
	}
}

func TestASketchIsStoredAsItIs(t *testing.T) {
	s, _ := sketches(rand.New(rand.NewPCG(1, 1)), 0.5)
	if got := zonewire.SketchOf(s.Bytes()); !slices.Equal(got, s) {
		t.Errorf("stored and read it is %v, not %v", got, s)
	}
}
