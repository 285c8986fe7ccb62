package ingest_test

import (
	"errors"
	"testing"

	"zonewire"
	"zonewire/ingest"
)

func TestCheckSelectors(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   zonewire.Selectors
		want string
	}{
		{"none", zonewire.Selectors{}, ""},
		{"a blank one is none", zonewire.Selectors{Title: "  "}, ""},
		{"lists and groups", zonewire.Selectors{List: "ul.news > li:nth-child(2n+1) a[href*='content'], .top a"}, ""},
		{"text inside", zonewire.Selectors{Source: "p:contains('来源')"}, ""},
		{"an open bracket", zonewire.Selectors{Date: "div["}, `date-selector "div[" cannot be used: expected identifier, found EOF instead`},
		{"a pseudo-element of a crawler", zonewire.Selectors{List: "a::attr(href)"}, `list-selector "a::attr(href)" cannot be used: unknown pseudoelement :attr`},
		{"an XPath", zonewire.Selectors{Body: "//div[@id='zoom']"}, `body-selector "//div[@id='zoom']" cannot be used: expected identifier, found / instead`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ingest.CheckSelectors(tt.in)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("got %v, want nil", err)
				}
				return
			}
			if !errors.Is(err, zonewire.ErrInvalid) || err.Error() != tt.want {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
			for reader, err := range map[string]error{
				"ReadPage": ingest.ReadPage([]byte("<p>x"), ingest.Options{Now: now, Selectors: tt.in}).Err,
				"ReadList": second(ingest.ReadList([]byte("<p>x"), ingest.Options{Now: now, Selectors: tt.in})),
			} {
				if err == nil || err.Error() != tt.want {
					t.Errorf("%s: got %v, want %s", reader, err, tt.want)
				}
			}
		})
	}
}

func second(_ ingest.ListDoc, err error) error { return err }
