package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"zonewire"
)

// erase asks whether to forget the person, and on POST does.
func (s *server) erase(w http.ResponseWriter, r *http.Request) error {
	ticket, p, ok, err := s.person(w, r)
	if !ok {
		return err
	}
	f := s.frame(r)
	path := "/preferences/" + r.PathValue("token")
	view := struct {
		frame
		Back, Action, Data string
		Email              string
		Error              string // phrase key
		Done               bool
	}{frame: f, Back: f.address(path, url.Values{}), Action: f.address(path+"/erase", url.Values{}), Data: path + "/data.json", Email: p.Email}
	if r.Method != http.MethodPost {
		return s.render(w, r, http.StatusOK, "erase.html", view)
	}
	if err := s.readForm(w, r); err != nil {
		return err
	}
	if r.PostForm.Get("sure") != "yes" {
		view.Error = "people.erase.unsure"
		return s.render(w, r, http.StatusUnprocessableEntity, "erase.html", view)
	}
	if err := s.store.Erase(r.Context(), s.byPage(), ticket); err != nil {
		return s.expired(w, r, err, zonewire.List{})
	}
	view.Done = true
	return s.render(w, r, http.StatusOK, "erase.html", view)
}

// record is all that is kept about a person, as they download it. Times are RFC 3339; one that is not set is left out.
type record struct {
	Email      string           `json:"email"`
	Name       string           `json:"name,omitempty"`
	Language   string           `json:"language,omitempty"` // none: that of each list
	Created    time.Time        `json:"created,omitzero"`
	Suppressed string           `json:"suppressed,omitempty"` // why the address gets no mail
	Places     []recordPlace    `json:"subscriptions"`
	Deliveries []recordDelivery `json:"deliveries"`
	Acts       []recordAct      `json:"changes"`
}

type recordPlace struct {
	List        string    `json:"list"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Zones       []string  `json:"zones"` // none = all of the list
	Created     time.Time `json:"created,omitzero"`
	Confirmed   time.Time `json:"confirmed,omitzero"`
	Consent     string    `json:"consent,omitempty"`
	PausedUntil time.Time `json:"paused_until,omitzero"`
	SwitchTo    string    `json:"switch_to,omitempty"`
	Ended       time.Time `json:"ended,omitzero"`
}

type recordDelivery struct {
	List  string    `json:"list"`
	Slot  time.Time `json:"slot"`
	State string    `json:"state"`
	Done  time.Time `json:"done,omitzero"`
}

type recordAct struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Action string    `json:"action"`
	Detail string    `json:"detail,omitempty"`
}

func recordOf(d zonewire.PersonalData) record {
	rec := record{
		Email: d.Subscriber.Email, Name: d.Subscriber.Name, Language: d.Subscriber.Locale, Created: d.Subscriber.Created.UTC(), Suppressed: d.Suppressed,
		Places: []recordPlace{}, Deliveries: []recordDelivery{}, Acts: []recordAct{},
	}
	for _, sub := range d.Subscriber.Subscriptions {
		rec.Places = append(rec.Places, recordPlace{
			List: sub.List, State: string(sub.State), Reason: sub.Reason, Zones: append([]string{}, sub.Zones...), Created: sub.Created.UTC(),
			Confirmed: sub.Confirmed.UTC(), Consent: sub.Consent, PausedUntil: sub.PausedUntil.UTC(), SwitchTo: sub.SwitchTo, Ended: sub.Ended.UTC(),
		})
	}
	for _, m := range d.Deliveries {
		rec.Deliveries = append(rec.Deliveries, recordDelivery{m.List, m.Slot.UTC(), m.State.String(), m.Done.UTC()})
	}
	for _, a := range d.Acts {
		rec.Acts = append(rec.Acts, recordAct{a.At.UTC(), a.By, a.Action, a.Detail})
	}
	return rec
}

// data is the download of everything kept about the person.
func (s *server) data(w http.ResponseWriter, r *http.Request) error {
	ticket, _, ok, err := s.person(w, r)
	if !ok {
		return err
	}
	d, err := s.store.PersonalData(r.Context(), ticket, s.Now())
	if err != nil {
		return s.expired(w, r, err, zonewire.List{})
	}
	body, err := json.MarshalIndent(recordOf(d), "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="zonewire-data.json"`)
	s.write(w, r, http.StatusOK, "application/json", append(body, '\n'))
	return nil
}
