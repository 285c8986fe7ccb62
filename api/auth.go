package api

import (
	"errors"
	"net/http"
	"strings"

	"zonewire"
)

// admit finds whose token a request carries: as Bearer (RFC 6750), as the password of Basic, which is what WordPress and its
// like can send, or, if that is switched on, in the address.
func (h *handler) admit(c *call) error {
	token, detail := h.token(c.Request)
	if token == "" {
		return unauthorized("", detail)
	}
	var err error
	c.key, err = h.store.KeyByToken(c.Context(), token, c.now)
	if errors.Is(err, zonewire.ErrNotFound) {
		return unauthorized(`, error="invalid_token"`, "the token is not known, or its key was revoked")
	}
	return err
}

// token gives the token of a request, or what to say when there is none.
func (h *handler) token(r *http.Request) (token, detail string) {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest), "the Authorization header holds no token"
	}
	if _, password, ok := r.BasicAuth(); ok {
		return strings.TrimSpace(password), "the password must be the token"
	}
	inQuery := r.URL.Query().Get("token")
	switch {
	case h.QueryToken:
		return strings.TrimSpace(inQuery), "send the token as Authorization: Bearer, or as token in the address"
	case inQuery != "":
		return "", "a token in the address is not taken here; send it as Authorization: Bearer"
	}
	return "", "send the token as Authorization: Bearer"
}

func unauthorized(params, detail string) *problem {
	p := problemf(http.StatusUnauthorized, "%s", detail)
	p.header = http.Header{"Www-Authenticate": {`Bearer realm="zonewire"` + params}}
	return p
}

// onlyUnbound keeps what concerns every zone from keys that are bound to some.
func (c *call) onlyUnbound(what string) error {
	if len(c.key.Zones) > 0 {
		return problemf(http.StatusForbidden, "this key is bound to %s, and %s concern every zone", strings.Join(c.key.Slugs, ", "), what)
	}
	return nil
}
