package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"zonewire"
	"zonewire/internal/address"
)

const farthest = 366 * 24 * time.Hour // a pause may end that far ahead; who wants more leaves

// place is one of a person's places as their pages show it.
type place struct {
	zonewire.Subscription
	Of      zonewire.List
	When    string
	Until   time.Time // on the list's clock; zero: until resumed
	Next    string    // when it is sent after the switch that waits; empty: no switch waits
	Path    string    // of the page that changes it
	Archive string    // of the list's page
	Picked  []zonewire.Zone
}

// rhythm is a list with the same news at another time.
type rhythm struct {
	Slug   string // empty: the list that the place is on
	When   string
	Title  string
	Ticked bool
}

// account is the page of a person: their places, and what concerns them all.
type account struct {
	frame
	Path      string // of the page, without the language: its sub-pages begin with it
	Action    string
	Email     string
	Places    []place
	Languages []tongue
	Entry     entry
	Notice    string // phrase key; empty: nothing was done just now
	Resumed   *place // whose mails go on from now
	Undo      string // the path that takes back a list just left; empty: there is none
}

// placePage is the page that changes one place.
type placePage struct {
	frame
	zoneForm
	Back, Action string
	Place        place
	Rhythms      []rhythm // none: there is no other
	Tomorrow     string   // the earliest day to resume on
	all          []zonewire.Zone
	Until        string // what was typed
	UntilError   string // phrase key
}

// ask asks for an address and mails a link to whoever has it. The answer is the same for all.
func (s *server) ask(w http.ResponseWriter, r *http.Request) error {
	personal(w)
	f, e := s.frame(r), entry{ID: "address", Label: "people.address"}
	if r.Method == http.MethodPost {
		if err := s.readForm(w, r); err != nil {
			return err
		}
		a := s.read(&e, r)
		if e.Error == "" {
			if ok, err := s.worked(w, r, f, f.address("/preferences", url.Values{})); !ok {
				return err
			}
			if err := s.slow(w, r); err != nil {
				return err
			}
			if r.PostForm.Get(trapField) == "" {
				if err := s.store.RequestPreferences(r.Context(), s.byPage(), a, s.letters); err != nil {
					return err
				}
			}
			return s.sent(w, r, f, "people.linked", zonewire.List{})
		}
	}
	status := http.StatusOK
	if e.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	return s.render(w, r, status, "preferences.html", struct {
		frame
		Action string
		Entry  entry
	}{f, f.address("/preferences", url.Values{}), e})
}

// person opens the account that the path's token gives power over. If the link is of no use any more the answer is
// written, and ok is false.
func (s *server) person(w http.ResponseWriter, r *http.Request) (ticket int64, p zonewire.Subscriber, ok bool, err error) {
	personal(w)
	ticket, ok = s.Secret.OpenToken(zonewire.PurposePreferences, r.PathValue("token"))
	if !ok {
		return 0, p, false, errToken
	}
	// The token in the path is the power, so a stranger's page cannot forge a request without it; a browser that tells
	// of one that was lured there is believed all the same.
	if r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return 0, p, false, &problem{http.StatusForbidden, "cross"}
	}
	if p, err = s.store.Account(r.Context(), ticket, s.Now()); err != nil {
		return 0, p, false, s.expired(w, r, err, zonewire.List{})
	}
	return ticket, p, true, nil
}

// preferences shows a person's account, and changes it on POST as the field do says. Whatever was changed, the answer
// leads back to the page, which says so.
func (s *server) preferences(w http.ResponseWriter, r *http.Request) error {
	ticket, p, ok, err := s.person(w, r)
	if !ok {
		return err
	}
	view, err := s.account(r, p)
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return s.render(w, r, http.StatusOK, "account.html", view)
	}
	if err := s.readForm(w, r); err != nil {
		return err
	}
	switch r.PostForm.Get("do") {
	case "language":
		err = s.store.EditPerson(r.Context(), s.byPage(), ticket, pickedLocale(r))
	case "leave-all":
		_, err = s.store.LeaveAll(r.Context(), s.byPage(), ticket)
	case "address":
		a := s.read(&view.Entry, r)
		if own, err := address.Parse(p.Email); err == nil && own.Key == a.Key {
			view.Entry.Error = "people.address.same"
		}
		if view.Entry.Error != "" {
			return s.render(w, r, http.StatusUnprocessableEntity, "account.html", view)
		}
		if err := s.slow(w, r); err != nil {
			return err
		}
		err = s.store.RequestAddress(r.Context(), s.byPage(), ticket, a, s.letters)
	default:
		return &problem{http.StatusBadRequest, "form"}
	}
	if err != nil {
		return s.expired(w, r, changed(err), zonewire.List{})
	}
	s.done(w, r, view.frame, view.Path, url.Values{"done": {r.PostForm.Get("do")}})
	return nil
}

