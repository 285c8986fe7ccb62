package digest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/digest"
)

// plainComposer says which articles it was given, for whom. It fails for the locale "broken".
type plainComposer struct{ editions []digest.Edition }

func (c *plainComposer) Render(e digest.Edition) (zonewire.Mail, int, error) {
	c.editions = append(c.editions, e)
	if e.Locale == "broken" {
		return zonewire.Mail{}, 0, errors.New("template is broken")
	}
	return zonewire.Mail{Subject: "mail " + said(e), From: e.From, ReplyTo: e.ReplyTo, BaseURL: e.BaseURL, Host: "new.example",
		List: e.List.Slug, ListTitle: e.List.Title, Locale: e.Locale, Digest: e.Digest, Date: e.Slot}, len(e.Articles), nil
}

func (c *plainComposer) Page(e digest.Edition) (string, error) { return "page " + said(e), nil }

func (c *plainComposer) Preview(m zonewire.Mail, h digest.Held) (zonewire.Mail, error) {
	if h.Locale == "broken" {
		return m, errors.New("template is broken")
	}
	m.Subject = fmt.Sprintf("preview %d in %s for %d at %s until %s of %s", h.Digest, h.Locale, h.Recipients, h.Now.Format("15:04"), h.Until.Format("15:04 -0700"), m.Subject)
	return m, nil
}

func said(e digest.Edition) string {
	text := fmt.Sprintf("%s [%s] %v", e.Locale, e.Audience, ids(e.Articles))
	if e.Notes != nil {
		text += fmt.Sprintf(", notes %q", notesSaid(e.Notes))
	}
	if e.Silent != nil {
		text += fmt.Sprintf(", silent %v", e.Silent[0].Source)
	}
	for _, a := range e.Articles {
		if copies := e.Copies[a.ID]; copies != nil {
			text += fmt.Sprintf(", %d also %v", a.ID, ids(copies))
		}
	}
	return text
}

// ids are those of the articles; what was withdrawn has a minus before it.
func ids(articles []zonewire.Article) []int64 {
	var all []int64
	for _, a := range articles {
		if !a.Withdrawn.IsZero() {
			a.ID = -a.ID
		}
		all = append(all, a.ID)
	}
	return all
}

var (
	slot  = time.Date(2026, 11, 24, 8, 0, 0, 0, zonewire.Shanghai)
	zones = map[int64]zonewire.Zone{
		1: {ID: 1, Slug: "jintan-edz", Province: "江苏"},
		2: {ID: 2, Slug: "suzhou-sip", Province: "江苏"},
		3: {ID: 3, Slug: "wuhan-etdz", Province: "湖北"},
	}
)

// news is an article of a zone, published at the minute some time before the slot.
func news(id, zone int64, before time.Duration, change ...func(*zonewire.Article)) zonewire.Article {
	a := zonewire.Article{ID: id, Seq: id, ZoneID: zone, Title: "t", Published: slot.Add(-before), Received: slot.Add(-time.Hour), Precision: zonewire.PrecisionMinute}
	for _, f := range change {
		f(&a)
	}
	return a
}

