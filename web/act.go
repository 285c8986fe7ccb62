package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"zonewire"
)

// act is the page of a link that a mail carries: what it would do, or what it did.
type act struct {
	frame
	List   zonewire.List
	When   string
	Done   bool            // nothing is left to press
	Open   bool            // the list has a page that anyone may see
	Key    string          // opens a private list to who has a place on it; empty: nothing to open, or not for them
	Zones  []zonewire.Zone // that were picked; none = all of the list
	Tongue string          // that was picked; empty: that of the list
	Undo   string          // the path that takes it back; empty: it cannot be
}

// unsubscribe asks on GET and acts on POST. Mailbox providers POST here on their own (RFC 8058 section 3.2), the page's
// button does too. The token in the path says all, so the body is not read: urlencoded, multipart or empty, it is the
// same. A second POST answers as the first did, without the way back. Whoever was forwarded a digest gets this far and
// no further, so the page names neither the person nor their other lists.
func (s *server) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	personal(w)
	id, ok := s.Secret.OpenToken(zonewire.PurposeUnsubscribe, r.PathValue("token"))
	if !ok {
		return errToken
	}
	sub, list, err := s.subscription(r, id)
	if err != nil {
		return err
	}
	undo := int64(0)
	if r.Method == http.MethodPost {
		if sub, undo, err = s.store.Leave(r.Context(), s.byPage(), id); err != nil {
			return ended(err)
		}
	}
	view := s.act(r, list, sub.State == zonewire.SubUnsubscribed)
	if undo != 0 {
		view.Undo = view.address("/undo/"+s.Secret.Token(zonewire.PurposeUndo, undo), url.Values{})
	}
	return s.render(w, r, http.StatusOK, "unsubscribe.html", view)
}

// undo takes back having left: it asks on GET and acts on POST, once.
func (s *server) undo(w http.ResponseWriter, r *http.Request) error {
	personal(w)
	ticket, list, err := s.ticket(r, zonewire.PurposeUndo)
	if err != nil {
		return s.expired(w, r, err, list)
	}
	back := !ticket.Used.IsZero()
	if r.Method == http.MethodPost && !back {
		if _, err := s.store.UndoLeave(r.Context(), s.byPage(), ticket.ID); err != nil {
			return s.expired(w, r, err, list)
		}
		back = true
	} else if back { // pressed twice: the same answer, unless they have left again since
		if back, err = s.holds(r, ticket.Subscription); err != nil {
			return err
		}
		if !back {
			return s.expired(w, r, zonewire.ErrGone, list)
		}
	}
	return s.render(w, r, http.StatusOK, "undo.html", s.act(r, list, back))
}

// confirm asks on GET and acts on POST. Pressed again it says the same, but the link in an old mail brings nobody back
// who left since.
func (s *server) confirm(w http.ResponseWriter, r *http.Request) error {
	personal(w)
	ticket, list, err := s.ticket(r, zonewire.PurposeConfirm)
	if err != nil {
		return s.expired(w, r, err, list)
	}
	done := !ticket.Used.IsZero()
	if r.Method == http.MethodPost {
		if _, err := s.store.ConfirmPlace(r.Context(), s.byPage(), ticket.ID); err != nil {
			return s.expired(w, r, err, list)
		}
		done = true
	} else if done {
		holds, err := s.holds(r, ticket.Subscription)
		if err != nil {
			return err
		}
		if !holds {
			return s.expired(w, r, zonewire.ErrGone, list)
		}
	}
	view := s.act(r, list, done)
	view.Tongue = ticket.Wish.Locale
	if done && list.Private {
		view.Key = s.Secret.Token(zonewire.PurposePrivate, list.ID)
	}
	if len(ticket.Wish.Zones) > 0 {
		zones, err := s.store.Zones(r.Context())
		if err != nil {
			return err
		}
		view.Zones = slices.DeleteFunc(slices.Clone(zones), func(z zonewire.Zone) bool { return !slices.Contains(ticket.Wish.Zones, z.ID) })
	}
	return s.render(w, r, http.StatusOK, "confirm.html", view)
}

// ticket finds the one that the path names. The error of a forged or damaged token is errToken; any other is the store's.
func (s *server) ticket(r *http.Request, p zonewire.Purpose) (zonewire.Ticket, zonewire.List, error) {
	id, ok := s.Secret.OpenToken(p, r.PathValue("token"))
	if !ok {
		return zonewire.Ticket{}, zonewire.List{}, errToken
	}
	return s.store.Ticket(r.Context(), p, id, s.Now())
}

// expired is the page of a link that did work once, with the way to a new one: the list's page, or the form that mails
// a link to one's preferences. Other errors it hands on.
func (s *server) expired(w http.ResponseWriter, r *http.Request, err error, l zonewire.List) error {
	if !errors.Is(err, zonewire.ErrGone) && !errors.Is(err, zonewire.ErrNotFound) {
		return err
	}
	return s.render(w, r, http.StatusGone, "expired.html", s.act(r, l, false))
}

// holds reports whether a subscription still stands.
func (s *server) holds(r *http.Request, id int64) (bool, error) {
	sub, _, err := s.subscription(r, id)
	return sub.State != zonewire.SubUnsubscribed, err
}

// subscription finds the one that a good token names; if it is no more, the person was erased and gets no mail.
func (s *server) subscription(r *http.Request, id int64) (zonewire.Subscription, zonewire.List, error) {
	sub, list, err := s.store.Subscription(r.Context(), id)
	return sub, list, ended(err)
}

// ended is the failure of a link whose person was erased.
func ended(err error) error {
	if errors.Is(err, zonewire.ErrNotFound) || errors.Is(err, zonewire.ErrGone) {
		return errEnded
	}
	return err
}

func (s *server) act(r *http.Request, l zonewire.List, done bool) act {
	a := act{frame: s.frame(r), List: l, Done: done}
	if l.ID != 0 {
		a.When, a.Open = s.when(r, l), !l.Private && l.Removed.IsZero()
	}
	return a
}

func (s *server) byPage() zonewire.Act { return zonewire.Act{At: s.Now(), By: "page"} }
