package ingest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"zonewire/ingest"
)

func TestZonesCSV(t *testing.T) {
	const chinese = "代码,名称,省份,城市,级别,类型,别名,网址\r\nG111001,北京经济技术开发区,北京,北京,国家级,经济技术开发区,北京经开区、亦庄开发区,www.bda.example\r\n"
	const zone = "g111001 G111001 北京经济技术开发区 national etdz 北京/北京 [北京经开区 亦庄开发区] http://www.bda.example"
	gbk, err := simplifiedchinese.GB18030.NewEncoder().String(chinese)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(strings.ReplaceAll(chinese, ",", "\t"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"English heads", "slug,name,level,type,province,city,aliases\njintan,江苏金坛经济开发区,provincial,etdz,江苏,常州,金坛经开区;金坛开发区\n",
			[]string{"jintan  江苏金坛经济开发区 provincial etdz 江苏/常州 [金坛经开区 金坛开发区] "}},
		{"Chinese heads, and the code becomes the slug", chinese, []string{zone}},
		{"GBK", gbk, []string{zone}},
		{"UTF-8 with a mark", "\ufeff" + chinese, []string{zone}},
		{"UTF-16 with tabs", wide, []string{zone}},
		{"a border zone is not an economic one", "slug,name,type\na,甲,边境经济合作区\nb,乙,综合保税区\nc,丙,高新区", []string{"a  甲  border / [] ", "b  乙  customs / [] ", "c  丙  hidz / [] "}},
		{"neither slug nor code", "name\n甲\n", []string{"2 ! zone 甲 has neither slug nor code"}},
		{"a slug that cannot stand in an address", "slug,name\nBad_Slug,甲\n", []string{"2 ! zone slug \"bad_slug\": use lower-case letters, digits and hyphens, such as jintan-edz"}},
		{"a level that is none", "slug,name,level\na,甲,cosmic\nb,乙,\n", []string{"b  乙   / [] ", "2 ! zone a: level \"cosmic\" is none of national, provincial, municipal, other"}},
		{"a row without a name", "slug,name\na,\n", []string{"2 ! zone a: the name is empty"}},
		{"a slug twice", "slug,name\na,甲\na,乙\n", []string{"a  甲   / [] ", "3 ! zone a stands in line 2 already"}},
		{"no name column", "slug,title\na,b\n", []string{"1 ! no column is named name or 名称"}},
		{"an empty file", "", []string{"0 ! the file is empty"}},
		{"a homepage that is none", "slug,name,homepage\na,甲,javascript:x", []string{"2 ! zone a: homepage \"http://javascript:x\" is no http or https address"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zones, rejects := ingest.ZonesCSV(strings.NewReader(tt.in))
			var got []string
			for _, z := range zones {
				got = append(got, fmt.Sprintf("%s %s %s %s %s %s/%s %v %s", z.Slug, z.Code, z.Name, z.Level, z.Type, z.Province, z.City, z.Aliases, z.Homepage))
			}
			for _, r := range rejects {
				got = append(got, fmt.Sprintf("%d ! %v", r.Line, r.Err))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
