package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/store"
)

// letters writes a mail that says what it is, and to which ticket it is the key.
func letters(kind zonewire.Letter, t zonewire.Ticket, l zonewire.List, locale string) (zonewire.Mail, error) {
	return zonewire.Mail{Subject: string(kind), ListTitle: l.Slug, Locale: locale, Text: []string{strconv.FormatInt(t.ID, 10)}}, nil
}

type letter struct {
	to, kind, list, locale string
	ticket                 int64
}

// mailed sends every letter that is due, and gives them.
func mailed(t *testing.T, db *store.DB, after time.Duration) []letter {
	t.Helper()
	var all []letter
	w := worker(t, db, after)
	for _, j := range claim(t, db, w, 64, after) {
		check(t, db.Begin(t.Context(), j, t0.Add(after)))
		check(t, db.Finish(t.Context(), j, accepted, t0.Add(after)))
		if j.Kind == zonewire.NoticeJob {
			id, _ := strconv.ParseInt(j.Mail.Text[0], 10, 64)
			all = append(all, letter{j.Email, j.Mail.Subject, j.Mail.ListTitle, j.Mail.Locale, id})
		}
	}
	return all
}

// letterTo is the one letter that goes to an address now.
func letterTo(t *testing.T, db *store.DB, after time.Duration, email string) letter {
	t.Helper()
	all := slices.DeleteFunc(mailed(t, db, after), func(l letter) bool { return l.to != email })
	if len(all) != 1 {
		t.Fatalf("letters to %s: %+v, want one", email, all)
	}
	return all[0]
}

func wishFor(list, email string, zones ...string) zonewire.NewSubscription {
	return zonewire.NewSubscription{Address: addressOf(email), List: list, Zones: zones, Consent: "yes, on a page", Letters: letters}
}

// preferences gives the ticket that a person asks for on the page.
func preferences(t *testing.T, db *store.DB, after time.Duration, email string) int64 {
	t.Helper()
	check(t, db.RequestPreferences(t.Context(), at(after), addressOf(email), letters))
	l := letterTo(t, db, after, email)
	if l.kind != "preferences" {
		t.Fatalf("got a letter %q", l.kind)
	}
	return l.ticket
}

func place(t *testing.T, db *store.DB, email, list string) zonewire.Subscription {
	t.Helper()
	for _, s := range must[zonewire.Subscriber](t)(db.Subscriber(t.Context(), email)).Subscriptions {
		if s.List == list {
			return s
		}
	}
	t.Fatalf("%s has no place on %s", email, list)
	return zonewire.Subscription{}
}

func onPeople(t *testing.T, test func(t *testing.T, db *store.DB)) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addZone(t, db, "b", "乙区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		addList(t, db, zonewire.List{Slug: "m", All: true})
		test(t, db)
	})
}

func TestAWishBecomesAPlaceWhenItIsConfirmed(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		n := wishFor("l", "one@example.com", "a")
		n.Locale = zonewire.LocaleEN
		check(t, db.RequestPlace(t.Context(), at(0), n))
		l := letterTo(t, db, 0, "one@example.com")
		if l.kind != "confirm" || l.list != "l" || l.locale != zonewire.LocaleEN {
			t.Errorf("the letter: %+v", l)
		}
		if s := place(t, db, "one@example.com", "l"); s.State != zonewire.SubPending || !s.Confirmed.IsZero() {
			t.Errorf("before it is confirmed: %+v", s)
		}
		for range 2 {
			s := must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(time.Hour), l.ticket))
			if s.State != zonewire.SubActive || !s.Confirmed.Equal(t0.Add(time.Hour)) || s.Consent != "yes, on a page" || !slices.Equal(s.Zones, []string{"a"}) {
				t.Errorf("confirmed: %+v", s)
			}
		}
		if p := must[zonewire.Subscriber](t)(db.Subscriber(t.Context(), "one@example.com")); p.Locale != zonewire.LocaleEN {
			t.Errorf("their language is %q", p.Locale)
		}
	})
}