func TestSelect(t *testing.T) {
	all := zonewire.List{All: true, MaxAge: 48 * time.Hour}
	ofDay := func(a *zonewire.Article) {
		y, m, d := a.Published.Date()
		a.Published, a.Precision = time.Date(y, m, d, 0, 0, 0, 0, zonewire.Shanghai), zonewire.PrecisionDay
	}
	suspect := func(a *zonewire.Article) { a.Suspect = true }
	undated := func(a *zonewire.Article) { a.Precision = "" }
	old := func(a *zonewire.Article) { a.Received = slot.Add(-49 * time.Hour) }

	tests := []struct {
		name string
		list zonewire.List
		in   []zonewire.Article
		want []int64
	}{
		{"nothing of nothing", all, nil, nil},
		{"the newest published comes first, whatever came in first", all, []zonewire.Article{news(1, 1, 3*time.Hour), news(2, 1, time.Hour), news(3, 2, 2*time.Hour)}, []int64{2, 3, 1}},
		{"of the same minute, the last to come in is first", all, []zonewire.Article{news(1, 1, time.Hour), news(3, 2, time.Hour), news(2, 1, time.Hour)}, []int64{3, 2, 1}},
		{"an article without a zone waits", all, []zonewire.Article{news(1, 0, time.Hour)}, nil},
		{"a zone that is not known is none", all, []zonewire.Article{news(1, 9, time.Hour)}, nil},
		{"a withdrawn article stays out", all, []zonewire.Article{news(1, 1, time.Hour, func(a *zonewire.Article) { a.Withdrawn = slot })}, nil},
		{"a province takes its zones", zonewire.List{Province: "湖北"}, []zonewire.Article{news(1, 1, time.Hour), news(2, 3, time.Hour)}, []int64{2}},
		{"named zones", zonewire.List{ZoneIDs: []int64{2, 3}}, []zonewire.Article{news(1, 1, time.Hour), news(2, 2, time.Hour), news(3, 3, time.Hour)}, []int64{3, 2}},
		{"just within the age", all, []zonewire.Article{news(1, 1, 48*time.Hour)}, []int64{1}},
		{"just past the age", all, []zonewire.Article{news(1, 1, 48*time.Hour+time.Minute)}, nil},
		{"no bound on age", zonewire.List{All: true}, []zonewire.Article{news(1, 1, 9000*time.Hour)}, []int64{1}},
		{"a day lasts to its end: the day before the day before yesterday ended 32 hours ago", all, []zonewire.Article{news(1, 1, 50*time.Hour, ofDay)}, []int64{1}},
		{"and the day before that ended 56 hours ago", all, []zonewire.Article{news(1, 1, 57*time.Hour, ofDay)}, nil},
		{"a date that cannot be true is as old as its arrival", all, []zonewire.Article{news(1, 1, 9000*time.Hour, suspect)}, []int64{1}},
		{"and too old when that is", all, []zonewire.Article{news(1, 1, time.Hour, suspect, old)}, nil},
		{"no date, likewise", all, []zonewire.Article{news(1, 1, 9000*time.Hour, undated), news(2, 1, time.Hour, undated, old)}, []int64{1}},
		{"both tellings of a story stay: each reader may follow one zone", all, []zonewire.Article{news(1, 1, time.Hour), copyOf(1, 2, 2)}, []int64{2, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ids((&digest.Planner{}).Select(tt.list, slot, tt.in, zones))
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v of %v", got, tt.want, ids(tt.in))
			}
		})
	}
}

func copyOf(story, id, zone int64) zonewire.Article {
	return news(id, zone, time.Hour, func(a *zonewire.Article) { a.DupOf = story })
}

func planner(c *plainComposer) *digest.Planner {
	return &digest.Planner{Composer: c, Secret: zonewire.Secret(strings.Repeat("k", 32)), From: "news@example.org",
		ReplyTo: "desk@example.org", PostalAddress: "1 Road", BaseURL: "https://news.example.org"}
}

