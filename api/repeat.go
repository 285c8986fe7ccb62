package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"zonewire"
)

const idempotencyKey = "Idempotency-Key"

// keepIn bounds an answer and the keeping of it, once a request has begun.
const keepIn = 30 * time.Second

// once answers a request that carries an Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header-07): the first is
// answered and the answer kept for a day, a repeat gets it again. What failed by our fault is forgotten and may be tried
// again.
func (h *handler) once(c *call) (answer, error) {
	name := c.Header.Get(idempotencyKey)
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if name == "" || len(name) > maxIdempotent || strings.ContainsFunc(name, unprintable) || len(c.Header.Values(idempotencyKey)) > 1 {
		return answer{}, problemf(http.StatusBadRequest, "%s must be one value of 1 to %d letters, digits and signs of ASCII", idempotencyKey, maxIdempotent)
	}
	again, err := h.store.BeginAnswer(c.Context(), c.key.ID, name, c.fingerprint(), c.now)
	switch {
	case errors.Is(err, zonewire.ErrBusy):
		p := problemf(http.StatusConflict, "the first request with this %s is not answered yet", idempotencyKey)
		p.header = http.Header{"Retry-After": {retryAfter}}
		return answer{}, p
	case errors.Is(err, zonewire.ErrExists):
		return answer{}, problemf(http.StatusUnprocessableEntity, "this %s was used for another request", idempotencyKey)
	case err != nil:
		return answer{}, err
	case again != nil:
		return answer{status: again.Status, kind: again.Type, body: again.Body, header: http.Header{"Idempotency-Replayed": {"true"}}}, nil
	}

	// From here on the client may hang up, and the name must not stay taken.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), keepIn)
	defer cancel()
	kept := false
	defer func() {
		if kept {
			return
		}
		if err := h.store.DropAnswer(ctx, c.key.ID, name); err != nil {
			h.Log.Error("api answer not dropped", "key", c.key.Name, "err", err) // it lapses by itself
		}
	}()
	a, err := c.route.serve(h, c)
	if err != nil {
		a = h.failure(c, err)
	}
	if a.outcome() >= http.StatusInternalServerError || a.partial {
		return a, nil
	}
	err = h.store.FinishAnswer(ctx, c.key.ID, name, zonewire.StoredAnswer{Status: a.status, Type: a.kind, Body: a.body}, h.Now())
	if err != nil { // what was asked is done: a repeat does it again, which changes nothing
		h.Log.Error("api answer not kept", "key", c.key.Name, "err", err)
	}
	kept = err == nil
	return a, nil
}

// fingerprint tells whether two requests ask the same.
func (c *call) fingerprint() string {
	query := c.URL.Query()
	query.Del("token")
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n", c.Method, c.route.path, query.Encode(), c.Header.Get("Content-Type"))
	sum.Write(c.body)
	return hex.EncodeToString(sum.Sum(nil))
}
