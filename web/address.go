package web

import (
	"errors"
	"net/http"

	"zonewire"
)

// address asks one of two addresses whether mails may move from the old to the new, and on POST agrees for it.
func (s *server) address(w http.ResponseWriter, r *http.Request) error {
	personal(w)
	ticket, _, err := s.ticket(r, zonewire.PurposeAddress)
	if err != nil {
		return s.expired(w, r, err, zonewire.List{})
	}
	view := struct {
		frame
		To    string // the new address; only who was mailed a letter comes here, so they may see it
		State string // asked, agreed, moved or taken: phrases people.move.STATE
	}{frame: s.frame(r), State: "asked"}
	if ticket.Wish.Address != nil {
		view.To = ticket.Wish.Address.Given
	}
	if r.Method == http.MethodPost {
		done, err := s.store.ConfirmAddress(r.Context(), s.byPage(), ticket.ID)
		switch {
		case errors.Is(err, zonewire.ErrExists):
			view.State = "taken"
			return s.render(w, r, http.StatusConflict, "address.html", view)
		case err != nil:
			return s.expired(w, r, err, zonewire.List{})
		case done:
			view.State = "moved"
		default:
			view.State = "agreed"
		}
	} else if !ticket.Used.IsZero() {
		view.State = "agreed"
		if twin, _, err := s.store.Ticket(r.Context(), zonewire.PurposeAddress, ticket.Wish.Twin, s.Now()); err == nil && !twin.Used.IsZero() {
			view.State = "moved"
		}
	}
	return s.render(w, r, http.StatusOK, "address.html", view)
}
