package feed_test

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/feed"
)

type opmlOutline struct {
	Attrs    []xml.Attr    `xml:",any,attr"`
	Outlines []opmlOutline `xml:"outline"`
}

func (o opmlOutline) attr(name string) string {
	for _, a := range o.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

type opmlDocument struct {
	Title    string        `xml:"head>title"`
	Modified string        `xml:"head>dateModified"`
	Outlines []opmlOutline `xml:"body>outline"`
}

func readOPML(t testing.TB, b []byte) (d opmlDocument) {
	t.Helper()
	if err := xml.Unmarshal(b, &d); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return d
}

// zones are in no order.
func zones() []zonewire.Zone {
	return []zonewire.Zone{
		closed, harbour,
		{ID: 40, Slug: "abroad", Name: "境外合作区", Created: at("2026-02-03T00:00:00Z")},
		jintan,
		{ID: 41, Slug: "changshu-hidz", Name: "常熟高新区", Province: "江苏省", Created: at("2026-02-03T00:00:00Z"), Changed: at("2026-04-02T03:04:05Z")},
		{ID: 42, Slug: "misc", Name: "其他园区\x00 <b>&amp;</b>", Province: " 其他 "},
	}
}

func TestGoldenOPML(t *testing.T) {
	got := feed.RenderOPML(site, zones())
	compareGolden(t, "zones.opml", got)
	wellFormed(t, "opml", got)
	xmllint(t, [][]byte{got})
}

func TestOPMLGroupsOpenZonesByProvince(t *testing.T) {
	d := readOPML(t, feed.RenderOPML(site, zones()))
	var got []string
	for _, o := range d.Outlines {
		if o.attr("xmlUrl") != "" {
			got = append(got, o.attr("xmlUrl"))
			continue
		}
		if len(o.Attrs) != 1 {
			t.Errorf("group %s has %v, want text alone", o.attr("text"), o.Attrs)
		}
		for _, z := range o.Outlines {
			got = append(got, o.attr("text")+" "+z.attr("htmlUrl"))
		}
	}
	want := []string{
		"https://news.example.org/feed.rss",
		"江苏省 https://news.example.org/zones/changshu-hidz",
		"江苏省 https://news.example.org/zones/jintan-edz",
		"浙江省 https://news.example.org/zones/linhai-port",
		"其他 https://news.example.org/zones/abroad",
		"其他 https://news.example.org/zones/misc",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outlines (-want +got):\n%s", diff)
	}
}

func TestOPMLDateIsThatOfTheLastChange(t *testing.T) {
	for _, c := range []struct {
		name  string
		zones []zonewire.Zone
		want  string
	}{
		{"no zones: the site's year", nil, "Thu, 01 Jan 2026 00:00:00 +0000"},
		{"a zone that never changed dates from its creation", []zonewire.Zone{jintan}, "Mon, 05 Jan 2026 08:00:00 +0000"},
		{"the newest change of all", zones(), "Thu, 02 Apr 2026 03:04:05 +0000"},
		{"closing a zone is a change", append(zones(), zonewire.Zone{Slug: "x", Closed: at("2026-06-01T00:00:00Z"), Changed: at("2026-06-01T08:00:00+08:00")}),
			"Mon, 01 Jun 2026 00:00:00 +0000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := readOPML(t, feed.RenderOPML(site, c.zones)).Modified; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestOPMLDoesNotDependOnTheOrderOfZones(t *testing.T) {
	there, back := zones(), zones()
	slices.Reverse(back)
	if a, b := feed.RenderOPML(site, there), feed.RenderOPML(site, back); !bytes.Equal(a, b) {
		t.Errorf("order shows (-there +back):\n%s", cmp.Diff(string(a), string(b)))
	}
}

func TestOPMLTextHoldsNothingThatLooksLikeHTML(t *testing.T) {
	s := site
	s.Title = "A & B <br> ]]> \"x\" \x0b"
	d := readOPML(t, feed.RenderOPML(s, []zonewire.Zone{{Slug: "z", Name: "R&amp;D <AI> 园", Province: "a<b"}}))
	for got, want := range map[string]string{
		d.Title:                                "A & B ]]> \"x\"",
		d.Outlines[0].attr("title"):            "A & B ]]> \"x\"",
		d.Outlines[1].attr("text"):             "a<b",
		d.Outlines[1].Outlines[0].attr("text"): "R&D <AI> 园",
	} {
		if got != strings.NewReplacer("&", "\uff06", "<", "\uff1c").Replace(want) {
			t.Errorf("got %q, want %q in full width", got, want)
		}
	}
}

func TestOPMLHasProvincesInTheNationalOrder(t *testing.T) {
	d := readOPML(t, feed.RenderOPML(site, []zonewire.Zone{{Slug: "a", Name: "甲", Province: "上海市"}, {Slug: "b", Name: "乙", Province: "北京市"}, {Slug: "c", Name: "丙", Province: "外地"}}))
	var got []string
	for _, o := range d.Outlines[1:] {
		got = append(got, o.attr("text"))
	}
	if diff := cmp.Diff([]string{"北京市", "上海市", "外地"}, got); diff != "" {
		t.Errorf("provinces (-want +got):\n%s", diff)
	}
}