func TestATicketIsGoodForItsPurposeAndItsTime(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		check(t, db.RequestPlace(t.Context(), at(0), wishFor("l", "one@example.com")))
		id := letterTo(t, db, 0, "one@example.com").ticket
		for _, c := range []struct {
			purpose zonewire.Purpose
			after   time.Duration
			want    error
		}{
			{zonewire.PurposeConfirm, 7*day - time.Second, nil},
			{zonewire.PurposeConfirm, 7 * day, zonewire.ErrGone},
			{zonewire.PurposePreferences, 0, zonewire.ErrNotFound},
			{zonewire.PurposeUndo, 0, zonewire.ErrNotFound},
			{zonewire.PurposeAddress, 0, zonewire.ErrNotFound},
		} {
			if _, _, err := db.Ticket(t.Context(), c.purpose, id, t0.Add(c.after)); !errors.Is(err, c.want) {
				t.Errorf("%s after %s: %v, want %v", c.purpose, c.after, err, c.want)
			}
		}
		if _, err := db.ConfirmPlace(t.Context(), at(7*day), id); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("confirmed late: %v", err)
		}
		if _, err := db.UndoLeave(t.Context(), at(0), id); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("undone with a ticket to confirm: %v", err)
		}
		if _, err := db.Account(t.Context(), id, t0); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("the account opens with a ticket to confirm: %v", err)
		}
	})
}

// However often a stranger types an address, its owner gets a letter an hour, and one for each list.
func TestLettersKeepAnHourApart(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		for i := range 5 {
			check(t, db.RequestPlace(t.Context(), at(time.Duration(i)*time.Minute), wishFor("l", "one@example.com")))
			check(t, db.RequestPlace(t.Context(), at(time.Duration(i)*time.Minute), wishFor("m", "one@example.com", "b")))
		}
		first := mailed(t, db, 10*time.Minute)
		if len(first) != 1 || first[0].list != "l" {
			t.Fatalf("at first: %+v", first)
		}
		if early := mailed(t, db, 59*time.Minute); len(early) != 0 {
			t.Errorf("within the hour: %+v", early)
		}
		second := mailed(t, db, time.Hour)
		if len(second) != 1 || second[0].list != "m" {
			t.Fatalf("after an hour: %+v", second)
		}
		if more := mailed(t, db, day); len(more) != 0 {
			t.Errorf("and then: %+v", more)
		}
		must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(2*time.Hour), second[0].ticket))

		// Who has a place and asks for it again is sent to their preferences, as seldom.
		for range 3 {
			check(t, db.RequestPlace(t.Context(), at(3*time.Hour), wishFor("m", "one@example.com")))
			check(t, db.RequestPreferences(t.Context(), at(3*time.Hour), addressOf("one@example.com"), letters))
		}
		if l := letterTo(t, db, 3*time.Hour, "one@example.com"); l.kind != "known" || l.list != "m" {
			t.Errorf("to one who has the place: %+v", l)
		}
		if s := place(t, db, "one@example.com", "m"); s.State != zonewire.SubActive || !slices.Equal(s.Zones, []string{"b"}) {
			t.Errorf("asking changed the place: %+v", s)
		}
		check(t, db.RequestPreferences(t.Context(), at(3*time.Hour), addressOf("nobody@example.com"), letters))
		if l := mailed(t, db, 4*time.Hour); len(l) != 0 {
			t.Errorf("to nobody: %+v", l)
		}
	})
}

// Who goes on typing a stranger's address troubles them less and less.
func TestLettersThatNobodyAnswersBecomeRare(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		var days []int
		for hour := range 21 * 24 {
			after := time.Duration(hour) * time.Hour
			check(t, db.RequestPlace(t.Context(), at(after), wishFor("l", "one@example.com")))
			for range mailed(t, db, after) {
				days = append(days, hour)
			}
		}
		if want := []int{0, 1, 3, 7, 15, 31, 63, 127, 255, 423}; !slices.Equal(days, want) {
			t.Errorf("letters in hours %v, want %v", days, want)
		}
	})
}

// An owner who answers is no stranger's victim: the next list's letter need not wait.
func TestAnAnsweredLetterHoldsUpNoOther(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		check(t, db.RequestPlace(t.Context(), at(0), wishFor("l", "one@example.com")))
		must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(0), letterTo(t, db, 0, "one@example.com").ticket))
		check(t, db.RequestPlace(t.Context(), at(time.Minute), wishFor("m", "one@example.com")))
		letterTo(t, db, time.Minute, "one@example.com")
	})
}

func TestASecondWishForAListReplacesTheFirst(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		check(t, db.RequestPlace(t.Context(), at(0), wishFor("l", "one@example.com", "a")))
		check(t, db.RequestPlace(t.Context(), at(time.Minute), wishFor("l", "one@example.com", "b")))
		s := must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(time.Hour), letterTo(t, db, time.Hour, "one@example.com").ticket))
		if !slices.Equal(s.Zones, []string{"b"}) {
			t.Errorf("zones %v", s.Zones)
		}
	})
}

