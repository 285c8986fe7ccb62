package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/width"
	"pgregory.net/rapid"

	"zonewire"
	"zonewire/ingest"
)

func story(title string, paragraphs ...string) zonewire.Article {
	a := zonewire.Article{Title: title, ContentHTML: ingest.TextToHTML(strings.Join(paragraphs, "\n"))}
	ingest.Identify(&a)
	return a
}

var groundbreaking = []string{
	"十一月二十一日上午,青禾湖经济开发区举行第四季度重点项目集中开工仪式,十八个项目同时动工,计划总投资 126.5 亿元,年度计划投资 31.2 亿元。",
	"集中开工的项目涵盖高端装备、新型储能和生物医药三大产业,其中十亿元以上项目六个,外资项目三个。位于云栖路的储能电芯项目一期占地 210 亩,建成后年产值预计达到 42 亿元,可带动就业一千六百余人。",
	"开发区管委会主任韩明远在致辞中说,园区将按照专班服务、挂图作战的要求,对每个项目配备一名服务专员,从施工许可到竣工验收全程代办,确保项目早投产、早见效。",
	"据介绍,今年前十个月园区完成规上工业总产值 683 亿元,同比增长 9.4%;新签约项目 74 个,协议投资额 301 亿元。石桥河物流枢纽、北岸标准厂房等配套工程正在加快建设,明年二季度将陆续交付。",
	"项目代表、云帆储能总经理沈知秋表示,企业从签约到拿地只用了四十三天,园区的效率超出预期。公司计划在两年内把研发中心也迁到青禾湖,与本地高校共建固态电池实验室。",
	"下一步,青禾湖将围绕产业链图谱继续开展精准招商,力争全年新增亿元以上项目九十个,为明年一季度开门红打下基础。",
}

const groundbreakingTitle = "青禾湖经济开发区 18 个重点项目集中开工"

// edited is the story with one of its paragraphs passed through change.
func edited(i int, change func(string) string) []string {
	all := append([]string(nil), groundbreaking...)
	all[i] = change(all[i])
	return all
}

func bulletin(day, temperature, wind, visitors, buses, calls int, names ...string) []string {
	return []string{
		fmt.Sprintf("青禾湖开发区 11 月 %d 日运行简报:今天园区供电、供水、供气总体平稳,未发生较大突发事件。", day),
		fmt.Sprintf("气象方面,白天多云到晴,最高气温 %d 度,东南风 %d 级,空气质量良。请各单位做好防火工作,户外作业注意大风。", temperature, wind),
		fmt.Sprintf("政务服务中心全天接待办事群众 %d 人次,企业开办窗口当日办结率保持百分之百。园区接驳公交运行 %d 班次,未出现晚点。", visitors, buses),
		fmt.Sprintf("企业服务热线受理诉求 %d 件,已全部转办。值班领导 %s,值班电话见园区公告栏。", calls, strings.Join(names, "、")),
		"请各部门、各企业继续落实安全生产主体责任,严格执行值班值守和信息报送制度,遇有紧急情况第一时间报告园区应急指挥中心。",
	}
}

