package web

import (
	"errors"
	"net/http"

	"zonewire"
)

// act is the page of a link that a mail carries: what it would do, or what it did.
type act struct {
	frame
	List zonewire.List
	When string
	Done bool // nothing is left to press
	Open bool // the list has a page that anyone may see
}

// unsubscribe asks on GET and acts on POST. Mailbox providers POST here on their own (RFC 8058 section 3.2), the page's
// button does too. The token in the path says all, so the body is not read: urlencoded, multipart or empty, it is the
// same. A second POST answers as the first did.
func (s *server) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	keepPrivate(w)
	id, ok := s.Secret.OpenToken(zonewire.PurposeUnsubscribe, r.PathValue("token"))
	if !ok {
		return errToken
	}
	sub, list, err := s.subscription(r, id)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		if sub, err = s.store.Unsubscribe(r.Context(), s.byPage(), id); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusOK, "unsubscribe.html", s.act(r, list, sub.State == zonewire.SubUnsubscribed))
}

// confirm asks on GET and acts on POST. Only a pending subscription is confirmed: the link in an old mail brings
// nobody back who left, paused or bounced since.
func (s *server) confirm(w http.ResponseWriter, r *http.Request) error {
	keepPrivate(w)
	id, ok := s.Secret.OpenToken(zonewire.PurposeConfirm, r.PathValue("token"))
	if !ok {
		return errToken
	}
	sub, list, err := s.subscription(r, id)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost && sub.State == zonewire.SubPending {
		if sub, err = s.store.Confirm(r.Context(), s.byPage(), id); err != nil {
			return err
		}
	}
	if sub.State != zonewire.SubPending && sub.State != zonewire.SubActive {
		return errStale
	}
	return s.render(w, r, http.StatusOK, "confirm.html", s.act(r, list, sub.State == zonewire.SubActive))
}

// subscription finds the one that a good token names; if it is no more, the person was erased and gets no mail.
func (s *server) subscription(r *http.Request, id int64) (zonewire.Subscription, zonewire.List, error) {
	sub, list, err := s.store.Subscription(r.Context(), id)
	if errors.Is(err, zonewire.ErrNotFound) || errors.Is(err, zonewire.ErrGone) {
		err = errEnded
	}
	return sub, list, err
}

func (s *server) act(r *http.Request, l zonewire.List, done bool) act {
	return act{frame: s.frame(r), List: l, When: s.when(r, l), Done: done, Open: !l.Private && l.Removed.IsZero()}
}

func (s *server) byPage() zonewire.Act { return zonewire.Act{At: s.Now(), By: "page"} }
