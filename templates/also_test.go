package templates_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"zonewire"
	"zonewire/templates"
)

func TestAlsoAt(t *testing.T) {
	zones := map[int64]zonewire.Zone{
		1: {ID: 1, Name: "云栖湖开发区", NameEn: "Yunqi Lake Zone"},
		2: {ID: 2, Name: "清溪开发区"},
	}
	told := zonewire.Article{ID: 1, ZoneID: 1, Source: "云栖湖日报", URL: "https://daily.example.cn/1"}
	at := func(id, zone int64, source, url string) zonewire.Article {
		return zonewire.Article{ID: id, ZoneID: zone, Source: source, URL: url}
	}
	for _, tt := range []struct {
		name   string
		copies []zonewire.Article
		want   []string
		more   int
	}{
		{"nobody else", nil, nil, 0},
		{"a copy is named by its source", []zonewire.Article{at(2, 2, "清溪融媒", "https://qx.example.cn/2")}, []string{"清溪融媒"}, 0},
		{"by its zone if it names no source", []zonewire.Article{at(2, 2, "", "https://qx.example.cn/2")}, []string{"清溪开发区"}, 0},
		{"or names the one that is told", []zonewire.Article{at(2, 2, "云栖湖日报", "https://qx.example.cn/2")}, []string{"清溪开发区"}, 0},
		{"by its site if the zone is the same, too", []zonewire.Article{at(2, 1, "云栖湖日报", "https://www.park.example.cn/2")}, []string{"park.example.cn"}, 0},
		{"two of one source are told apart", []zonewire.Article{at(2, 2, "清溪融媒", "https://qx.example.cn/2"), at(3, 2, "清溪融媒", "https://qx.example.cn/3")},
			[]string{"清溪融媒", "清溪开发区"}, 0},
		{"by the source after all if there is nothing else", []zonewire.Article{at(2, 1, "云栖湖日报", "")}, []string{"云栖湖日报"}, 0},
		{"three are named and the others counted", []zonewire.Article{at(2, 2, "甲报", ""), at(3, 2, "乙报", ""), at(4, 2, "丙报", ""), at(5, 2, "丁报", ""), at(6, 2, "戊报", "")},
			[]string{"甲报", "乙报", "丙报"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := templates.Also{More: tt.more}
			for i, name := range tt.want {
				want.At = append(want.At, templates.Teller{Name: name, URL: fmt.Sprint("link ", tt.copies[i].ID)})
			}
			got := templates.AlsoAt(zonewire.LocaleZH, told, tt.copies, zones, func(a zonewire.Article) string { return fmt.Sprint("link ", a.ID) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Total() != len(tt.copies) {
				t.Errorf("%d in all, want %d", got.Total(), len(tt.copies))
			}
		})
	}
}