func TestPlan(t *testing.T) {
	zh := func(zones string) zonewire.Audience {
		return zonewire.Audience{Locale: "zh-CN", Zones: zones, Size: 2}
	}
	en := zonewire.Audience{Locale: "en", Size: 1}
	two := []zonewire.Article{news(1, 1, 2*time.Hour), news(2, 2, time.Hour)}

	tests := []struct {
		name      string
		articles  []zonewire.Article
		audiences []zonewire.Audience
		items     []int64
		mails     []string
		empty     []zonewire.Audience
	}{
		{"nothing new makes no mail", nil, []zonewire.Audience{zh(""), en}, nil, nil, []zonewire.Audience{zh(""), en}},
		{"the whole digest is made for nobody too, for its page", two, nil, []int64{2, 1}, []string{"mail zh-CN [] [2 1]"}, nil},
		{"who follows all zones gets the mail of the page", two, []zonewire.Audience{zh("")}, []int64{2, 1}, []string{"mail zh-CN [] [2 1]"}, nil},
		{"each audience has its mail", two, []zonewire.Audience{en, zh(""), zh("1"), zh("1,2")}, []int64{2, 1},
			[]string{"mail zh-CN [] [2 1]", "mail en [] [2 1]", "mail zh-CN [1] [1]", "mail zh-CN [1,2] [2 1]"}, nil},
		{"an audience without news has none", two, []zonewire.Audience{zh("3"), zh("1,3")}, []int64{2, 1},
			[]string{"mail zh-CN [] [2 1]", "mail zh-CN [1,3] [1]"}, []zonewire.Audience{zh("3")}},
		{"a story told twice is read once, from the first zone or else from the other",
			[]zonewire.Article{news(1, 1, 3*time.Hour), copyOf(1, 2, 2)}, []zonewire.Audience{zh("1"), zh("2"), zh("1,2")}, []int64{2, 1},
			[]string{"mail zh-CN [] [1], 1 also [2]", "mail zh-CN [1] [1]", "mail zh-CN [2] [2]", "mail zh-CN [1,2] [1], 1 also [2]"}, nil},
		{"the copies that a reader's zones have are named under the first, the oldest first",
			[]zonewire.Article{copyOf(1, 4, 2), news(1, 1, time.Hour), copyOf(1, 3, 3), copyOf(1, 2, 1), news(9, 2, time.Minute)},
			[]zonewire.Audience{zh("2,3")}, []int64{9, 4, 3, 2, 1},
			[]string{"mail zh-CN [] [9 1], 1 also [2 3 4]", "mail zh-CN [2,3] [9 3], 3 also [4]"}, nil},
		{"who had the story in an earlier mail is not told again, and others are",
			[]zonewire.Article{copyOf(1, 7, 2), news(9, 3, time.Hour)},
			[]zonewire.Audience{{Locale: "zh-CN", Told: "1", Size: 1}, {Locale: "zh-CN", Zones: "2", Told: "1", Size: 1}, zh("2")}, []int64{9, 7},
			[]string{"mail zh-CN [] [9 7]", "mail zh-CN [] [9]", "mail zh-CN [2] [7]"}, []zonewire.Audience{{Locale: "zh-CN", Zones: "2", Told: "1", Size: 1}}},
		{"two copies of a story from an earlier digest are one",
			[]zonewire.Article{copyOf(1, 7, 2), copyOf(1, 8, 3)}, []zonewire.Audience{zh("3")}, []int64{8, 7},
			[]string{"mail zh-CN [] [7], 7 also [8]", "mail zh-CN [3] [8]"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := planner(&plainComposer{}).Plan(zonewire.PlanRequest{
				List: zonewire.List{ID: 5, Slug: "morning", All: true, Locale: "zh-CN"}, Digest: 17, Slot: slot,
				Articles: tt.articles, Zones: zones, Audiences: tt.audiences})
			if err != nil {
				t.Fatal(err)
			}
			var mails []string
			for i, v := range got.Variants {
				mails = append(mails, v.Mail.Subject)
				if hasPage := v.Web != ""; hasPage != (v.Zones == "" && v.Told == "") {
					t.Errorf("variant %d has page %q; those of all zones have one, and no other", i, v.Web)
				}
				if v.ID != 0 || v.Digest != 17 || !strings.HasPrefix(v.Mail.Subject, "mail "+v.Locale+" ["+v.Zones+"]") || v.Items == 0 {
					t.Errorf("variant %d is %+v: not what it was composed for", i, v)
				}
			}
			if !slices.Equal(got.Items, tt.items) || !slices.Equal(mails, tt.mails) || !slices.Equal(got.Empty, tt.empty) {
				t.Errorf("got items %v, mails %q, empty %v\nwant items %v, mails %q, empty %v", got.Items, mails, got.Empty, tt.items, tt.mails, tt.empty)
			}
		})
	}
}

func TestPlanFails(t *testing.T) {
	for _, bad := range []zonewire.Audience{{Locale: "broken"}, {Locale: "en", Zones: "1,x"}} {
		_, err := planner(&plainComposer{}).Plan(zonewire.PlanRequest{List: zonewire.List{Slug: "morning", All: true, Locale: "en"},
			Slot: slot, Articles: []zonewire.Article{news(1, 1, time.Hour)}, Zones: zones, Audiences: []zonewire.Audience{bad}})
		if err == nil || !strings.Contains(err.Error(), "list morning") {
			t.Errorf("audience %+v: got error %v, want one that names the list", bad, err)
		}
	}
}

