package feed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxAge is how long a reader may keep a feed, which for some is how often they ask.
const maxAge = 5 * time.Minute

// Header values that are the same for every feed. They are shared between answers: nobody may write into them.
var (
	cacheControl = []string{"public, max-age=" + strconv.Itoa(int(maxAge.Seconds())) + ", stale-while-revalidate=600, stale-if-error=86400"}
	varyCoding   = []string{"Accept-Encoding"}
	anyOrigin    = []string{"*"}
	exposed      = []string{"ETag, Last-Modified, Link"}
	noSniff      = []string{"nosniff"}
)

// snapshot is one version of one feed in one format, ready to be written: every header value is made beforehand. It
// never changes.
type snapshot struct {
	hash     string // of the identity bytes, 128 bits in hexadecimal
	modified time.Time
	forms    []form // in the server's order of preference; the last is the identity

	contentType  []string
	lastModified []string
	link         []string
}

// form is a snapshot in one coding.
type form struct {
	coding string // "gzip"; empty for the identity
	etag   string // with quotes; strong, so that of each coding is its own (RFC 9110 section 8.8.3.3)
	body   []byte

	etagHeader []string
	length     []string
	encoding   []string
}

// snapshots is a feed in every format.
type snapshots [places]*snapshot

// modified is when the newest of them came to be.
func (s *snapshots) modified() time.Time {
	var t time.Time
	for _, snap := range s {
		if snap.modified.After(t) {
			t = snap.modified
		}
	}
	return t
}

// hashOf names a version. The ETag, and through the store Last-Modified, hang on nothing else.
func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

func newSnapshot(body []byte, hash string, modified time.Time, f Format, self string, hubs []string) (*snapshot, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress feed: %w", err)
	}
	link := "<" + self + `>; rel="self"`
	for _, hub := range hubs {
		link += ", <" + hub + `>; rel="hub"`
	}
	return &snapshot{
		hash:         hash,
		modified:     modified,
		forms:        []form{newForm("gzip", hash+"-gz", packed.Bytes()), newForm("", hash, body)},
		contentType:  []string{f.ContentType()},
		lastModified: []string{modified.UTC().Format(http.TimeFormat)},
		link:         []string{link},
	}, nil
}

func newForm(coding, tag string, body []byte) form {
	f := form{coding: coding, etag: `"` + tag + `"`, body: body, length: []string{strconv.Itoa(len(body))}}
	f.etagHeader = []string{f.etag}
	if coding != "" {
		f.encoding = []string{coding}
	}
	return f
}