func TestSameStory(t *testing.T) {
	base := story(groundbreakingTitle, groundbreaking...)
	day := func(d int) string { return fmt.Sprintf("青禾湖开发区运行简报(11月%d日)", d) }
	for _, tt := range []struct {
		name string
		a, b zonewire.Article
		want bool
	}{
		{"itself", base, base, true},
		{"another title", base, story("青禾湖:十八个项目今天动工,总投资过百亿", groundbreaking...), true},
		{"a portal adds where it is from", base, story(groundbreakingTitle, append([]string{"来源:青禾湖融媒体中心"}, groundbreaking...)...), true},
		{"a portal adds that, and who edited it, under another title", base,
			story("【园区动态】"+groundbreakingTitle, append(append([]string{"本报讯(记者 陆青)"}, groundbreaking...), "责任编辑:许安宁")...), true},
		{"the last paragraph is dropped", base, story(groundbreakingTitle, groundbreaking[:5]...), true},
		{"the last one is dropped and the source named, the title agrees", base, story(groundbreakingTitle, append(groundbreaking[:5:5], "来源:青禾湖融媒体中心")...), true},
		{"a slip of the pen is corrected", base, story(groundbreakingTitle, edited(2, func(s string) string { return strings.Replace(s, "韩明远", "韩鸣远", 1) })...), true},
		{"a number is corrected", base, story(groundbreakingTitle, edited(3, func(s string) string { return strings.Replace(s, "683", "638", 1) })...), true},
		{"full-width letters and signs", base, story(width.Widen.String(groundbreakingTitle), width.Widen.String(strings.Join(groundbreaking, "\n"))), true},
		{"full-width signs, and the end dropped", base, story(width.Widen.String(groundbreakingTitle), width.Widen.String(strings.Join(groundbreaking[:5], "\n"))), true},
		{"one paragraph in place of six", base, story(groundbreakingTitle, strings.Join(groundbreaking, "")), true},

		{"the bulletin of the next day", story(day(21), bulletin(21, 14, 3, 812, 146, 37, "韩明远", "许安宁")...),
			story(day(22), bulletin(22, 11, 4, 655, 139, 52, "沈知秋", "陆青")...), false},
		{"the same under one title every day", story("青禾湖开发区每日运行简报", bulletin(21, 14, 3, 812, 146, 37, "韩明远", "许安宁")...),
			story("青禾湖开发区每日运行简报", bulletin(22, 11, 4, 655, 139, 52, "沈知秋", "陆青")...), false},
		{"the next batch", story("青禾湖发布第一批示范企业名单", bulletin(21, 14, 3, 812, 146, 37, "韩明远")...),
			story("青禾湖发布第二批示范企业名单", bulletin(21, 14, 3, 812, 146, 38, "韩明远")...), false},
		{"a bulletin in which nearly nothing changed, numbered", story("园区要情 第 311 期", bulletin(21, 14, 3, 812, 146, 37, "韩明远")...),
			story("园区要情 第 312 期", bulletin(22, 14, 3, 812, 146, 38, "韩明远")...), false},
		{"the same bulletin from two portals", story(day(21), bulletin(21, 14, 3, 812, 146, 37, "韩明远")...),
			story("【简报】"+day(21), append(bulletin(21, 14, 3, 812, 146, 37, "韩明远"), "来源:青禾湖融媒体中心")...), true},
		{"two openings in one style", base, story("石桥河高新区二十二个重点项目集中开工",
			"十一月二十二日上午,石桥河高新区举行第四季度重点项目集中开工仪式,二十二个项目同时动工,计划总投资 98 亿元,年度计划投资 20.6 亿元。",
			"集中开工的项目涵盖智能制造、新材料和现代物流三大产业,其中十亿元以上项目四个,外资项目一个。位于港前路的冷链仓储项目一期占地 95 亩。",
			"高新区管委会主任周行之在致辞中说,园区将对每个项目配备一名服务专员,从施工许可到竣工验收全程代办,确保项目早投产。",
			"据介绍,今年前十个月园区完成规上工业总产值 402 亿元,同比增长 7.1%;新签约项目 51 个,协议投资额 188 亿元。"), false},
		{"two notices too short to tell", story("停水通知", "因管网检修,今晚停水。"), story("停水通知", "因管网检修,今晚停水。"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			like := tt.a.Sketch.Likeness(tt.b.Sketch)
			if zonewire.SameStory(tt.a, tt.b) != tt.want || zonewire.SameStory(tt.b, tt.a) != tt.want {
				t.Errorf("likeness %.2f: want %t", like, tt.want)
			}
			if !tt.want || like < 0.9 {
				return
			}
			// What shares nine tenths is found by a number that both have.
			a1, a2 := tt.a.Sketch.Keys()
			b1, b2 := tt.b.Sketch.Keys()
			if a1 != b1 && a2 != b2 {
				t.Errorf("likeness %.2f, but no key in common", like)
			}
		})
	}
}

// invented draws a text of so many sentences of random Han.
func invented(t *rapid.T, sentences int) []string {
	out := make([]string, sentences)
	for i := range out {
		out[i] = string(rapid.SliceOfN(rapid.RuneFrom([]rune("园区新签约项目总投资产业链企业服务建设港口物流研发中心示范工程青禾云栖石桥河北岸春夏秋冬甲乙丙丁")), 20, 40).Draw(t, "sentence")) + "。"
	}
	return out
}

func TestLikenessFollowsTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := invented(t, 12)
		a := story("题", text...)
		if like := a.Sketch.Likeness(story("另一题", text...).Sketch); like != 1 {
			t.Fatalf("the same text has likeness %.2f", like)
		}
		marked := zonewire.Article{ContentHTML: "<div><b>" + strings.Join(text, "</b><img src=\"https://x.example/a.png\"/> <i>") + "</i></div>"}
		if ingest.Identify(&marked); a.Sketch.Likeness(marked.Sketch) != 1 {
			t.Fatalf("markup changes the likeness")
		}
		text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] = invented(t, 1)[0]
		if like := a.Sketch.Likeness(story("题", text...).Sketch); like < 0.6 {
			t.Fatalf("one sentence of twelve changed: likeness %.2f", like)
		}
		if like := a.Sketch.Likeness(story("题", invented(t, 12)...).Sketch); like > 0.2 {
			t.Fatalf("another text has likeness %.2f", like)
		}
		if !increasing(a.Sketch) || len(a.Sketch) > zonewire.SketchSize {
			t.Fatalf("no sketch: %v", a.Sketch)
		}
	})
}

func increasing(s zonewire.Sketch) bool {
	for i := 1; i < len(s); i++ {
		if s[i] <= s[i-1] {
			return false
		}
	}
	return true
}

func TestAShortBodyHasNoSketch(t *testing.T) {
	for n, want := range map[int]bool{0: false, 59: false, 60: true, 61: true} {
		text := ""
		for i := range n {
			text += string(rune(0x4e00 + i))
		}
		if got := story("题", "，。 "+text+"！").Sketch != nil; got != want {
			t.Errorf("%d characters: a sketch %t, want %t", n, got, want)
		}
	}
}