func TestPlanOfAHeldList(t *testing.T) {
	held := zonewire.List{ID: 5, Slug: "morning", All: true, Locale: "en", Timezone: "Europe/Berlin", Hold: 30 * time.Minute}
	sent := held
	sent.Hold = 0
	one := []zonewire.Article{news(1, 1, time.Hour)}
	zh := zonewire.Audience{Locale: "zh-CN", Zones: "1", Size: 4}
	tests := []struct {
		name      string
		list      zonewire.List
		operator  string
		audiences []zonewire.Audience
		articles  []zonewire.Article
		want      string
	}{
		{"all readers of all its mails are counted", held, "op@example.org", []zonewire.Audience{zh, {Locale: "en", Size: 3}}, one,
			"preview 17 in zh-CN for 7 at 01:00 until 01:30 +0100 of mail en [] [1]"},
		{"but not those who get none", held, "op@example.org", []zonewire.Audience{{Locale: "en", Zones: "2", Size: 9}, zh}, one,
			"preview 17 in zh-CN for 4 at 01:00 until 01:30 +0100 of mail en [] [1]"},
		{"nobody gets it", held, "op@example.org", nil, one, "preview 17 in zh-CN for 0 at 01:00 until 01:30 +0100 of mail en [] [1]"},
		{"nothing new", held, "op@example.org", []zonewire.Audience{zh}, nil, ""},
		{"no operator", held, "", []zonewire.Audience{zh}, one, ""},
		{"not held", sent, "op@example.org", []zonewire.Audience{zh}, one, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := planner(&plainComposer{})
			p.Operator, p.OperatorLocale = tt.operator, "zh-CN"
			got, err := p.Plan(zonewire.PlanRequest{List: tt.list, Digest: 17, Slot: slot, Now: slot, Articles: tt.articles, Zones: zones, Audiences: tt.audiences})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if got.Preview != nil {
					t.Errorf("got preview %q, want none", got.Preview.Mail.Subject)
				}
				return
			}
			if got.Preview == nil || got.Preview.Mail.Subject != tt.want || got.Preview.Email != tt.operator {
				t.Errorf("got %+v, want %s", got.Preview, tt.want)
			}
		})
	}

	p := planner(&plainComposer{})
	p.Operator, p.OperatorLocale = "op@example.org", "broken"
	_, err := p.Plan(zonewire.PlanRequest{List: held, Slot: slot, Now: slot, Articles: one, Zones: zones})
	if err == nil || !strings.Contains(err.Error(), "list morning") {
		t.Errorf("a preview that cannot be composed: got %v, want an error that names the list", err)
	}
}

// A preview is the readers' mail word for word, with a line on top, and nothing that acts for a reader.
func TestPreview(t *testing.T) {
	e := sample(t)
	m, html, text := render(t, e)
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, zonewire.Shanghai)
	tests := []struct {
		name, locale  string
		until         time.Time
		readers       int
		subject, line string
	}{
		{"in Chinese", "zh-CN", now.Add(30 * time.Minute), 12, "〔待发 08:30〕", "这一期 08:30 发出，共发给 12 人。如不想发出，请在此之前运行： zonewire digest cancel 17"},
		{"in English", "en", now.Add(30 * time.Minute), 12, "[Held until 08:30] ", "Held until 08:30, then it goes to 12 readers. To stop it, run this before: zonewire digest cancel 17"},
		{"to one reader", "en", now.Add(time.Minute), 1, "[Held until 08:01] ", "Held until 08:01, then it goes to 1 reader. To stop it, run this before: zonewire digest cancel 17"},
		{"past midnight", "zh-CN", now.Add(17 * time.Hour), 2, "〔待发 11月25日 01:00〕", "这一期 11月25日 01:00 发出，共发给 2 人。如不想发出，请在此之前运行： zonewire digest cancel 17"},
		{"past midnight in English", "en", now.Add(17 * time.Hour), 2, "[Held until 25 November 01:00] ", "Held until 25 November 01:00, then it goes to 2 readers. To stop it, run this before: zonewire digest cancel 17"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := renderer(t).Preview(m, digest.Held{Digest: 17, Now: now, Until: tt.until, Recipients: tt.readers, Locale: tt.locale})
			if err != nil {
				t.Fatal(err)
			}
			if got.Subject != tt.subject+m.Subject {
				t.Errorf("subject %q, want %q before %q", got.Subject, tt.subject, m.Subject)
			}
			if len(got.HTML) != 1 || len(got.Text) != 1 || got.List != "" || got.ListTitle != "" || !got.Date.Equal(now) || got.From != m.From || got.Host != m.Host {
				t.Errorf("got %d and %d chunks, list %q, date %v, from %q, host %q: want a notice", len(got.HTML), len(got.Text), got.List, got.Date, got.From, got.Host)
			}
			if diff := cmp.Diff(tt.line+"\n\n"+strings.ReplaceAll(text, "TOKEN", "sample"), got.Text[0]); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
			head, rest, _ := strings.Cut(strings.ReplaceAll(html, "TOKEN", "sample"), "<body")
			tag, rest, _ := strings.Cut(rest, ">")
			if !strings.HasPrefix(got.HTML[0], head+"<body"+tag+">") || !strings.HasSuffix(got.HTML[0], rest) {
				t.Error("the readers' page was changed beyond a piece behind its body tag")
			}
			doc := document(t, got.HTML[0])
			if first := strings.TrimSpace(doc.Find("body").Children().First().Text()); first != tt.line {
				t.Errorf("the page begins with %q, want %q", first, tt.line)
			}
		})
	}

	m.HTML = []string{"no page <", ">"}
	got, err := renderer(t).Preview(m, digest.Held{Digest: 17, Now: now, Until: now, Locale: "en"})
	if err != nil || !strings.HasSuffix(got.HTML[0], "no page <sample>") {
		t.Errorf("an operator's template without a body: got %q, %v", got.HTML, err)
	}
}

