package ingest

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// The words by which a closing is told, on text that foldLine has made: narrow punctuation, small letters.

var (
	callWords = regexp.MustCompile(`招标|投标|采购|比选|磋商|谈判|询价|询比|竞价|竞租|竞买|竞拍|拍卖|遴选|征集|征求|申报|招聘|选聘|招录|招考|招募|公示|报名|招租|挂牌|参赛|征稿|征文` +
		`|\b(?:tenders?|bids?|bidders|procurement|recruit\w*|vacanc\w+|call for|appl(?:y|ication)\w*|regist(?:er|ration)\w*|proposals?|submissions?|request for|invitation)\b`)
	noticeWords     = regexp.MustCompile(`公告|通知|启事|通告|邀请|指南|\bnotice\b`)
	resultWords     = regexp.MustCompile(`中标|成交|结果|入围|拟录|拟聘|拟推荐|拟认定|拟立项`)
	correctionWords = regexp.MustCompile(`更正|变更|延期|延长|推迟|补充|澄清|顺延|\bextension\b|\bextended\b|\bcorrigendum\b`)
	overWords       = regexp.MustCompile(`终止|废标|流标|流拍|中止|暂停|取消公告|取消招标|取消采购|取消报名|\bcancell?(?:ed|ation)\b`)
	objectionWords  = regexp.MustCompile(`公示|异议|质疑|投诉|反映|意见`)

	parens = regexp.MustCompile(`\([^()]*\)`)
)

// closingWords and closingByLetter tell of a closing by themselves, 截标 too; closedWords do before 截止.
var (
	closingWords    = strings.Fields("报名时间 报名日期 报名期 申报时间 申报期 申请时间 申请期 征集时间 征集期 受理时间 受理期 投稿时间 公示时间 公示期")
	closingByLetter = [utf8.RuneSelf][]string{'d': {"deadline"}, 'D': {"Deadline", "DEADLINE"}, 'c': {"closing"}, 'C': {"Closing"}}
	closedWords     = strings.Fields("投标 递交 提交 响应 报价 竞价 磋商 谈判 比选 报名 申报 申请 应聘 征集 征求 投稿 报送 受理 公示")
)

const (
	// What may stand between a label and its date. What runs on into a clause of its own, as "截止时间前" or "报名截止后" do, is no
	// label any more.
	filler = `(?:[\s:>|/\-,]|为|是|于|在|定|至|到|即|均|暂|初步|和|及|与|、|开标|开启|时间|日期|期限|地点|自|从|北京|\(|\)|\d+\s*个?\s*(?:工作日|自然日|日历天|天|日))*$`
	// Within a label no new clause begins.
	clause = `[^,。;:\d]`

	handsIn = `投标|应标|响应|应答|报价|竞价|竞买|竞租|磋商|谈判|询价|询比|比选|标书|递交|提交|送达|上传|递标`
	takes   = `报名|申报|申请|应聘|征集|投稿|征稿|征文|报送|上报|参赛|推荐|受理|接收|征求意见|反馈|意见|简历|填报|作品|公示|招募|招聘|挂牌`
	givesTo = `获取|领取|发售|出售|下载|购买|售卖|发放|保证金|质疑|答疑|提问|疑问|澄清|踏勘|考察|公告期|公告时间|公告期限|公告发布|工期|服务期|合同|有效期|统计|数据|评估基准|还款|年龄|计算|工作年限|工作经历|笔试|面试|资格复审|缴费`
	// What a clause may say between handing out files and the end of it; "购买招标文件并在投标截止时间" is a closing.
	ofFiles = `(?:招标|采购|磋商|谈判|询价|比选|竞争性|资格|预审|文件|标书|资料|材料|缴纳|交纳|到账|提交|递交|的|问题|报名|提出|\s|\(|\)|、|及|和|与)*`
	endTime = `(?:截止|截至|结束)(?:时间|日期|期限|时点|日)`
)

// label is a pattern for what ends right before a date.
type label = *regexp.Regexp

