package zonewire

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// KeyPrefix begins every token of the API, so that scanners for leaked secrets know one.
const KeyPrefix = "zw_"

// APIKey lets a publisher push. Its token is shown once, when it is made; only its hash is kept.
type APIKey struct {
	ID      int64
	Name    string
	Zones   []int64 // what it may change, sorted; empty = every zone
	Slugs   []string
	Created time.Time
	Used    time.Time // zero: never; exact to the minute
	Revoked time.Time // zero while it stands
}

// May reports whether the key may change articles of the zone; 0 is the zone of those that wait for one.
func (k APIKey) May(zone int64) bool { return len(k.Zones) == 0 || slices.Contains(k.Zones, zone) }

// NewKeyToken makes a token of random bytes, of which there should be 20.
func NewKeyToken(random []byte) string { return KeyPrefix + tokenText.EncodeToString(random) }

// HashKeyToken is what is stored of a token. It needs no salt and no slowness: the token is 160 random bits.
func HashKeyToken(token string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return hex.EncodeToString(sum[:])
}

// StoredAnswer is an answer of the API that is given again to a request that is repeated with the same Idempotency-Key.
type StoredAnswer struct {
	Status int
	Type   string // Content-Type
	Body   []byte
}

// Push says what a push may touch.
type Push struct {
	Only     []int64 // zones; empty = all
	IfChange int64   // the article must be at this change, or the push is refused as stale; 0 = whatever it is
	IfNew    bool    // the article must not be known yet, or the push is refused as stale
}