func TestEditionIsThatOfTheListOrTheInstallation(t *testing.T) {
	c := &plainComposer{}
	p := planner(c)
	for _, l := range []zonewire.List{{ID: 5, All: true, Locale: "en"}, {ID: 5, All: true, Locale: "en", From: "own@example.org", ReplyTo: "re@example.org", Private: true}} {
		if _, err := p.Plan(zonewire.PlanRequest{List: l, Digest: 17, Slot: slot, Articles: []zonewire.Article{news(1, 1, time.Hour)}, Zones: zones}); err != nil {
			t.Fatal(err)
		}
	}
	want := digest.Edition{List: zonewire.List{ID: 5, All: true, Locale: "en"}, Digest: 17, Slot: slot, Articles: []zonewire.Article{news(1, 1, time.Hour)},
		Zones: zones, Locale: "en", From: "news@example.org", ReplyTo: "desk@example.org", PostalAddress: "1 Road",
		BaseURL: "https://news.example.org", Mark: p.Secret.Mark(5, slot.UnixMilli())}
	if diff := cmp.Diff(want, c.editions[0]); diff != "" {
		t.Errorf("edition (-want +got):\n%s", diff)
	}
	own := c.editions[1]
	if own.From != "own@example.org" || own.ReplyTo != "re@example.org" {
		t.Errorf("the list's own sender lost: %q, %q", own.From, own.ReplyTo)
	}
	if id, ok := p.Secret.OpenToken(zonewire.PurposePrivate, own.Key); !ok || id != 5 {
		t.Errorf("the key %q of a private list opens %d, %v, want list 5", own.Key, id, ok)
	}
}

