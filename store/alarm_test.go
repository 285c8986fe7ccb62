package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/store"
)

// names of alarms.
func names(all []zonewire.Alarm) []string {
	var got []string
	for _, a := range all {
		got = append(got, a.Name)
	}
	return got
}

// tells composes a notice to the address that names what it tells.
func tells(email string) func([]zonewire.Alarm) (string, zonewire.Mail, error) {
	return func(untold []zonewire.Alarm) (string, zonewire.Mail, error) {
		return email, zonewire.Mail{Subject: fmt.Sprint(names(untold)), Text: []string{"x"}, HTML: []string{"x"}}, nil
	}
}

// sentNotices sends what waits, and gives kind, address and subject of each notice among it.
func sentNotices(t *testing.T, db *store.DB, after time.Duration) []string {
	t.Helper()
	w := worker(t, db, after)
	var sent []string
	for _, j := range claim(t, db, w, 100, after) {
		if j.Kind == zonewire.NoticeJob {
			if j.Subscriber != 0 || j.Subscription != 0 {
				t.Errorf("notice %d is for subscriber %d, want nobody", j.ID, j.Subscriber)
			}
			var kind string
			check(t, store.Writer(db).QueryRowContext(t.Context(), store.Rewrite(db, `SELECT kind FROM notice WHERE id = ?1`), j.ID).Scan(&kind))
			sent = append(sent, kind+" to "+j.Email+": "+j.Mail.Subject)
		}
		check(t, db.Begin(t.Context(), j, t0.Add(after)))
		check(t, db.Finish(t.Context(), j, accepted, t0.Add(after)))
	}
	check(t, db.StopWorker(t.Context(), w, t0.Add(after)))
	return sent
}

func alarm(name string, after time.Duration) zonewire.Alarm {
	return zonewire.Alarm{Name: name, Since: t0.Add(after), Text: "关于 " + name}
}

func TestAnAlarmIsToldOnceWhileItStands(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		paused, overdue := alarm("sending-paused", 0), alarm("list-overdue:l", time.Minute)
		for i, step := range []struct {
			name         string
			present      []zonewire.Alarm
			fresh, ended []string
			told         []string
		}{
			{"nothing is wrong", nil, nil, nil, nil},
			{"two at once are told in one mail", []zonewire.Alarm{paused, overdue}, []string{"sending-paused", "list-overdue:l"}, nil,
				[]string{"alarm to op@example.com: [sending-paused list-overdue:l]"}},
			{"what stands is not told again", []zonewire.Alarm{paused, overdue}, nil, nil, nil},
			{"one ends", []zonewire.Alarm{overdue}, nil, []string{"sending-paused"}, nil},
			{"what comes back is told again, and what stands is not", []zonewire.Alarm{paused, overdue}, []string{"sending-paused"}, nil,
				[]string{"alarm to op@example.com: [sending-paused]"}},
			{"all end", nil, nil, []string{"sending-paused", "list-overdue:l"}, nil},
		} {
			after := time.Duration(i+2) * time.Minute
			fresh, ended, err := db.SettleAlarms(t.Context(), at(after), step.present, tells("op@example.com"))
			check(t, err)
			if got := names(fresh); !slices.Equal(got, step.fresh) {
				t.Errorf("%s: fresh %v, want %v", step.name, got, step.fresh)
			}
			if got := names(ended); !slices.Equal(got, step.ended) {
				t.Errorf("%s: ended %v, want %v", step.name, got, step.ended)
			}
			if got := sentNotices(t, db, after); !slices.Equal(got, step.told) {
				t.Errorf("%s: told %q, want %q", step.name, got, step.told)
			}
		}
		var audited []string
		for _, e := range must[[]zonewire.AuditEntry](t)(db.Audit(t.Context(), 99)) {
			audited = append(audited, e.Action+" "+e.Target)
		}
		want := []string{
			"alarm.end alarm:list-overdue:l", "alarm.end alarm:sending-paused", "alarm.begin alarm:sending-paused", "alarm.end alarm:sending-paused",
			"alarm.begin alarm:list-overdue:l", "alarm.begin alarm:sending-paused",
		}
		slices.Sort(audited)
		slices.Sort(want)
		if diff := cmp.Diff(want, audited); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestAnAlarmKeepsItsBeginningAndSaysWhatIsPresent(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		first := alarm("provider-open:qq", time.Minute)
		settle := func(a zonewire.Alarm, after time.Duration) {
			t.Helper()
			_, _, err := db.SettleAlarms(t.Context(), at(after), []zonewire.Alarm{a}, tells("op@example.com"))
			check(t, err)
		}
		settle(first, 2*time.Minute)
		settle(zonewire.Alarm{Name: first.Name, Since: t0.Add(time.Hour), Text: "又拒收"}, time.Hour)
		want := []zonewire.Alarm{{Name: first.Name, Since: first.Since, Text: "又拒收", Told: t0.Add(2 * time.Minute)}}
		if diff := cmp.Diff(want, must[[]zonewire.Alarm](t)(db.Alarms(t.Context()))); diff != "" {
			t.Errorf("alarms (-want +got):\n%s", diff)
		}
	})
}

