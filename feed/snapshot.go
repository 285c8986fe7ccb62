package feed

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// maxAge is how long a reader may keep a feed, which for some is how often they ask.
const maxAge = 5 * time.Minute

// Header values that are the same for every feed. They are shared between answers: nobody may write into them.
var (
	cacheControl = []string{"public, max-age=" + strconv.Itoa(int(maxAge.Seconds())) + ", stale-while-revalidate=600, stale-if-error=86400"}
	cacheSearch  = []string{"private, max-age=60"}
	cacheOver    = []string{"public, max-age=86400, stale-if-error=604800"}
	cacheStyle   = []string{"public, max-age=86400"}
	cacheDelta   = []string{"no-store, im"}
	varyCoding   = []string{"Accept-Encoding"}
	varyBrowser  = []string{"Accept-Encoding, Sec-Fetch-Dest"}
	cacheBrowser = []string{"private, max-age=" + strconv.Itoa(int(maxAge.Seconds()))}
	browserRules = []string{"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
	browserType  = []string{"application/xml; charset=utf-8"}
	varyDelta    = []string{"A-IM, If-None-Match, Accept-Encoding"}
	manipulation = []string{"feed"}
	unindexed    = []string{"noindex"}
	anyOrigin    = []string{"*"}
	exposed      = []string{"ETag, Last-Modified, Link, IM"}
	noSniff      = []string{"nosniff"}
	styleType    = []string{"text/css; charset=utf-8"}
	listType     = []string{"text/x-opml; charset=utf-8"}
	contentTypes = [places][]string{{RSS.ContentType()}, {Atom.ContentType()}, {JSON.ContentType()}}
)

const allowedMethods = "GET, HEAD, OPTIONS"

// snapshot is one version of one document, ready to be written: every header value is made beforehand. It never changes.
type snapshot struct {
	hash     string    // of the identity bytes, 128 bits in hexadecimal
	modified time.Time // zero: there is no date to tell
	// ahead says that modified lay in the future when the snapshot was made: another replica's clock goes before ours.
	ahead bool
	forms [codings]form

	status       int  // 200, or 226 for a delta
	shown        bool // browsers can show it, by its style sheet
	contentType  []string
	lastModified []string
	link         []string
	cacheControl []string
	vary         []string
	robots       []string
	im           []string
}

// form is a snapshot in one coding.
type form struct {
	etag string // with quotes; strong, so that of each coding is its own (RFC 9110 section 8.8.3.3)
	body []byte

	etagHeader []string
	length     []string
	encoding   []string
}

// hashOf names a version. The ETag, and through the store Last-Modified, hang on nothing else.
func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

// newSnapshot packs a document in every coding. packed is what gzip makes of it, if that is known.
func newSnapshot(c *coder, hash string, body, packed []byte, contentType []string) (*snapshot, error) {
	s := newValidators(hash, contentType)
	for i := range s.forms {
		b := body
		if i == gzipForm && packed != nil {
			b = packed
		} else {
			var err error
			if b, err = c.pack(i, body); err != nil {
				return nil, err
			}
		}
		s.forms[i].body, s.forms[i].length = b, []string{strconv.Itoa(len(b))}
	}
	return s, nil
}

// newValidators is a snapshot without its bytes.
func newValidators(hash string, contentType []string) *snapshot {
	s := &snapshot{hash: hash, status: http.StatusOK, contentType: contentType, cacheControl: cacheControl, vary: varyCoding}
	s.shown = contentType[0] == RSS.ContentType() || contentType[0] == Atom.ContentType()
	for i := range s.forms {
		f := &s.forms[i]
		f.etag = `"` + hash + codingOf[i].mark + `"`
		f.etagHeader = []string{f.etag}
		if i != plainForm {
			f.encoding = []string{codingOf[i].name}
		}
	}
	return s
}

// dated gives it the moment since when it has been served.
func (s *snapshot) dated(modified, now time.Time) *snapshot {
	s.modified, s.ahead = modified, modified.After(now)
	s.lastModified = []string{modified.UTC().Format(http.TimeFormat)}
	return s
}

// linked gives it the Link header: its own address and the hubs that tell of changes.
func (s *snapshot) linked(self string, hubs []string) *snapshot {
	s.link = []string{linkTo(self, hubs)}
	return s
}

// linkTo is the value of a Link header.
func linkTo(self string, hubs []string) string {
	link := "<" + self + `>; rel="self"`
	for _, hub := range hubs {
		link += ", <" + hub + `>; rel="hub"`
	}
	return link
}

// dateSent is the Last-Modified header. It never lies after Date (RFC 9110 section 8.8.2.1): a reader that has a date to
// come would be told for as long that nothing is new.
func (s *snapshot) dateSent(now func() time.Time) []string {
	if s.ahead {
		if t := now(); t.Before(s.modified) {
			return []string{t.UTC().Format(http.TimeFormat)}
		}
	}
	return s.lastModified
}

// size is about what it takes in memory, in bytes.
func (s *snapshot) size() int64 {
	n := int64(2048) // headers
	for i := range s.forms {
		n += int64(len(s.forms[i].body))
	}
	return n
}
