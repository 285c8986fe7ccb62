package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"zonewire"
)

func TestSubscribe(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	w := do(h, visit{path: "/lists/morning/subscribe", form: fields("email", " New.Reader@例子.cn ", "zone", "yunhe", "zone", "qingtan", "zone", "yunhe", "locale", "en")}.request())
	equal(t, "status", w.Code, 200)
	equal(t, "what was asked for", st.writes, []string{`request morning for new.reader@xn--fsqu00a.cn zones [qingtan yunhe] locale "en" by page`})
	equal(t, "letter", st.sent, []string{"confirm to New.Reader@例子.cn"})
	if strings.Contains(w.Body.String(), "New.Reader") {
		t.Error("the answer repeats what was typed")
	}
}

// A suppression outlives the address by its keyed hash, so whoever comes in here must carry one.
func TestAddressesComeWithTheirHash(t *testing.T) {
	st := readers()
	h, _ := serve(t, st)
	do(h, visit{path: "/lists/morning/subscribe", form: fields("email", "New@example.com")}.request())
	do(h, visit{path: account(""), form: fields("do", "address", "email", "New@example.com")}.request())
	want := secret.AddressHash("new@example.com")
	equal(t, "hashes", st.hashes, []string{want, want})
}

// Consent says to which words a person agreed, on which page, from where, in which language.
func TestConsentIsTheSentenceBesideTheButton(t *testing.T) {
	for locale, want := range map[string]string{
		zonewire.LocaleZH: "点击“订阅”，即表示您同意我们把《内部参考》发到这个地址。每封邮件里都可以退订。 (zh-CN, /lists/board, 192.0.2.1)",
		zonewire.LocaleEN: "By pressing \"Subscribe\" you agree to get 内部参考 at this address. Every mail has a link to leave. (en, /lists/board, 192.0.2.1)",
	} {
		st := readers()
		h, _ := serve(t, st)
		path := "/lists/board/subscribe?key=" + token(zonewire.PurposePrivate, 2)
		shown := parse(t, do(h, visit{path: path, form: fields("email", "?")}.request(), "Accept-Language", locale))
		do(h, visit{path: path, form: fields("email", "new@example.com")}.request(), "Accept-Language", locale)
		equal(t, "consent", st.consents, []string{want})
		sentence, _, _ := strings.Cut(want, " (")
		equal(t, "the sentence on the page", texts(shown, "form > .hint"), []string{sentence})
	}
}

func TestAWrongAddressKeepsWhatWasTyped(t *testing.T) {
	h, _ := serve(t, readers())
	hostile := `"><script>alert(1)</script>@x`
	doc := parse(t, do(h, visit{path: "/lists/morning/subscribe?lang=en", form: fields("email", hostile, "zone", "yunhe", "locale", "zh-CN")}.request()))
	field := doc.Find(`input[name="email"]`)
	equal(t, "address", field.AttrOr("value", ""), hostile)
	equal(t, "marked as wrong", field.AttrOr("aria-invalid", ""), "true")
	equal(t, "the error beside it", texts(doc, "#"+field.AttrOr("aria-describedby", "none")+`[role="alert"]`), []string{"This does not look like an email address. It should read like name@example.com."})
	equal(t, "zones ticked", attrs(doc, `input[name="zone"][checked]`, "value"), []string{"yunhe"})
	equal(t, "language", attrs(doc, `input[name="locale"][checked]`, "value"), []string{"zh-CN"})
	equal(t, "where it goes", attrs(doc, "main form", "action"), []string{"/lists/morning/subscribe?lang=en"})
}

// A zone's page leads to a list's with that zone ticked.
func TestTheListsPageTicksTheZonesOfItsAddress(t *testing.T) {
	h, _ := serve(t, with(readers(), 2500))
	doc := parse(t, get(h, "/lists/morning?zone=yunhe&zone=zone-7&zone=nonsense&province=-&lang=en"))
	equal(t, "ticked", attrs(doc, `#subscribe input[name="zone"][checked]`, "value"), []string{"yunhe", "zone-7"})
	equal(t, "to tick: those and the province's", attrs(doc, `#subscribe input[name="zone"]`, "value"), []string{"yunhe", "zone-7", "wuming"})
	equal(t, "where it goes", attrs(doc, "#subscribe form", "action"), []string{"/lists/morning/subscribe?lang=en"})
	key := token(zonewire.PurposePrivate, 2)
	equal(t, "where a private list's goes", attrs(parse(t, get(h, "/lists/board?key="+key)), "#subscribe form", "action"), []string{"/lists/board/subscribe?key=" + key})
}