func TestAnAlarmAndItsNoticeAreOneTransaction(t *testing.T) {
	db := openSQLite(t)
	paused := []zonewire.Alarm{alarm("sending-paused", 0)}
	broken := errors.New("template is broken")
	_, _, err := db.SettleAlarms(t.Context(), at(0), paused, func([]zonewire.Alarm) (string, zonewire.Mail, error) {
		return "op@example.com", zonewire.Mail{}, broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the notice's own error", err)
	}
	if _, err := store.Writer(db).Exec(`CREATE TRIGGER refuse BEFORE INSERT ON notice BEGIN SELECT RAISE(ABORT, 'refused'); END`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.SettleAlarms(t.Context(), at(0), paused, tells("op@example.com")); err == nil {
		t.Error("settled although the notice could not be queued")
	}
	if all := must[[]zonewire.Alarm](t)(db.Alarms(t.Context())); len(all) != 0 {
		t.Errorf("%v stand although their notice failed", names(all))
	}
	if all := must[[]zonewire.AuditEntry](t)(db.Audit(t.Context(), 9)); len(all) != 0 {
		t.Errorf("audit %+v, want nothing", all)
	}
}

func TestAnAlarmThatNobodyWasToldOfIsToldLater(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		present := []zonewire.Alarm{alarm("sending-paused", 0)}
		for i, step := range []struct {
			email string
			told  []string
		}{{"", nil}, {"", nil}, {"op@example.com", []string{"alarm to op@example.com: [sending-paused]"}}, {"op@example.com", nil}} {
			after := time.Duration(i) * time.Minute
			fresh, _, err := db.SettleAlarms(t.Context(), at(after), present, tells(step.email))
			check(t, err)
			if isFresh := len(fresh) == 1; isFresh != (i == 0) {
				t.Errorf("step %d: fresh %v", i, names(fresh))
			}
			if got := sentNotices(t, db, after); !slices.Equal(got, step.told) {
				t.Errorf("step %d: told %q, want %q", i, got, step.told)
			}
		}
	})
}

func TestListsComplainedOf(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true})
		addList(t, db, zonewire.List{Slug: "other", All: true})
		edit := func(after time.Duration, change func(l *zonewire.List)) {
			t.Helper()
			_, err := db.EditList(t.Context(), at(after), "l", func(l *zonewire.List) error { change(l); return nil })
			check(t, err)
		}
		pause := func(l *zonewire.List) { l.Paused = true }
		resume := func(l *zonewire.List) { l.Paused = false }
		complaints := func(after time.Duration) { // as pauseOfComplaints does
			t.Helper()
			edit(after, pause)
			behind(t, db, `INSERT INTO audit (at_ms, actor, action, target, detail) VALUES (?1, 'daemon', 'list.pause', 'list:l', '3 complaints within a week')`, t0.Add(after).UnixMilli())
		}
		want := func(after time.Duration, wants ...store.Complained) {
			t.Helper()
			got := must[[]store.Complained](t)(db.ListsComplainedOf(t.Context()))
			if diff := cmp.Diff(wants, got); diff != "" {
				t.Errorf("after %v (-want +got):\n%s", after, diff)
			}
			var present []zonewire.Alarm // the watch settles what it sees
			for _, c := range got {
				present = append(present, zonewire.Alarm{Name: zonewire.AlarmName(zonewire.AlarmListComplaints, c.List), Since: c.Since})
			}
			_, _, err := db.SettleAlarms(t.Context(), at(after), present, tells(""))
			check(t, err)
		}
		edit(0, pause)
		want(0) // by hand
		edit(time.Hour, resume)
		complaints(2 * time.Hour)
		want(2*time.Hour, store.Complained{List: "l", Title: "园区早报", Since: t0.Add(2 * time.Hour)})
		edit(3*time.Hour, func(l *zonewire.List) { l.MaxItems = 9 })
		want(3*time.Hour, store.Complained{List: "l", Title: "园区早报", Since: t0.Add(2 * time.Hour)})
		edit(4*time.Hour, resume)
		want(4 * time.Hour)
		edit(5*time.Hour, pause)
		want(5 * time.Hour) // by hand, long after
		edit(6*time.Hour, resume)
		complaints(7 * time.Hour)
		want(7*time.Hour, store.Complained{List: "l", Title: "园区早报", Since: t0.Add(7 * time.Hour)})
		_, err := db.RemoveList(t.Context(), at(8*time.Hour), "l")
		check(t, err)
		want(8 * time.Hour)
	})
}