func TestWhoLeftComesBackByTheirOwnLetterOnly(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		check(t, db.RequestPlace(t.Context(), at(0), wishFor("l", "one@example.com")))
		old := letterTo(t, db, 0, "one@example.com").ticket
		sub := must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(0), old))
		_, _, err := db.Leave(t.Context(), at(2*time.Hour), sub.ID)
		check(t, err)
		if _, err := db.ConfirmPlace(t.Context(), at(3*time.Hour), old); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("the old letter brings them back: %v", err)
		}
		check(t, db.RequestPlace(t.Context(), at(4*time.Hour), wishFor("l", "one@example.com", "a")))
		if s := place(t, db, "one@example.com", "l"); s.State != zonewire.SubUnsubscribed {
			t.Errorf("asking alone made it %s", s.State)
		}
		s := must[zonewire.Subscription](t)(db.ConfirmPlace(t.Context(), at(5*time.Hour), letterTo(t, db, 4*time.Hour, "one@example.com").ticket))
		if s.State != zonewire.SubActive || !s.Ended.IsZero() || !slices.Equal(s.Zones, []string{"a"}) {
			t.Errorf("confirmed anew: %+v", s)
		}
	})
}

func TestUndoGivesThePlaceBackAsItWasOnce(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		sub := subscribe(t, db, "l", "one@example.com", "a")
		subscribe(t, db, "l", "two@example.com")
		put(t, db, 0, news("a", 1))
		d, _ := planNext(t, db, day)
		left, undo, err := db.Leave(t.Context(), at(day+time.Minute), sub.ID)
		check(t, err)
		if left.State != zonewire.SubUnsubscribed || undo == 0 || countsOf(t, db, d)[zonewire.Cancelled] != 1 {
			t.Fatalf("left: %+v, ticket %d, %v", left, undo, countsOf(t, db, d))
		}
		if _, again, err := db.Leave(t.Context(), at(day+2*time.Minute), sub.ID); err != nil || again != undo {
			t.Errorf("leaving again gives ticket %d %v, want the same", again, err)
		}
		if _, err := db.UndoLeave(t.Context(), at(day+time.Minute+30*time.Minute), undo); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("after half an hour: %v", err)
		}
		back := must[zonewire.Subscription](t)(db.UndoLeave(t.Context(), at(day+3*time.Minute), undo))
		if back.State != zonewire.SubActive || !slices.Equal(back.Zones, []string{"a"}) || !back.Ended.IsZero() {
			t.Errorf("back: %+v", back)
		}
		if c := countsOf(t, db, d); c[zonewire.Pending] != 2 || c.Sum() != 2 {
			t.Errorf("the mail that leaving cancelled: %v", c)
		}
		if _, err := db.UndoLeave(t.Context(), at(day+4*time.Minute), undo); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("a second time: %v", err)
		}
	})
}

// A mail that was cancelled was not composed again when its article was withdrawn: it stays cancelled.
func TestUndoMailsNothingThatWasWithdrawnMeanwhile(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		sub := subscribe(t, db, "l", "one@example.com")
		stored := put(t, db, 0, news("a", 1), news("a", 2))
		d, _ := planNext(t, db, day)
		_, undo, err := db.Leave(t.Context(), at(day), sub.ID)
		check(t, err)
		must[int](t)(db.WithdrawArticle(t.Context(), at(day+time.Minute), stored[0].ID, "", false, plain{}))
		must[zonewire.Subscription](t)(db.UndoLeave(t.Context(), at(day+2*time.Minute), undo))
		if c := countsOf(t, db, d); c[zonewire.Cancelled] != 1 {
			t.Errorf("counts %v", c)
		}
	})
}

// A pause until a day survives leaving and coming back.
func TestUndoGivesAPauseBack(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		sub := subscribe(t, db, "l", "one@example.com")
		must[zonewire.Subscription](t)(db.PauseSubscription(t.Context(), at(0), sub.ID, t0.Add(9*day)))
		_, undo, err := db.Leave(t.Context(), at(time.Hour), sub.ID)
		check(t, err)
		back := must[zonewire.Subscription](t)(db.UndoLeave(t.Context(), at(time.Hour), undo))
		if back.State != zonewire.SubPaused || !back.PausedUntil.Equal(t0.Add(9*day)) {
			t.Errorf("back: %+v", back)
		}
	})
}