func TestZonesToChooseFrom(t *testing.T) {
	for _, tt := range []struct {
		name, list string
		want       []string
	}{
		{"every open zone for a list of all, by province", "morning", []string{"beiling", "yunhe", "qingtan", "nanshan", "wuming"}},
		{"those that a list names", "two", []string{"yunhe", "qingtan"}},
		{"no choice where there is one zone", "zhejiang", []string{}},
	} {
		h, _ := serve(t, readers())
		doc := parse(t, do(h, visit{path: "/lists/" + tt.list + "/subscribe", form: fields("email", "")}.request()))
		equal(t, tt.name, attrs(doc, `input[name="zone"]`, "value"), tt.want)
	}
}

// with gives the store this many more zones, by turns in four provinces.
func with(st *fake, zones int) *fake {
	for i := range zones {
		st.zones = append(st.zones, zonewire.Zone{ID: int64(100 + i), Slug: fmt.Sprintf("zone-%d", i), Name: fmt.Sprintf("第 %d 经济技术开发区", i), Province: []string{"四川省", "广东省", "山东省", "河南省"}[i%4]})
	}
	return st
}

// The shortest way to a digest is an address and a button: many zones stay out of the way until some are wanted.
func TestManyZonesStayOutOfTheWay(t *testing.T) {
	h, _ := serve(t, with(readers(), 20))
	for query, open := range map[string]int{"": 0, "?zone=yunhe": 1, "?zone=nonsense": 0, "?province=-": 1} {
		doc := parse(t, get(h, "/lists/morning"+query))
		equal(t, "folded"+query, texts(doc, "#subscribe fieldset > details > summary"), []string{"只收其中一部分（共 25 个）"})
		equal(t, "open"+query, doc.Find("#subscribe fieldset > details[open]").Length(), open)
	}
	few, _ := serve(t, readers())
	equal(t, "a handful is in sight", parse(t, get(few, "/lists/morning")).Find("#subscribe details").Length(), 0)
}

func TestManyZonesUnfoldByProvince(t *testing.T) {
	h, _ := serve(t, with(readers(), 200))
	w := do(h, visit{path: "/lists/morning/subscribe", form: fields("email", "", "zone", "zone-1")}.request())
	checkPage(t, w, zonewire.LocaleZH)
	doc := parse(t, w)
	equal(t, "provinces", len(texts(doc, "fieldset details details summary")), 9)
	equal(t, "unfolded", texts(doc, "fieldset details details[open] > summary"), []string{"广东省 50"})
	english := parse(t, do(h, visit{path: "/lists/morning/subscribe?lang=en", form: fields("zone", "zone-1")}.request()))
	equal(t, "in English", texts(english, "fieldset details details[open] > summary"), []string{"Guangdong 50"})
	equal(t, "all zones", doc.Find(`input[name="zone"]`).Length(), 205)
}

// The whole country is too much for one page: a button brings the zones of a province, and what is ticked stays.
func TestVeryManyZonesComeAProvinceAtATime(t *testing.T) {
	st := with(readers(), 2500)
	h, _ := serve(t, st)
	at := func(form ...string) *goquery.Document {
		w := do(h, visit{path: "/lists/morning/subscribe", form: fields(append(form, "email", "half@", "website", "")...)}.request())
		if w.Code != 200 {
			t.Fatalf("status %d", w.Code)
		}
		if w.Body.Len() > 110_000 {
			t.Errorf("%d bytes", w.Body.Len())
		}
		return parse(t, w)
	}
	doc := at("province", "广东省", "zone", "zone-0", "zone", "yunhe")
	equal(t, "ticked", attrs(doc, `input[name="zone"][checked]`, "value"), []string{"yunhe", "zone-0"})
	equal(t, "to tick: those of the province and those ticked", doc.Find(`input[name="zone"]`).Length(), 625+2)
	equal(t, "address half typed", attrs(doc, `input[name="email"]`, "value"), []string{"half@"})
	equal(t, "what Enter presses", texts(doc, "main form button:first-of-type")[0], "订阅")
	equal(t, "no button for a province checks the address", doc.Find(`button[name="province"]:not([formnovalidate])`).Length(), 0)
	equal(t, "changes", st.writes, []string(nil))
	equal(t, "the unknown province", attrs(at("province", "-"), `input[name="zone"]`, "value"), []string{"wuming"})
}