var (
	notClosingLabel = regexp.MustCompile(`(?:` + givesTo + `)` + ofFiles + `(?:截止|截至|结束)?(?:时间|日期|期限|时点|日|期|间)?` + filler)
	formerLabel     = regexp.MustCompile(`原(?:定|招标|采购|公告|来|计划|文件|的|` + clause + `){0,8}(?:` + endTime + `|开标时间|报名时间)` + filler + `|由原(?:来|定)?的?` + filler + `|原定?于?\s*$|(?:更正|变更|修改)前` + clause + `{0,8}` + filler)
	changeLabel     = regexp.MustCompile(`(?:更正|变更|调整|修改|更改|更新|改|现|延长|延期|推迟|顺延|延后|延|extended)\s*(?:为|至|到|于|to|until)` + filler)
	bidLabel        = regexp.MustCompile(`(?:(?:` + handsIn + `)` + clause + `{0,16}(?:` + endTime + `|截止|截标)|截标(?:时间|日期)?|截止(?:投标|递标|递交|提交|报价)` + clause + `{0,8}(?:时间|日期)?)` + filler)
	otherLabel      = regexp.MustCompile(`(?:` + takes + `)` + clause + `{0,16}(?:` + endTime + `|截止|截至)` + filler)
	plainLabel      = regexp.MustCompile(`(?:截止(?:时间|日期|期限|日)|截止\s*:)` + filler)
	periodLabel     = regexp.MustCompile(`(?:` + takes + `|` + handsIn + `|信息发布)` + clause + `{0,12}` + filler)
	openingLabel    = regexp.MustCompile(`(?:开标|开启|开评标)(?:的?时间|日期)` + filler)

	englishLabel  = regexp.MustCompile(`(?:\bdeadline|\bclosing (?:date|time)|\bdue date|\bcloses|\bclosing (?:on|at)|\bdue (?:on|by|at|:)|\b(?:no|not) later than)[^;!?\d]{0,60}$`)
	englishBefore = regexp.MustCompile(`\b(?:until|by|before)\s+$`)

	// sinceLabel makes a date the end of a period that begins with the announcement.
	sinceLabel   = regexp.MustCompile(`(?:(?:自|从)?(?:本)?(?:公告|通知|公示|启事|通告|信息)?(?:发布|发文|公告|公示|发出)?(?:即日|之日|今日)\s*(?:起|开始)?\s*,?\s*(?:截止)?)?(?:截至|至|到|-+|~)\s*$`)
	fromNowWords = regexp.MustCompile(`即日|之日|今日`)
	// asOfLabel is how figures are dated.
	asOfLabel = regexp.MustCompile(`(?:截至|截止)(?:到|至|于)?\s*$`)
	asOfCount = regexp.MustCompile(`^\s*,?\s*(?:共|已|达|超|累计|全[区市县省国园]|我[区市县]|新增|有\d|企业|完成|实现)`)

	tillAfter   = regexp.MustCompile(`^\s*(?:\([^()]{0,60}\))?\s*(?:截止|截至|为止|止)`)
	beforeAfter = regexp.MustCompile(`^\s*(?:\([^()]{0,60}\))?\s*(?:下班)?(?:之前|以前|前)`)

	// heldAfter tells of a meeting, not of a period in which to apply: a job fair, a contest.
	heldAfter = regexp.MustCompile(`^[^,。;]{0,24}?(?:举行|举办|召开|开幕|开赛|开讲)`)

	// fetchAfter tells that files are handed out, whatever stands before: "投标人请于…至…下载招标文件".
	fetchAfter = regexp.MustCompile(`^\s*(?:\([^()]{0,60}\))?\s*,?[^,。;]{0,30}?(?:获取|领取|购买|下载)[^,。;]{0,12}?(?:文件|标书|资料)`)

	// The first thing that is to be done before a date; the group is of those by which something is handed in.
	doneBefore = regexp.MustCompile(`(完成` + clause + `{0,8}?(?:报名|申报|填报|提交|上传|登记|注册|投递)|提交|递交|报送|送达|送交|送至|寄送|寄至|寄达|发送|发至|发到|发邮件|上报|报至|报我|反馈|报名|申报|上传|投递|提出|反映|填报|填写|投稿|交至|联系)|` +
		`获取|领取|购买|下载|缴纳|交纳|支付|完成|竣工|完工|开工|投产|交付|建成|出生|取得|毕业|注册成立|整改`)
	// shutsAfter is said of a system that takes something in.
	shutsAfter = regexp.MustCompile(`^\s*(?:准时|自动|正式)?(?:截止|关闭|停止)`)
	takesIn    = regexp.MustCompile(takes + `|` + handsIn + `|系统|通道|平台`)

	// changeable is what a correction changes, and what it may say of files.
	changeable = regexp.MustCompile(`截止|截标|开标|投标|递交|提交|报名|申报|征集|公示|挂牌|响应|deadline|closing|` + givesTo)
	handingOut = regexp.MustCompile(givesTo)
	handingIn  = regexp.MustCompile(`(?:` + handsIn + `)` + clause + `{0,8}截止|递交|截标`)
)