func TestPreferencesChangeTheOwnersPlacesOnly(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		mine := subscribe(t, db, "l", "one@example.com")
		other := subscribe(t, db, "l", "two@example.com")
		id := preferences(t, db, 0, "one@example.com")
		zones := []int64{must[zonewire.Zone](t)(db.Zone(t.Context(), "b")).ID}
		s := must[zonewire.Subscription](t)(db.EditPlace(t.Context(), at(time.Minute), id, mine.ID, zonewire.PlaceEdit{Zones: &zones}))
		if !slices.Equal(s.Zones, []string{"b"}) {
			t.Errorf("zones: %+v", s)
		}
		until := t0.Add(9 * day)
		if s := must[zonewire.Subscription](t)(db.EditPlace(t.Context(), at(time.Minute), id, mine.ID, zonewire.PlaceEdit{Pause: &until})); s.State != zonewire.SubPaused || !s.PausedUntil.Equal(until) {
			t.Errorf("paused: %+v", s)
		}
		if s := must[zonewire.Subscription](t)(db.EditPlace(t.Context(), at(time.Minute), id, mine.ID, zonewire.PlaceEdit{Resume: true})); s.State != zonewire.SubActive {
			t.Errorf("resumed: %+v", s)
		}
		if _, err := db.EditPlace(t.Context(), at(time.Minute), id, other.ID, zonewire.PlaceEdit{Pause: &until}); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("another's place: %v", err)
		}
		if s := place(t, db, "two@example.com", "l"); s.State != zonewire.SubActive {
			t.Errorf("another's place is %s", s.State)
		}
		if _, err := db.EditPlace(t.Context(), at(2*time.Hour), id, mine.ID, zonewire.PlaceEdit{Zones: &zones}); !errors.Is(err, zonewire.ErrGone) {
			t.Errorf("after two hours: %v", err)
		}
		check(t, db.EditPerson(t.Context(), at(time.Minute), id, zonewire.LocaleEN))
		if err := db.EditPerson(t.Context(), at(time.Minute), id, "fr"); !errors.Is(err, zonewire.ErrInvalid) {
			t.Errorf("a language that nobody speaks here: %v", err)
		}
	})
}

func TestLeavingAllEndsEveryPlace(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "one@example.com")
		subscribe(t, db, "m", "one@example.com")
		id := preferences(t, db, 0, "one@example.com")
		if n := must[int](t)(db.LeaveAll(t.Context(), at(0), id)); n != 2 {
			t.Errorf("left %d", n)
		}
		if n := must[int](t)(db.LeaveAll(t.Context(), at(0), id)); n != 0 {
			t.Errorf("left %d again", n)
		}
	})
}

func TestAnAddressChangesWhenBothAgree(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		for _, order := range [][2]int{{0, 1}, {1, 0}} {
			from, to := fmt.Sprintf("from%d@example.com", order[0]), fmt.Sprintf("to%d@example.com", order[0])
			sub := subscribe(t, db, "l", from)
			put(t, db, 0, news("a", order[0]))
			id := preferences(t, db, 0, from)
			for range 2 { // the second is one too many within the hour
				check(t, db.RequestAddress(t.Context(), at(time.Minute), id, addressOf(to), letters))
			}
			mails := mailed(t, db, time.Minute)
			if len(mails) != 2 || mails[0].kind+" "+mails[0].to != "old-address "+from || mails[1].kind+" "+mails[1].to != "new-address "+to {
				t.Fatalf("letters: %+v", mails)
			}
			first, second := mails[order[0]].ticket, mails[order[1]].ticket
			for range 2 {
				if must[bool](t)(db.ConfirmAddress(t.Context(), at(time.Hour), first)) {
					t.Error("one alone has changed it")
				}
			}
			for range 2 {
				if !must[bool](t)(db.ConfirmAddress(t.Context(), at(time.Hour), second)) {
					t.Error("both agreed, and it is not done")
				}
			}
			if got := must[zonewire.Subscriber](t)(db.Subscriber(t.Context(), to)); got.ID != sub.Subscriber || got.Email != to {
				t.Errorf("now: %+v", got)
			}
			if _, err := db.Account(t.Context(), id, t0.Add(time.Hour)); !errors.Is(err, zonewire.ErrNotFound) {
				t.Errorf("a link that was mailed to the old address still opens the account: %v", err)
			}
		}
	})
}

