package web_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every colour of text keeps 4.5:1 on its ground, in the light edition and in the dark one (WCAG 2.2, 1.4.3).
func TestColoursKeepTheirContrast(t *testing.T) {
	css, err := os.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	colour := regexp.MustCompile(`--(paper|ink|grey|red): (#[0-9a-f]{6});`)
	editions := strings.SplitN(string(css), "@media", 3)
	for i, name := range []string{"light", "dark"} {
		c := map[string]float64{}
		for _, m := range colour.FindAllStringSubmatch(editions[i], -1) {
			c[m[1]] = luminance(t, m[2])
		}
		if len(c) != 4 {
			t.Fatalf("%s: %d colours, want 4", name, len(c))
		}
		for _, text := range []string{"ink", "grey", "red"} {
			hi, lo := max(c[text], c["paper"]), min(c[text], c["paper"])
			if ratio := (hi + .05) / (lo + .05); ratio < 4.5 {
				t.Errorf("%s on paper in the %s edition is %.2f:1, want 4.5:1", text, name, ratio)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		v := float64(n>>(16-8*i)&255) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
