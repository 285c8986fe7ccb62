package zonewire

import "strings"

// provinces in the order of the national code GB/T 2260, by which Chinese readers expect them, with their English names.
var provinces = [...]struct{ zh, en string }{
	{"北京", "Beijing"}, {"天津", "Tianjin"}, {"河北", "Hebei"}, {"山西", "Shanxi"}, {"内蒙古", "Inner Mongolia"},
	{"辽宁", "Liaoning"}, {"吉林", "Jilin"}, {"黑龙江", "Heilongjiang"},
	{"上海", "Shanghai"}, {"江苏", "Jiangsu"}, {"浙江", "Zhejiang"}, {"安徽", "Anhui"}, {"福建", "Fujian"}, {"江西", "Jiangxi"}, {"山东", "Shandong"},
	{"河南", "Henan"}, {"湖北", "Hubei"}, {"湖南", "Hunan"}, {"广东", "Guangdong"}, {"广西", "Guangxi"}, {"海南", "Hainan"},
	{"重庆", "Chongqing"}, {"四川", "Sichuan"}, {"贵州", "Guizhou"}, {"云南", "Yunnan"}, {"西藏", "Tibet"},
	{"陕西", "Shaanxi"}, {"甘肃", "Gansu"}, {"青海", "Qinghai"}, {"宁夏", "Ningxia"}, {"新疆", "Xinjiang"},
	{"台湾", "Taiwan"}, {"香港", "Hong Kong"}, {"澳门", "Macao"},
}

// ProvinceRank is where a province stands in the national order; unknown ones come last. It reads the short name and
// the long one (江苏, 江苏省).
func ProvinceRank(name string) int {
	for i, p := range provinces {
		if strings.HasPrefix(name, p.zh) {
			return i
		}
	}
	return len(provinces)
}

// Province is the short name of a province in the locale; false if it is none that we know.
func Province(locale, name string) (string, bool) {
	rank := ProvinceRank(name)
	if rank == len(provinces) {
		return "", false
	}
	if locale == LocaleEN {
		return provinces[rank].en, true
	}
	return provinces[rank].zh, true
}
