package web

import (
	"crypto/sha256"
	_ "embed"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"zonewire"
)

// Proof of work, if the operator wants it: a form that mails something is answered by a page whose script looks for a
// number, which takes a browser a second and a flood of forms days. It asks nobody else and keeps nothing. Without a
// script the page's button does the same after a wait that is about as long. Each stamp serves one form.
const (
	purposeStamp  zonewire.Purpose = "stamp" // id = when it was made, in microseconds
	stampFor                       = 15 * time.Minute
	hashesASecond                  = 100_000 // of a slow browser: how long the wait is
	mostBits                       = 22      // more would be minutes
	workPolicy                     = policy + "; script-src 'self'"
)

//go:embed work.js
var workScript []byte

var workURL = "/work.js?v=" + hash(workScript)

// stamps remembers those that have served for as long as they would be good, in two generations: the older is dropped
// whole, so that a flood costs no sweep.
type stamps struct {
	mu       sync.Mutex
	now, was map[int64]bool
	turned   time.Time // when now began
	last     int64
}

// next is a stamp that nobody has had, made at now.
func (st *stamps) next(now time.Time) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.last = max(st.last+1, now.UnixMicro())
	return st.last
}

// spend uses a stamp up; false if it was used before.
func (st *stamps) spend(id int64, now time.Time) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.now == nil || now.Sub(st.turned) >= stampFor {
		st.now, st.was, st.turned = map[int64]bool{}, st.now, now
	}
	if st.now[id] || st.was[id] {
		return false
	}
	st.now[id] = true
	return true
}

func age(stamp int64, now time.Time) time.Duration { return now.Sub(time.UnixMicro(stamp)) }

// zeros counts the zero bits that the hash of a stamp, an address and the number found begins with.
func zeros(stamp, address, number string) int {
	n := 0
	for _, b := range sha256.Sum256([]byte(stamp + "\n" + address + "\n" + number)) {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}

// hidden is a field that a form carries on.
type hidden struct{ Name, Value string }

// worked reports whether the posted form has its proof, or has waited. If not, the answer is written: the page that
// works for it, with all that was posted.
func (s *server) worked(w http.ResponseWriter, r *http.Request, f frame, action string) (bool, error) {
	want := min(s.ProofOfWork, mostBits)
	if want <= 0 {
		return true, nil
	}
	now := s.Now()
	wait := (time.Duration(1<<want) * time.Second / hashesASecond).Truncate(time.Second) + time.Second
	typed := typedAddress(r)
	stamp := r.PostForm.Get("stamp")
	id, ok := s.Secret.OpenToken(purposeStamp, stamp)
	if ok = ok && age(id, now) >= 0 && age(id, now) < stampFor; ok {
		if age(id, now) >= wait || zeros(stamp, typed, r.PostForm.Get("proof")) >= want {
			if s.stamps.spend(id, now) {
				return true, nil
			}
			ok = false
		}
	}
	if !ok {
		id = s.stamps.next(now)
		stamp = s.Secret.Token(purposeStamp, id)
	}
	view := struct {
		frame
		Action, Script, Stamp, Typed string
		Bits, Seconds                int
		Fields                       []hidden
	}{frame: f, Action: action, Script: workURL, Stamp: stamp, Typed: typed, Bits: want, Fields: carried(r.PostForm)}
	view.Seconds = int((wait - age(id, now) + time.Second - 1) / time.Second)
	w.Header().Set("Content-Security-Policy", workPolicy)
	return false, s.render(w, r, http.StatusOK, "work.html", view)
}

// carried are the fields of the form as they were posted, but for those of the work itself.
func carried(form url.Values) []hidden {
	var fields []hidden
	for name, values := range form {
		if name == "stamp" || name == "proof" {
			continue
		}
		for _, v := range values {
			fields = append(fields, hidden{name, v})
		}
	}
	slices.SortStableFunc(fields, func(a, b hidden) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func (s *server) workScript(w http.ResponseWriter, r *http.Request) error {
	if r.URL.RequestURI() == workURL {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Del("Vary")
	s.write(w, r, http.StatusOK, "text/javascript; charset=utf-8", workScript)
	return nil
}
