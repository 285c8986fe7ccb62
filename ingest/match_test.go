package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"zonewire"
	"zonewire/ingest"
)

func TestMatcher(t *testing.T) {
	closed := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	zones := []zonewire.Zone{
		{ID: 1, Slug: "jintan", Name: "江苏金坛经济开发区", Province: "江苏", City: "常州", Aliases: []string{"金坛市开发区"}},
		{ID: 2, Slug: "changzhou-hidz", Name: "常州高新技术产业开发区", Province: "江苏", City: "常州"},
		{ID: 3, Slug: "kunshan-etdz", Name: "昆山经济技术开发区", Province: "江苏", City: "苏州"},
		{ID: 4, Slug: "kunshan-edz", Name: "江苏昆山经济开发区", Province: "江苏", City: "苏州"}, // invented: both classes
		{ID: 5, Slug: "lingang-sd", Name: "山东临港经济开发区", Province: "山东"},
		{ID: 6, Slug: "lingang-js", Name: "江苏临港经济开发区", Province: "江苏省"},
		{ID: 7, Slug: "promoted", Name: "溧水经济技术开发区", Province: "江苏", City: "南京", Aliases: []string{"江苏溧水经济开发区"}},
		{ID: 8, Slug: "old", Name: "戚墅堰工业园区", Province: "江苏", City: "常州", Closed: closed, MergedInto: "older"},
		{ID: 9, Slug: "older", Name: "戚墅堰经济开发区", Province: "江苏", City: "常州", Closed: closed, MergedInto: "jintan"},
		{ID: 10, Slug: "gone", Name: "废黄河经济开发区", Province: "江苏", City: "徐州", Closed: closed},
		{ID: 11, Slug: "ring-a", Name: "甲环经济开发区", Closed: closed, MergedInto: "ring-b"},
		{ID: 12, Slug: "ring-b", Name: "乙环经济开发区", Closed: closed, MergedInto: "ring-a"},
		{ID: 13, Slug: "chengdong", Name: "城东经济开发区", Province: "安徽", City: "合肥"},
		{ID: 14, Slug: "twin-a", Name: "双湖经济开发区", Province: "湖北", City: "武汉"},
		{ID: 15, Slug: "twin-b", Name: "双湖经济开发区", Province: "湖南", City: "长沙"},
		{ID: 16, Slug: "bj-etdz", Name: "北京经济技术开发区", Province: "北京市", City: "北京市"},
		{ID: 17, Slug: "tieling", Name: "铁岭经济开发区", Province: "辽宁", City: "铁岭"},
		{ID: 18, Slug: "tieling-county", Name: "铁岭县经济开发区", Province: "辽宁", City: "铁岭"},
		{ID: 19, Slug: "eco-city", Name: "中新天津生态城", Province: "天津"},
		{ID: 20, Slug: "dezhou-hidz", Name: "德州高新技术产业开发区", Province: "山东", City: "德州"},
		{ID: 21, Slug: "minhang", Name: "上海闵行经济技术开发区", Province: "上海"},
		{ID: 22, Slug: "fangcun-a", Name: "方村高新技术产业开发区", Province: "陕西", City: "西安"},
		{ID: 23, Slug: "fangcun-b", Name: "方村高新技术产业园区", Province: "陕西", City: "西安"},
		{ID: 24, Slug: "baili", Name: "百里经济开发区", Province: "四川", City: "成都", Aliases: []string{"城西园"}},
		{ID: 25, Slug: "qianli", Name: "千里经济开发区", Province: "四川", City: "绵阳", Aliases: []string{"城西园"}},
		{ID: 26, Slug: "jilin", Name: "吉林经济技术开发区", Province: "吉林", City: "吉林"},
		{ID: 27, Slug: "chenghu", Name: "江苏澄湖经济开发区", Province: "江苏", City: "澄湖", Aliases: []string{"澄湖经开区"}},
	}
	match := ingest.NewMatcher(zones)
	for _, tt := range []struct {
		name, zone, province, city string
		want                       int64
	}{
		{"a slug", "jintan", "", "", 1},
		{"an alias in short form", "澄湖经开区", "", "", 27},
		{"an alias in short form stands for no other class", "澄湖经济技术开发区", "江苏", "澄湖", 0},
		{"a slug in capitals", " JINTAN ", "", "", 1},
		{"the exact name", "江苏金坛经济开发区", "", "", 1},
		{"the exact name in a place that a page has wrong", "江苏金坛经济开发区", "浙江", "杭州", 1},
		{"spaces and full-width brackets do not count", "江苏 金坛　经济开发区", "", "", 1},
		{"the office of a zone is the zone", "江苏金坛经济开发区管委会", "", "", 1},
		{"the office in full", "金坛经济开发区管理委员会", "", "", 1},
		{"without the province", "金坛经济开发区", "", "", 1},
		{"with 省 and city", "江苏省常州市金坛经济开发区", "", "", 1},
		{"with the city", "常州金坛经济开发区", "", "", 1},
		{"the short form where only one zone has the stem", "金坛经开区", "", "", 1},
		{"an alias", "金坛市开发区", "", "", 1},
		{"an alias in another province", "金坛市开发区", "浙江", "", 0},
		{"another class is another zone", "金坛经济技术开发区", "", "", 0},
		{"another class is another zone, however close", "金坛高新技术产业开发区", "", "", 0},
		{"one character apart is another place", "金塔经济开发区", "", "", 0},
		{"a name that claims another province", "浙江金坛经济开发区", "", "", 0},
		{"a name that claims another city", "无锡金坛经济开发区", "", "", 0},
		{"a page in another province", "金坛经开区", "浙江", "", 0},
		{"a page in another city", "金坛经开区", "江苏", "无锡", 0},
		{"a page in the right city", "金坛经开区", "江苏省", "常州市", 1},
		{"a page that names the county for the city", "金坛经开区", "", "金坛区", 1},

		{"a name is never cut to its class", "高新技术产业开发区", "江苏", "常州", 0},
		{"the class's short form alone is none", "经开区", "江苏", "常州", 0},
		{"a city's own zone keeps the city", "常州高新技术产业开发区", "", "", 2},
		{"and has a short form", "常州高新区", "", "", 2},
		{"and may say its province", "江苏常州高新区", "", "", 2},
		{"and may say 市", "常州市高新技术产业开发区", "", "", 2},
		{"a municipality's too", "北京市经济技术开发区", "", "", 16},
		{"a municipality's short form", "北京经开区", "", "", 16},
		{"a zone in a municipality", "闵行经开区", "", "", 21},
		{"a zone in a municipality, with its name", "上海市闵行经济技术开发区", "", "", 21},
		{"a city with its province's name", "吉林省吉林市经济技术开发区", "", "", 26},

		{"both classes exist: each by its own", "昆山经济技术开发区", "", "", 3},
		{"both classes exist: the other", "昆山经济开发区", "", "", 4},
		{"both classes exist: the short form waits", "昆山经开区", "江苏", "苏州", 0},
		{"two classes that 高新区 shortens", "方村高新区", "", "", 0},
		{"two classes that 高新区 shortens, in full", "方村高新技术产业园区", "", "", 23},
		{"a promoted zone by its old name", "溧水经济开发区", "", "", 7},
		{"a promoted zone by the short form of both", "溧水经开区", "", "", 7},

		{"a stem of many provinces waits", "临港经济开发区", "", "", 0},
		{"a stem of many provinces, with the province in its name", "江苏临港经济开发区", "", "", 6},
		{"a stem of many provinces, short, with the province", "山东临港经开区", "", "", 5},
		{"a stem of many provinces, on a page of one", "临港经开区", "江苏", "", 6},
		{"a common stem needs a place even if one zone has it", "城东经开区", "", "", 0},
		{"a common stem with its city", "城东经开区", "", "合肥", 13},
		{"a common stem with another city", "城东经开区", "安徽", "芜湖", 0},
		{"one name, two zones", "双湖经济开发区", "", "", 0},
		{"one name, two zones, a province", "双湖经济开发区", "湖南", "", 15},
		{"one name, two zones, a city", "双湖经济开发区", "", "武汉", 14},
		{"one name, two zones, neither there", "双湖经济开发区", "广东", "", 0},
		{"one alias, two zones", "城西园", "", "", 0},
		{"one alias, two zones, a city", "城西园", "", "绵阳", 25},

		{"a county is not its city", "铁岭经济开发区", "", "", 17},
		{"nor the city its county", "铁岭县经开区", "", "", 18},
		{"a zone of no known kind by its name", "中新天津生态城", "", "", 19},
		{"a zone of no known kind by nothing else", "天津生态城", "天津", "", 0},

		{"a merged zone is its heir's heir", "戚墅堰工业园区", "", "", 1},
		{"a merged zone by its slug", "old", "", "", 1},
		{"a closed zone matches nothing", "废黄河经济开发区", "", "", 0},
		{"nor by its slug", "gone", "", "", 0},
		{"nor by its key", "废黄河经开区", "江苏", "徐州", 0},
		{"a ring of mergers ends", "甲环经济开发区", "", "", 0},

		{"nothing", "", "江苏", "", 0},
		{"only brackets", "（）", "", "", 0},
		{"only an office", "管委会", "", "", 0},
		{"an unknown name", "火星经济技术开发区", "", "", 0},
		{"control characters do not count", "江苏金坛\u200b经济\x00开发区", "", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := match(tt.zone, tt.province, tt.city)
			if got != tt.want || ok != (tt.want != 0) {
				t.Errorf("match(%q, %q, %q) = %d, %t; want %d", tt.zone, tt.province, tt.city, got, ok, tt.want)
			}
		})
	}
}

func manyZones(n int) []zonewire.Zone {
	zones := make([]zonewire.Zone, n)
	for i := range zones {
		stem := string([]rune{rune('一' + i%97*31), rune('丁' + i/97*17)})
		zones[i] = zonewire.Zone{ID: int64(i + 1), Slug: fmt.Sprintf("z%d", i), Name: "江苏" + stem + "经济开发区", Province: "江苏",
			City: "常州", Aliases: []string{stem + "开发区", stem + "工业园"}}
	}
	return zones
}

func BenchmarkNewMatcher(b *testing.B) {
	zones := manyZones(2500)
	for b.Loop() {
		ingest.NewMatcher(zones)
	}
}

func BenchmarkMatch(b *testing.B) {
	match := ingest.NewMatcher(manyZones(2500))
	for b.Loop() {
		match("江苏省常州市一丁经开区管委会", "江苏", "常州")
	}
}