func TestRecompose(t *testing.T) {
	withdrawn := func(a zonewire.Article) zonewire.Article {
		a.Withdrawn = slot.Add(time.Hour)
		return a
	}
	first, second, third := news(1, 1, 2*time.Hour), copyOf(1, 2, 2), news(3, 1, time.Hour)
	notes := []zonewire.Note{noted(11, 1, "c", 9), noted(12, 2, "w", 3)}
	gone := noted(11, 1, "c", 9)
	gone.Article.Withdrawn = slot.Add(time.Hour)
	tests := []struct {
		name, zones, web string
		articles         []zonewire.Article
		notes            []zonewire.Note
		silent           []zonewire.Silence
		want, page       string // an empty mail: nothing is left to read
	}{
		{"what stands is mailed", "", "", []zonewire.Article{first, third}, nil, nil, "mail en [] [3 1]", ""},
		{"what was withdrawn is not", "", "", []zonewire.Article{withdrawn(first), third}, nil, nil, "mail en [] [3]", ""},
		{"the copy takes the place of a story withdrawn", "", "", []zonewire.Article{withdrawn(first), second}, nil, nil, "mail en [] [2]", ""},
		{"a copy is named", "", "", []zonewire.Article{first, second}, nil, nil, "mail en [] [1], 1 also [2]", ""},
		{"a copy that was withdrawn is not", "", "", []zonewire.Article{first, withdrawn(second)}, nil, nil, "mail en [] [1]", ""},
		{"the zones stay", "1", "", []zonewire.Article{first, second, withdrawn(third)}, nil, nil, "mail en [1] [1]", ""},
		{"the page is made again too", "", "old page", []zonewire.Article{first}, nil, nil, "mail en [] [1]", "page en [] [1]"},
		{"and keeps the place of what was withdrawn", "", "old page", []zonewire.Article{withdrawn(first), third}, nil, nil, "mail en [] [3]", "page en [] [3 -1]"},
		{"also where a copy tells the story now", "", "old page", []zonewire.Article{withdrawn(first), second, third}, nil, nil, "mail en [] [3 2]", "page en [] [3 2 -1]"},
		{"but not of a copy, which had none", "", "old page", []zonewire.Article{first, withdrawn(second)}, nil, nil, "mail en [] [1]", "page en [] [1]"},
		{"nothing is left", "", "", []zonewire.Article{withdrawn(first)}, nil, nil, "", ""},
		{"nothing is left, and the page says so", "", "old page", []zonewire.Article{withdrawn(first), withdrawn(second), withdrawn(third)}, nil, nil, "", "page en [] [-3 -1]"},
		{"nothing is left of the zones", "2", "", []zonewire.Article{first, withdrawn(second)}, nil, nil, "", ""},
		{"what was told beside the news is told again", "", "old page", []zonewire.Article{first}, notes, []zonewire.Silence{{Source: "a"}},
			`mail en [] [1], notes ["12 withdrawn 3" "11 corrected 9"], silent a`, `page en [] [1], notes ["12 withdrawn 3" "11 corrected 9"], silent a`},
		{"of the zones", "1", "", []zonewire.Article{first}, notes, []zonewire.Silence{{Source: "a", Zone: 2}}, `mail en [1] [1], notes ["11 corrected 9"]`, ""},
		{"what was corrected then and is withdrawn now is withdrawn", "", "", []zonewire.Article{first}, []zonewire.Note{gone}, nil, `mail en [] [1], notes ["11 withdrawn -1"]`, ""},
		{"a note of an item is none, withdrawn or not", "", "", []zonewire.Article{first, withdrawn(third)}, []zonewire.Note{noted(1, 1, "c", 2), noted(3, 1, "c", 2)}, nil, "mail en [] [1]", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mail := zonewire.Mail{From: "then@example.org", ReplyTo: "then-desk@example.org", Host: "then.example", BaseURL: "https://then.example",
				List: "then", ListTitle: "Then", Locale: "en", Digest: 17, Date: slot, Subject: "old", HTML: []string{"old"}, Text: []string{"old"}}
			before := slices.Clone(tt.articles)
			got, some, err := planner(&plainComposer{}).Recompose(
				zonewire.PlanRequest{List: zonewire.List{ID: 5, Slug: "now", Title: "Now", From: "now@example.org", MaxAge: time.Minute}, Digest: 17,
					Slot: slot, Articles: tt.articles, Zones: zones, Notes: tt.notes, Silent: tt.silent},
				zonewire.Variant{ID: 4, Digest: 17, Locale: "en", Zones: tt.zones, Web: tt.web, Mail: mail})
			if err != nil {
				t.Fatal(err)
			}
			if some != (tt.want != "") {
				t.Fatalf("something left: %v, want mail %q", some, tt.want)
			}
			if diff := cmp.Diff(before, tt.articles); diff != "" {
				t.Errorf("the question was changed (-before +after):\n%s", diff)
			}
			mail.HTML, mail.Text = nil, nil // the words that were withdrawn are in them
			if some {
				mail.Subject = tt.want
			}
			want := zonewire.Variant{Digest: 17, Locale: "en", Zones: tt.zones, Items: got.Items, Web: tt.page, Mail: mail}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("variant (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSlots(t *testing.T) {
	p := planner(&plainComposer{})
	l := zonewire.List{Slug: "morning", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", NextSlot: slot.AddDate(0, 0, -3)}
	got, following, err := p.Slots(l, slot.Add(time.Minute))
	if err != nil || !got.Equal(slot) || !following.Equal(slot.AddDate(0, 0, 1)) {
		t.Errorf("got %v, %v, %v, want %v and the day after", got, following, err, slot)
	}
	l.Schedule = "0 8 * *"
	if _, _, err := p.Slots(l, slot); !errors.Is(err, zonewire.ErrInvalid) {
		t.Errorf("a schedule of four fields: got %v, want ErrInvalid", err)
	}
}
