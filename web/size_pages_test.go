package web_test

import (
	"fmt"
	"strings"
	"testing"

	"zonewire"
)

// grown is a store with as many zones as the country has, one province with 180 of them, long names, long titles.
func grown(zones int) *fake {
	st := sample()
	st.zones = nil
	provinces := []string{"山东省", "河北省", "新疆维吾尔自治区", "江苏省", "内蒙古自治区"}
	for i := range zones {
		at := provinces[i%len(provinces)]
		if zones > 250 {
			at = provinces[1+i%4]
			if i < 180 {
				at = provinces[0]
			}
		}
		st.zones = append(st.zones, zonewire.Zone{
			ID: int64(i + 1), Slug: fmt.Sprintf("long-slug-of-the-zone-%d", i), Province: at, City: fmt.Sprintf("第%d自治州", i/4),
			Name: fmt.Sprintf("第 %d 国家级高新技术产业开发区东片区", i), NameEn: fmt.Sprintf("National High-Tech Industrial Development Zone No. %d (East)", i),
		})
	}
	for i := range st.articles {
		a := &st.articles[i]
		z := st.zones[i%min(2, len(st.zones))]
		a.ZoneID, a.Zone, a.Province = z.ID, z.Slug, z.Province
		a.Title, a.Summary = strings.Repeat("长标题", 70), strings.Repeat("摘要 & <内容>，", 60)
	}
	for i := range 12 {
		st.lists = append(st.lists, zonewire.List{ID: int64(100 + i), Slug: fmt.Sprintf("list-%d", i), Title: strings.Repeat("简报", 20), All: true, Locale: zonewire.LocaleZH, Schedule: "0 8 * * *"})
	}
	return st
}

// A phone on a train opens every page: 50,000 bytes, however many zones there are and however long their names.
func TestPagesStaySmall(t *testing.T) {
	for _, zones := range []int{5, 120, 200, 250, 2500} {
		h, _ := serve(t, grown(zones))
		for _, path := range []string{"/", "/?province=山东省", "/zones/long-slug-of-the-zone-0", searchPath("/", "开发区"), searchPath("/", "长 摘"), "/articles/3", "/lists/list-0"} {
			for _, lang := range zonewire.Locales() {
				sep := "?"
				if strings.Contains(path, "?") {
					sep = "&"
				}
				w := get(h, path+sep+"lang="+lang)
				if w.Code != 200 || w.Body.Len() > 50_000 {
					t.Errorf("%d zones, %s in %s: status %d, %d bytes, want 200 and at most 50,000", zones, path, lang, w.Code, w.Body.Len())
				}
			}
		}
	}
}
