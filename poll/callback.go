package poll

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"zonewire"
	"zonewire/ingest"
)

// Callback serves /websub/{token}, where hubs verify what we have asked them for, and push (WebSub sections 5.3 and 7). A GET
// changes how a source stands with its hub and nothing else, and only where a request of ours is open.
func (p *Poller) Callback() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(callbackPath+"{token}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch r.Method {
		case http.MethodGet:
			p.intent(w, r)
		case http.MethodPost:
			p.push(w, r)
		default:
			w.Header().Set("Allow", "GET, POST")
			http.Error(w, "a hub calls back by GET or POST", http.StatusMethodNotAllowed)
		}
	})
	return mux
}

// called gives the source that a callback is about. [zonewire.ErrNotFound] if nothing is expected at its address.
func (p *Poller) called(r *http.Request) (zonewire.Source, error) {
	if len(p.options.Secret) == 0 {
		return zonewire.Source{}, zonewire.ErrNotFound
	}
	id, ok := p.options.Secret.OpenToken(zonewire.PurposeWebSub, r.PathValue("token"))
	if !ok {
		return zonewire.Source{}, zonewire.ErrNotFound
	}
	s, err := p.store.SourceByID(r.Context(), id)
	if err == nil && (!s.Removed.IsZero() || !s.State.Polled() || s.Sub.Hub == "") {
		err = zonewire.ErrNotFound
	}
	return s, err
}

// intent answers a hub that asks whether it was really us, or tells us that it refuses.
func (p *Poller) intent(w http.ResponseWriter, r *http.Request) {
	s, err := p.called(r)
	now, query := time.Now(), r.URL.Query()
	var sub zonewire.Subscribed
	challenge := ""
	switch {
	case errors.Is(err, zonewire.ErrNotFound), err == nil && query.Get("hub.topic") != s.Sub.Topic:
		http.Error(w, "nobody has asked for this", http.StatusNotFound)
		return
	case err != nil:
		p.broken(w, "hub not verified", err)
		return
	case query.Get("hub.mode") == "denied":
		sub = denied(s.Sub, strings.Join(strings.Fields(zonewire.CleanText(query.Get("hub.reason"))), " "), now)
		p.log.Warn("hub refuses to push", "source", s.ID, "reason", sub.Denied)
	case query.Get("hub.mode") == "subscribe" && query.Get("hub.challenge") != "" && open(s.Sub, now):
		challenge = query.Get("hub.challenge")
		sub = verified(s.Sub, leaseOf(query), now)
	default:
		http.Error(w, "nobody has asked for this", http.StatusNotFound)
		return
	}
	if err := p.store.SetSubscription(r.Context(), s.ID, sub); err != nil {
		p.broken(w, "hub not verified", err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, challenge)
}

// leaseOf is how long the hub will push; 0 if it does not say.
func leaseOf(query url.Values) time.Duration { return seconds(query.Get("hub.lease_seconds")) }

// push takes in what a hub sends. A push that is not signed as we asked is answered like any other, and dropped: whoever
// forges them learns nothing.
func (p *Poller) push(w http.ResponseWriter, r *http.Request) {
	s, err := p.called(r)
	switch {
	case errors.Is(err, zonewire.ErrNotFound):
		http.Error(w, "nobody wants this any more", http.StatusGone)
		return
	case err != nil:
		p.broken(w, "push not taken", err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "more than 10 MB", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body broke off", http.StatusBadRequest)
		return
	}
	log := p.log.With("source", s.ID)
	if !signed(r.Header.Get("X-Hub-Signature"), p.options.Secret.HubSecret(s.ID, s.Sub.Topic), body) {
		log.Warn("push dropped: it is not signed by its hub")
		w.WriteHeader(http.StatusAccepted)
		return
	}
	now := time.Now()
	look := p.pushed(s, body, charsetOf(r.Header), now)
	// A hub that hangs up has still sent it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), finishIn)
	defer cancel()
	stored, err := p.store.FinishPush(ctx, zonewire.Act{At: now, By: "hub"}, s.ID, look.poll)
	if err != nil {
		p.broken(w, "push not stored", err)
		return
	}
	logStored(log, stored)
	w.WriteHeader(http.StatusAccepted)
}

// pushed reads a document that a hub has sent.
func (p *Poller) pushed(s zonewire.Source, body []byte, charset string, now time.Time) *look {
	w := &look{readers: p.readers, visit: zonewire.Visit{Source: s}, begun: now, poll: zonewire.Poll{Log: zonewire.PollLog{At: now, Bytes: int64(len(body))}}}
	w.note("pushed by its hub")
	doc, err := w.readers.feed(body, ingest.Options{Now: now, Zone: s.Zone, URL: s.URL, HTTPCharset: charset, Charset: s.Charset})
	if err != nil {
		w.note("no feed that can be read: %s", oneLine(err))
	}
	w.poll.Log.Items = len(doc.Items) + doc.Left
	w.take(doc.Items, now)
	w.close()
	return w
}

// broken answers for a failure of ours: the hub tries again.
func (p *Poller) broken(w http.ResponseWriter, what string, err error) {
	if p.seldom.Fails(what, err, time.Now()) {
		p.log.Error(what, "err", err)
	}
	w.Header().Set("Retry-After", "60")
	http.Error(w, "this failed here; try again later", http.StatusServiceUnavailable)
}

// signed reports whether a signature, such as "sha256=…", is the HMAC of a body. sha1 is still what some hubs sign with, and
// an HMAC does not rest on what is broken in it.
func signed(signature, secret string, body []byte) bool {
	method, given, _ := strings.Cut(signature, "=")
	made, ok := map[string]func() hash.Hash{
		"sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}[strings.ToLower(strings.TrimSpace(method))]
	sum, err := hex.DecodeString(strings.TrimSpace(given))
	if !ok || err != nil {
		return false
	}
	h := hmac.New(made, []byte(secret))
	h.Write(body)
	return hmac.Equal(sum, h.Sum(nil))
}

// logStored says how many articles came in, if any did.
func logStored(log *slog.Logger, stored []zonewire.Stored) {
	if added, _, _ := zonewire.Tally(stored); added > 0 {
		log.Info("articles came in", "added", added, "read", len(stored))
	}
}
