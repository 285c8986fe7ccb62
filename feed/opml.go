package feed

import (
	"cmp"
	"encoding/xml"
	"maps"
	"slices"
	"strings"
	"time"

	"zonewire"
)

const elsewhere = "其他" // the group of zones of no province

// RenderOPML lists the feeds of all open zones (OPML 2.0): first that over all zones, then a group for each province.
// Provinces stand in the national order, those without one last, and zones in the order of their slugs, which as a rule are
// pinyin: no collation of a locale takes part, and no name that may change.
//
// Its date is that of the zone that changed last, closed ones included. The same zones in any order give the same bytes.
func RenderOPML(site Site, zones []zonewire.Zone) []byte {
	site = site.withDefaults()
	groups := map[string][]zonewire.Zone{}
	changed := opened(site, Document{})
	for _, z := range zones {
		for _, t := range []time.Time{z.Created, z.Changed} {
			if t.After(changed) {
				changed = t
			}
		}
		if z.Closed.IsZero() {
			province := line(z.Province, maxName)
			if province == elsewhere {
				province = ""
			}
			groups[province] = append(groups[province], z)
		}
	}
	title := line(site.Title, maxTitle)
	if title == "" {
		title = site.Authority
	}
	var b strings.Builder
	b.WriteString(xml.Header + "<opml version=\"2.0\">\n  <head>\n" +
		"    <title>" + opmlText(title) + "</title>\n" +
		"    <dateModified>" + rfc822(changed.UTC()) + "</dateModified>\n" +
		"  </head>\n  <body>\n")
	writeOutline(&b, "    ", site, "", title, site.Language)
	for _, province := range slices.SortedFunc(maps.Keys(groups), byRank) {
		// A title beside the text would ask for a type.
		b.WriteString(`    <outline text="` + opmlText(cmp.Or(province, elsewhere)) + "\">\n")
		group := groups[province]
		slices.SortFunc(group, func(x, y zonewire.Zone) int { return strings.Compare(x.Slug, y.Slug) })
		for _, z := range group {
			lang := site.zoneLanguage(z)
			writeOutline(&b, "      ", site, z.Slug, zoneTitle(z, lang), lang)
		}
		b.WriteString("    </outline>\n")
	}
	b.WriteString("  </body>\n</opml>\n")
	return []byte(b.String())
}

// byRank puts what is no province behind those that are, and no name behind all.
func byRank(a, b string) int {
	if a == "" || b == "" {
		return strings.Compare(b, a)
	}
	return cmp.Or(cmp.Compare(zonewire.ProvinceRank(a), zonewire.ProvinceRank(b)), strings.Compare(a, b))
}

func writeOutline(b *strings.Builder, indent string, site Site, slug, name, lang string) {
	name = opmlText(name)
	b.WriteString(indent + `<outline type="rss" text="` + name + `" title="` + name +
		`" xmlUrl="` + escapeAttribute.Replace(site.BaseURL+Path(slug, RSS)) +
		`" htmlUrl="` + escapeAttribute.Replace(site.page(slug)) + `" language="` + escapeAttribute.Replace(lang) + "\"/>\n")
}

// opmlText spells a line of text for an outline. Some readers take it as HTML, and validators warn of what looks so.
func opmlText(s string) string { return escapeAttribute.Replace(fullWidth.Replace(s)) }

var fullWidth = strings.NewReplacer("&", "＆", "<", "＜")