// done leads back to the account, which says what was done.
func (s *server) done(w http.ResponseWriter, r *http.Request, f frame, path string, what url.Values) {
	http.Redirect(w, r, f.address(path, what), http.StatusSeeOther)
}

// notices are what the account page may say was done: phrases people.done.NAME.
var notices = []string{"zones", "pause", "resume", "switch", "stay", "leave", "language", "address", "leave-all"}

func (s *server) account(r *http.Request, p zonewire.Subscriber) (account, error) {
	f := s.frame(r)
	path := "/preferences/" + r.PathValue("token")
	view := account{
		frame: f, Path: path, Action: f.address(path, url.Values{}), Email: p.Email, Languages: languages(p.Locale),
		Entry: entry{ID: "address", Label: "people.address.new"},
	}
	query := r.URL.Query()
	if done := query.Get("done"); r.Method != http.MethodPost && slices.Contains(notices, done) {
		view.Notice = "people.done." + done
	}
	lists, err := s.store.Lists(r.Context())
	if err != nil {
		return view, err
	}
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return view, err
	}
	for _, sub := range p.Subscriptions {
		if l, ok := listOf(lists, sub); ok && sub.State != zonewire.SubUnsubscribed {
			view.Places = append(view.Places, s.place(r, f, path, sub, l, lists, zones))
		}
	}
	if undo := query.Get("undo"); view.Notice == "people.done.leave" {
		if _, ok := s.Secret.OpenToken(zonewire.PurposeUndo, undo); ok {
			view.Undo = f.address("/undo/"+undo, url.Values{})
		}
	}
	if view.Notice == "people.done.resume" {
		for i, pl := range view.Places {
			if strconv.FormatInt(pl.ID, 10) == query.Get("place") {
				view.Resumed = &view.Places[i]
			}
		}
	}
	return view, nil
}

// listOf is the list that a place is on; false if it was removed.
func listOf(lists []zonewire.List, sub zonewire.Subscription) (zonewire.List, bool) {
	i := slices.IndexFunc(lists, func(l zonewire.List) bool { return l.ID == sub.ListID })
	if i < 0 {
		return zonewire.List{}, false
	}
	return lists[i], true
}

func (s *server) place(r *http.Request, f frame, path string, sub zonewire.Subscription, l zonewire.List, lists []zonewire.List, zones []zonewire.Zone) place {
	query := url.Values{}
	if l.Private {
		query.Set("key", s.Secret.Token(zonewire.PurposePrivate, l.ID))
	}
	pl := place{
		Subscription: sub, Of: l, When: s.when(r, l),
		Path:    f.address(path+"/places/"+strconv.FormatInt(sub.ID, 10), url.Values{}),
		Archive: f.address("/lists/"+l.Slug, query),
	}
	if !sub.PausedUntil.IsZero() {
		pl.Until = local(l, sub.PausedUntil)
	}
	for _, other := range lists {
		if other.Slug == sub.SwitchTo {
			pl.Next = s.when(r, other)
		}
	}
	for _, z := range zones {
		if slices.Contains(sub.ZoneIDs, z.ID) {
			pl.Picked = append(pl.Picked, z)
		}
	}
	return pl
}

// placeEdit is the page of one place: which zones, pause, how often, leave.
func (s *server) placeEdit(w http.ResponseWriter, r *http.Request) error {
	ticket, p, ok, err := s.person(w, r)
	if !ok {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.Subscriptions, func(sub zonewire.Subscription) bool { return sub.ID == id })
	if i < 0 || p.Subscriptions[i].State == zonewire.SubUnsubscribed {
		return errUnknown
	}
	view, err := s.placePage(r, p, p.Subscriptions[i])
	if err != nil {
		return err
	}
	if r.Method != http.MethodPost {
		return s.render(w, r, http.StatusOK, "place.html", view)
	}
	if err := s.readForm(w, r); err != nil {
		return err
	}
	edit, status, err := view.edit(r.PostForm, s.Now())
	if err != nil {
		return err
	}
	if status != 0 {
		return s.render(w, r, status, "place.html", view)
	}
	done := url.Values{"done": {r.PostForm.Get("do")}, "place": {r.PathValue("id")}}
	if r.PostForm.Get("do") == "leave" { // as by the link in a digest, so that it can be taken back as well
		_, undo, err := s.store.Leave(r.Context(), s.byPage(), id)
		if err != nil {
			return s.expired(w, r, err, view.Place.Of)
		}
		done.Set("undo", s.Secret.Token(zonewire.PurposeUndo, undo))
	} else if _, err := s.store.EditPlace(r.Context(), s.byPage(), ticket, id, edit); err != nil {
		return s.expired(w, r, changed(err), view.Place.Of)
	}
	if edit.SwitchTo != nil && *edit.SwitchTo == "" {
		done.Set("done", "stay")
	}
	s.done(w, r, view.frame, "/preferences/"+r.PathValue("token"), done)
	return nil
}

