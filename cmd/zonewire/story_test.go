package main

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/ingest"
)

// A zone has a story on Monday, and the city's portal has it on Tuesday with a line of its own before it. Whoever read the
// first has no need of the second; whoever follows only the portal, or came on Tuesday, has.
func TestAStoryIsToldOnceToEachReader(t *testing.T) {
	s, err := loadSettings("", t.TempDir()+"/z.db", []string{"ZONEWIRE_MAIL_MAILDIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a := &app{settings: s, stderr: t.Output()}
	check(a.with(ctx, mayMigrate, func(db *session) error {
		e, err := newEngine(ctx, a, db, slog.New(slog.DiscardHandler))
		check(err)
		monday := time.Date(2026, 11, 23, 9, 0, 0, 0, zonewire.Shanghai)
		act := func(day int) zonewire.Act { return zonewire.Act{At: monday.AddDate(0, 0, day), By: "test"} }
		for _, z := range []zonewire.Zone{{Slug: "chenghu", Name: "澄湖经济开发区"}, {Slug: "portal", Name: "湖滨高新区"}, {Slug: "far", Name: "云岭工业园"}} {
			_, _, err := db.AddZone(ctx, act(0), z)
			check(err)
		}
		_, err = db.AddList(ctx, act(0), zonewire.List{
			Slug: "daily", Title: "早报", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", All: true, Locale: "zh-CN", MaxItems: 50,
			MaxAge: zonewire.DefaultMaxAge, CatchUp: zonewire.DefaultCatchUp, NextSlot: act(9).At,
		}, time.Time{})
		check(err)
		join := func(day int, name string, follows ...string) {
			t.Helper()
			adr, err := db.address(name + "@example.com")
			check(err)
			_, _, err = db.Subscribe(ctx, act(day), zonewire.NewSubscription{
				Address: adr, List: "daily", Zones: follows, Confirmed: true, Consent: "test",
			})
			check(err)
		}
		join(0, "all")
		join(0, "first", "chenghu", "far")
		join(0, "second", "portal")

		body := ""
		for i := range 12 {
			body += fmt.Sprintf("<p>第%d个项目落户澄湖，总投资%d亿元，建成后年产值可达%d亿元，预计带动就业%d人。</p>", i+1, i*7+3, i*11+5, i*130+90)
		}
		put := func(day int, zone, id, title, html string) zonewire.Stored {
			t.Helper()
			line := fmt.Sprintf(`{"zone":%q,"id":%q,"title":%q,"content_html":%q,"published":"2026-11-%d"}`, zone, id, title, html, 23+day)
			r := ingest.Object([]byte(line), ingest.Options{Now: act(day).At})
			check(r.Err)
			stored, err := db.PutArticles(ctx, act(day), []zonewire.Article{r.Article})
			check(err)
			return stored[0]
		}
		worker, err := db.StartWorker(ctx, act(0).At)
		check(err)
		// mails plans a digest and sends it: who gets a mail, and of how many stories.
		mails := func(day int) []string {
			t.Helper()
			_, err := db.CutDigest(ctx, act(day), "daily", act(day).At, e.planner)
			check(err)
			claim, err := db.Claim(ctx, worker, 99, nil, act(day).At)
			check(err)
			var got []string
			for _, j := range claim.Jobs {
				v, err := db.Variant(ctx, j.Variant)
				check(err)
				name, _, _ := strings.Cut(j.Email, "@")
				got = append(got, fmt.Sprint(name, " ", v.Items))
				check(db.Begin(ctx, j, act(day).At))
				check(db.Finish(ctx, j, zonewire.Outcome{State: zonewire.Accepted}, act(day).At))
			}
			slices.Sort(got)
			return got
		}
		first := put(0, "chenghu", "1", "澄湖经济开发区集中签约十二个产业项目", body)
		if got, want := mails(0), []string{"all 1", "first 1"}; !slices.Equal(got, want) {
			t.Errorf("on Monday %v, want %v", got, want)
		}
		join(1, "late")
		copied := put(1, "portal", "1", "【区县】澄湖经济开发区集中签约十二个产业项目", "<p>来源：澄湖发布。</p>"+body)
		if art, err := db.Article(ctx, copied.ID); err != nil || art.DupOf != first.ID {
			t.Fatalf("the portal's copy tells the story of %d, %v, want %d", art.DupOf, err, first.ID)
		}
		put(1, "far", "1", "云岭工业园举办技能竞赛", "<p>百余名选手参加。</p>")
		if got, want := mails(1), []string{"all 1", "first 1", "late 2", "second 1"}; !slices.Equal(got, want) {
			t.Errorf("on Tuesday %v, want %v", got, want)
		}
		return nil
	}))
}
