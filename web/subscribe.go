package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"zonewire"
	"zonewire/internal/address"
)

const (
	formBytes = 256 << 10 // of a posted form: three thousand ticked zones
	shown     = 12        // zones; more are out of the way until somebody wants only some
	unfolded  = 60        // zones; of more, each province unfolds
	foldable  = 250       // zones; of more, only the picked ones and those of one province are on a page at a time
	trapField = "website" // what no person sees, and robots fill in
)

// entry is a field for an address: what was typed, and what is wrong with it.
type entry struct {
	ID    string
	Label string // phrase key
	Typed string
	Error string // phrase key; empty: nothing is
}

// choice is a zone to tick.
type choice struct {
	zonewire.Zone
	Ticked bool
}

// choices are the zones of one province.
type choices struct {
	Name   label // without a text: unknown
	Zones  []choice
	Ticked bool // one of them is
}

// tongue is a language to pick; without a locale, that of each list.
type tongue struct {
	Locale string
	Ticked bool
}

// button brings the zones of a province.
type button struct {
	Key   string
	Name  label
	Zones int
}

// zoneForm is the choice of zones of one list.
type zoneForm struct {
	Groups     []choices // empty: there is nothing to choose
	Many       int       // how many zones, if they are so many that they should stay out of the way; else 0
	Open       bool      // but not now: some are ticked, or a province is asked for
	Folded     bool      // so many that each province unfolds
	Provinces  []button  // so many that a button brings a province at a time; else empty
	ZonesError string    // phrase key
	offered    map[string]int64
}

// subscribeForm is the form on a list's page, template "subscribe".
type subscribeForm struct {
	zoneForm
	Action    string
	Entry     entry
	Languages []tongue
	Consent   string // to what one agrees by sending it
}

// form is the empty form of a list, with the zones of ?zone= ticked.
func (s *server) form(r *http.Request, f frame, l zonewire.List, zones []zonewire.Zone) subscribeForm {
	consent, err := s.consent(f.Locale, l)
	if err != nil { // an operator's phrase that is none: the templates report it
		s.Log.Error("consent", "err", err)
	}
	query, action := r.URL.Query(), url.Values{}
	if l.Private {
		action.Set("key", query.Get("key"))
	}
	return subscribeForm{
		zoneForm:  offer(f, zones, l, query["zone"], query.Get("province")),
		Action:    f.address("/lists/"+l.Slug+"/subscribe", action),
		Entry:     entry{ID: "address", Label: "people.address"},
		Languages: languages(""),
		Consent:   consent,
	}
}

// offer lists the open zones of a list in the usual order, some of them ticked; nothing if it has only one. Of very many
// it shows those that are ticked and those of the province at hand: the page stays small on a phone, without a script.
func offer(f frame, zones []zonewire.Zone, l zonewire.List, ticked []string, at string) zoneForm {
	form := zoneForm{offered: map[string]int64{}}
	provinces := byProvince(zones)
	for i := range provinces {
		p := &provinces[i]
		p.Zones = slices.DeleteFunc(slices.Clone(p.Zones), func(z zonewire.Zone) bool { return !l.Covers(z) })
		if len(p.Zones) == 0 {
			continue
		}
		form.Provinces = append(form.Provinces, button{p.Key(), f.At(p.Name), len(p.Zones)})
		for _, z := range p.Zones {
			form.offered[z.Slug] = z.ID
		}
	}
	n := len(form.offered)
	form.Folded = n > unfolded && n <= foldable
	form.Open = at != ""
	if n > shown {
		form.Many = n
	}
	for _, p := range provinces {
		g := choices{Name: f.At(p.Name)}
		for _, z := range p.Zones {
			c := choice{z, slices.Contains(ticked, z.Slug)}
			g.Ticked = g.Ticked || c.Ticked
			form.Open = form.Open || c.Ticked
			if n <= foldable || c.Ticked || p.Key() == at {
				g.Zones = append(g.Zones, c)
			}
		}
		if len(g.Zones) > 0 && n > 1 {
			form.Groups = append(form.Groups, g)
		}
	}
	if n <= foldable {
		form.Provinces = nil
	}
	return form
}

func languages(ticked string) []tongue {
	all := []tongue{{"", ticked == ""}}
	for _, l := range zonewire.Locales() {
		all = append(all, tongue{l, ticked == l})
	}
	return all
}

// consent is the sentence beside the button.
func (s *server) consent(locale string, l zonewire.List) (string, error) {
	return s.Templates.Phrase(locale, "people.consent", l.Title)
}