func (s *server) placePage(r *http.Request, p zonewire.Subscriber, sub zonewire.Subscription) (*placePage, error) {
	f := s.frame(r)
	path := "/preferences/" + r.PathValue("token")
	lists, err := s.store.Lists(r.Context())
	if err != nil {
		return nil, err
	}
	l, ok := listOf(lists, sub)
	if !ok {
		return nil, errUnknown
	}
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return nil, err
	}
	pl := s.place(r, f, path, sub, l, lists, zones)
	view := &placePage{
		frame: f, zoneForm: offer(f, zones, l, sub.Zones, ""), all: zones, Back: f.address(path, url.Values{}), Action: pl.Path, Place: pl,
		Tomorrow: local(l, s.Now()).AddDate(0, 0, 1).Format(time.DateOnly),
	}
	for _, other := range lists {
		if sub.State != zonewire.SubActive && sub.State != zonewire.SubPaused {
			break // what is not sent has no rhythm
		}
		if alike(l, other) && (other.Slug == sub.SwitchTo || !on(p, other)) {
			view.Rhythms = append(view.Rhythms, rhythm{other.Slug, s.when(r, other), other.Title, other.Slug == sub.SwitchTo})
		}
	}
	if len(view.Rhythms) > 0 {
		view.Rhythms = slices.Insert(view.Rhythms, 0, rhythm{"", pl.When, l.Title, sub.SwitchTo == ""})
	}
	return view, nil
}

// alike reports whether a list that anyone may join sends the same news as l at another time.
func alike(l, other zonewire.List) bool {
	return other.ID != l.ID && !other.Private && !other.Paused && l.SameNews(other) &&
		(l.Schedule != other.Schedule || l.Timezone != other.Timezone || l.Workdays != other.Workdays)
}

// on reports whether the person holds a place on the list.
func on(p zonewire.Subscriber, l zonewire.List) bool {
	return slices.ContainsFunc(p.Subscriptions, func(sub zonewire.Subscription) bool {
		return sub.ListID == l.ID && sub.State != zonewire.SubUnsubscribed
	})
}

// edit reads what a posted form of the page asks for. A status other than 0 means that there is nothing to do but show
// the page with it, since something typed cannot be, or a province was asked for.
func (v *placePage) edit(form url.Values, now time.Time) (e zonewire.PlaceEdit, status int, err error) {
	switch form.Get("do") {
	case "zones":
		v.retick(form["zone"], form.Get("province"))
		if form.Get("province") != "" {
			return e, http.StatusOK, nil
		}
		ids, ok := v.ids(form["zone"])
		if !ok {
			return e, http.StatusUnprocessableEntity, nil
		}
		e.Zones = &ids
	case "pause":
		v.Until = form.Get("until")
		until, problem := pauseUntil(v.Until, v.Place.Of, now)
		if v.UntilError = problem; problem != "" {
			return e, http.StatusUnprocessableEntity, nil
		}
		e.Pause = &until
	case "resume":
		e.Resume = true
	case "switch":
		to := form.Get("to")
		if !slices.ContainsFunc(v.Rhythms, func(r rhythm) bool { return r.Slug == to }) {
			return e, http.StatusUnprocessableEntity, nil // the list was removed meanwhile: the page shows what there is
		}
		e.SwitchTo = &to
	case "leave": // changes nothing of the place but that it ends
	default:
		return e, 0, &problem{http.StatusBadRequest, "form"}
	}
	return e, 0, nil
}

// retick offers the same zones with others ticked.
func (v *placePage) retick(ticked []string, at string) {
	v.zoneForm = offer(v.frame, v.all, v.Place.Of, ticked, at)
}

// pauseUntil reads the day on which mails go on, from its first minute on the list's clock; no day: not by themselves.
// The second result is the phrase of what is wrong with it.
func pauseUntil(day string, l zonewire.List, now time.Time) (time.Time, string) {
	if day == "" {
		return time.Time{}, ""
	}
	until, err := time.ParseInLocation(time.DateOnly, day, local(l, now).Location())
	switch {
	case err != nil:
		return time.Time{}, "people.pause.bad"
	case !until.After(now), until.Sub(now) > farthest:
		return time.Time{}, "people.pause.range"
	}
	return until, ""
}