func TestUndeliveredSince(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		d := planned(t, db, 6)
		w := worker(t, db, day)
		for i, j := range claim(t, db, w, 6, day) {
			check(t, db.Begin(t.Context(), j, t0.Add(day)))
			state := []zonewire.DeliveryState{zonewire.Accepted, zonewire.Rejected, zonewire.Expired, zonewire.Expired, zonewire.Uncertain, zonewire.Deferred}[i]
			out := zonewire.Outcome{State: state, Next: t0.Add(2 * day)}
			check(t, db.Finish(t.Context(), j, out, t0.Add(day+time.Duration(i)*time.Minute)))
		}
		base := store.Undelivered{Digest: d.ID, Title: "园区早报", Timezone: "Asia/Shanghai", Slot: d.Slot}
		expired, uncertain := base, base
		expired.State, expired.Count, expired.Since = zonewire.Expired, 2, t0.Add(day+2*time.Minute)
		uncertain.State, uncertain.Count, uncertain.Since = zonewire.Uncertain, 1, t0.Add(day+4*time.Minute)
		want := func(what string, since time.Duration, wants ...store.Undelivered) {
			t.Helper()
			if diff := cmp.Diff(wants, must[[]store.Undelivered](t)(db.UndeliveredSince(t.Context(), t0.Add(since)))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		want("two expired and one is uncertain", day, uncertain, expired)
		want("an older digest is let be", day+time.Second)

		check(t, db.PauseSending(t.Context(), at(day), "by the operator"))
		check(t, db.ResumeSending(t.Context(), at(day), true))
		want("what the operator let expire does not count", day, uncertain, expired)
		must[int](t)(db.RetryDeliveries(t.Context(), at(day), d.ID, 0))
		want("what is tried again does not either", day)
	})
}

func TestTheWatchReadsOnlyRecentDeliveries(t *testing.T) {
	db := openSQLite(t)
	for _, text := range store.Queries() {
		if strings.Contains(text, "CROSS JOIN delivery d") {
			if plan := explain(t, store.Writer(db), text); strings.Contains(plan, "SCAN d\n") || !strings.Contains(plan, "SEARCH d USING INDEX") {
				t.Errorf("it reads all deliveries:\n%s", plan)
			}
			return
		}
	}
	t.Error("no such query")
}

func TestArrivalsSince(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		for _, slug := range []string{"a", "b", "c"} {
			addZone(t, db, slug, slug+"区")
		}
		put(t, db, -2*day, news("a", 1), news("b", 2), news("c", 3))
		put(t, db, 15*time.Hour, news("a", 4)) // 23:00 in Shanghai
		put(t, db, 16*time.Hour, news("a", 5)) // and the next day
		put(t, db, 17*time.Hour, news("a", 6), news("nobody", 7))
		must[int](t)(db.CloseZone(t.Context(), at(day), "c", ""))
		got := must[[]store.ZoneArrivals](t)(db.ArrivalsSince(t.Context(), t0.Add(-2*day)))
		today := t0.Unix() / 86400
		want := []store.ZoneArrivals{
			{Zone: zonewire.Zone{Slug: "a", Name: "a区"}, Arrivals: store.Arrivals{Days: []int64{today - 2, today, today + 1}, Last: t0.Add(17 * time.Hour)}},
			{Zone: zonewire.Zone{Slug: "b", Name: "b区"}, Arrivals: store.Arrivals{Days: []int64{today - 2}, Last: t0.Add(-2 * day)}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("arrivals (-want +got):\n%s", diff)
		}
	})
}

// previewing is a planner that shows each digest to an operator.
type previewing struct {
	plain
	fail bool
}

func (p previewing) Plan(r zonewire.PlanRequest) (zonewire.Plan, error) {
	plan, err := p.plain.Plan(r)
	plan.Preview = &zonewire.Notice{Email: "op@example.com", Mail: zonewire.Mail{Subject: fmt.Sprint("digest ", r.Digest), Text: []string{"x"}, HTML: []string{"x"}}}
	if p.fail {
		plan.Variants = nil
	}
	return plan, err
}

func TestThePreviewOfAHeldDigestGoesOutBeforeIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, db *store.DB) {
		addZone(t, db, "a", "甲区")
		addList(t, db, zonewire.List{Slug: "l", All: true, Hold: 30 * time.Minute})
		subscribe(t, db, "l", "reader@example.com")
		put(t, db, time.Hour, news("a", 1))
		if _, _, err := db.PlanNext(t.Context(), t0.Add(day), previewing{fail: true}); err == nil {
			t.Fatal("planned without the readers' mail")
		}
		if sent := sentNotices(t, db, day); sent != nil {
			t.Errorf("%q was queued for a digest that was not planned", sent)
		}
		d, _, err := db.PlanNext(t.Context(), t0.Add(day), previewing{})
		check(t, err)
		want := []string{fmt.Sprintf("preview to op@example.com: digest %d", d.ID)}
		if sent := sentNotices(t, db, day); !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
		if c := countsOf(t, db, d); c[zonewire.Pending] != 1 {
			t.Errorf("counts %v, want the reader's mail to wait", c)
		}
		if n := must[int](t)(db.CancelDigest(t.Context(), at(day), d.ID)); n != 1 {
			t.Errorf("%d cancelled, want 1", n)
		}
	})
}