// subscribe hears a wish to be on a list. Its answer is the same whoever has the address: only the mail tells.
func (s *server) subscribe(w http.ResponseWriter, r *http.Request) error {
	l, err := s.store.List(r.Context(), r.PathValue("slug"))
	if err != nil {
		return err
	}
	if !s.mayRead(w, r, l) {
		return errUnknown
	}
	if r.Method != http.MethodPost { // someone opened the answer again, or in the other language
		http.Redirect(w, r, (&url.URL{Path: "/lists/" + l.Slug, RawQuery: r.URL.RawQuery, Fragment: "subscribe"}).String(), http.StatusSeeOther)
		return nil
	}
	personal(w)
	if err := s.readForm(w, r); err != nil {
		return err
	}
	zones, err := s.store.Zones(r.Context())
	if err != nil {
		return err
	}
	f := s.frame(r)
	form := s.form(r, f, l, zones)
	ticked, locale, at := r.PostForm["zone"], pickedLocale(r), r.PostForm.Get("province")
	form.zoneForm, form.Languages = offer(f, zones, l, ticked, at), languages(locale)
	view := struct {
		frame
		List zonewire.List
		Form *subscribeForm
	}{f, l, &form}
	if at != "" { // a button asked to see a province: nothing is sent yet
		form.Entry.Typed = typedAddress(r)
		return s.render(w, r, http.StatusOK, "subscribe.html", view)
	}
	a := s.read(&form.Entry, r)
	if _, ok := form.ids(ticked); !ok || form.Entry.Error != "" {
		return s.render(w, r, http.StatusUnprocessableEntity, "subscribe.html", view)
	}
	if ok, err := s.worked(w, r, f, form.Action); !ok {
		return err
	}
	if err := s.slow(w, r); err != nil {
		return err
	}
	if r.PostForm.Get(trapField) == "" {
		err := s.store.RequestPlace(r.Context(), s.byPage(), zonewire.NewSubscription{
			Address: a, Locale: locale, List: l.Slug, Zones: slices.Compact(slices.Sorted(slices.Values(ticked))),
			Consent: fmt.Sprintf("%s (%s, /lists/%s, %s)", form.Consent, f.Locale, l.Slug, s.client(r)),
			Letters: s.letters,
		})
		if err != nil {
			return changed(err)
		}
	}
	return s.sent(w, r, f, "people.asked", l)
}

// sent is the answer to everyone who asked for a mail: phrases KEY and KEY.text.
func (s *server) sent(w http.ResponseWriter, r *http.Request, f frame, key string, l zonewire.List) error {
	return s.render(w, r, http.StatusOK, "sent.html", struct {
		frame
		Key  string
		List zonewire.List // of which the mail is; empty: of none
	}{f, key, l})
}

// ids are those of the ticked zones. If one is not offered any more it notes so and answers false: that is no reason to
// send all the others, which would be more than was asked for.
func (z *zoneForm) ids(ticked []string) ([]int64, bool) {
	ids := make([]int64, 0, len(ticked))
	for _, slug := range ticked {
		id, ok := z.offered[slug]
		if !ok {
			z.ZonesError = "people.zones.gone"
			return nil, false
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), true
}

// read takes the address that was typed, and notes what is wrong with it.
func (s *server) read(e *entry, r *http.Request) zonewire.Address {
	e.Typed = typedAddress(r)
	a, err := address.Parse(e.Typed)
	switch {
	case e.Typed == "":
		e.Error = "people.address.empty"
	case err != nil:
		e.Error = "people.address.bad"
	default:
		a.Hash = s.Secret.AddressHash(a.Key)
	}
	return a
}

// typedAddress is what stands in the field; what is longer than any address is cut, and bad.
func typedAddress(r *http.Request) string {
	return zonewire.Shorten(strings.TrimSpace(zonewire.CleanText(r.PostForm.Get("email"))), 300)
}

// pickedLocale is the language that was picked in a form; empty: that of each list.
func pickedLocale(r *http.Request) string {
	if l := r.PostForm.Get("locale"); slices.Contains(zonewire.Locales(), l) {
		return l
	}
	return ""
}

// readForm reads a posted form of either encoding.
func (s *server) readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, formBytes)
	err := r.ParseForm() // first: ParseMultipartForm hides its errors if the form is not multipart
	if err == nil {
		err = r.ParseMultipartForm(formBytes)
	}
	if err == nil || errors.Is(err, http.ErrNotMultipart) {
		return nil
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &problem{http.StatusRequestEntityTooLarge, "form"}
	case errors.Is(err, context.Canceled):
		return err
	}
	return &problem{http.StatusBadRequest, "form"}
}

// changed is the failure of a form that asks for what is not so any more: a zone was closed or a place has ended since it
// was shown.
func changed(err error) error {
	if errors.Is(err, zonewire.ErrInvalid) {
		return &problem{http.StatusConflict, "changed"}
	}
	return err
}

// personal keeps a page that is one person's out of caches and search engines, and its address out of other logs.
func personal(w http.ResponseWriter) {
	keepPrivate(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
}