// Who asks for an address that somebody has learns nothing of it, and its owner hears nothing.
func TestAnAddressThatSomebodyHasIsNotGiven(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "one@example.com")
		subscribe(t, db, "l", "two@example.com")
		id := preferences(t, db, 0, "one@example.com")
		check(t, db.RequestAddress(t.Context(), at(0), id, addressOf("two@example.com"), letters))
		old := letterTo(t, db, 0, "one@example.com")
		if must[bool](t)(db.ConfirmAddress(t.Context(), at(0), old.ticket)) {
			t.Error("the address was given away")
		}

		// And if somebody takes it while the letters are out, the change fails.
		subscribe(t, db, "l", "three@example.com")
		id = preferences(t, db, 2*time.Hour, "three@example.com")
		check(t, db.RequestAddress(t.Context(), at(2*time.Hour), id, addressOf("four@example.com"), letters))
		mails := mailed(t, db, 2*time.Hour)
		subscribe(t, db, "l", "four@example.com")
		must[bool](t)(db.ConfirmAddress(t.Context(), at(2*time.Hour), mails[0].ticket))
		if _, err := db.ConfirmAddress(t.Context(), at(2*time.Hour), mails[1].ticket); !errors.Is(err, zonewire.ErrExists) {
			t.Errorf("taken meanwhile: %v", err)
		}
	})
}

func TestPersonalDataIsAllThatIsKept(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		subscribe(t, db, "l", "one@example.com", "a")
		put(t, db, 0, news("a", 1))
		planNext(t, db, day)
		mailed(t, db, day)
		data := must[zonewire.PersonalData](t)(db.PersonalData(t.Context(), preferences(t, db, day, "one@example.com"), t0.Add(day)))
		if data.Subscriber.Email != "one@example.com" || len(data.Subscriber.Subscriptions) != 1 {
			t.Errorf("who: %+v", data.Subscriber)
		}
		if len(data.Deliveries) != 1 || data.Deliveries[0].List != "l" || data.Deliveries[0].State != zonewire.Accepted {
			t.Errorf("mails: %+v", data.Deliveries)
		}
		if len(data.Acts) == 0 || data.Acts[len(data.Acts)-1].Action != "subscriber.subscribe" {
			t.Errorf("changes: %+v", data.Acts)
		}
	})
}

func TestWhoErasesThemselvesLeavesANumber(t *testing.T) {
	onPeople(t, func(t *testing.T, db *store.DB) {
		sub := subscribe(t, db, "l", "one@example.com")
		put(t, db, 0, news("a", 1))
		d, _ := planNext(t, db, day)
		check(t, db.RequestPlace(t.Context(), at(day), wishFor("m", "one@example.com")))
		check(t, db.RequestPreferences(t.Context(), at(day), addressOf("one@example.com"), letters))
		var confirm, id int64
		w := worker(t, db, day)
		for _, j := range claim(t, db, w, 64, day) {
			if j.Kind != zonewire.NoticeJob {
				continue
			}
			n, _ := strconv.ParseInt(j.Mail.Text[0], 10, 64)
			switch j.Mail.Subject {
			case "confirm":
				confirm = n
			case "preferences":
				id = n
			}
		}
		check(t, db.Erase(t.Context(), at(day), id))
		for name, err := range map[string]error{
			"account": errorOf(db.Account(t.Context(), id, t0.Add(day))),
			"confirm": errorOf(db.ConfirmPlace(t.Context(), at(day), confirm)),
			"erase":   db.Erase(t.Context(), at(day), id),
		} {
			if !errors.Is(err, zonewire.ErrNotFound) {
				t.Errorf("%s after erasure: %v", name, err)
			}
		}
		if _, _, err := db.Leave(t.Context(), at(day), sub.ID); !errors.Is(err, zonewire.ErrNotFound) {
			t.Errorf("leave after erasure: %v", err)
		}
		if c := countsOf(t, db, d); c.Sum() != 1 || c[zonewire.Cancelled] != 1 {
			t.Errorf("counts %v", c)
		}
		var found []string
		rows, err := store.Reader(db).Query(`SELECT wish FROM ticket UNION ALL SELECT detail FROM audit UNION ALL SELECT email FROM subscriber UNION ALL SELECT email FROM notice`)
		check(t, err)
		defer rows.Close()
		for rows.Next() {
			var text string
			check(t, rows.Scan(&text))
			if strings.Contains(text, "one@") {
				found = append(found, text)
			}
		}
		if check(t, rows.Err()); found != nil {
			t.Errorf("the address still stands in %q", found)
		}
	})
}

func errorOf[T any](_ T, err error) error { return err }
