package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// newVersion is "zonewire version".
func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:         "version",
		Short:       "Print the version",
		Example:     "  zonewire version",
		Args:        exactly(),
		Annotations: map[string]string{noConfig: "y"},
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.out.say(map[string]string{"version": v, "go": runtime.Version()}, "zonewire %s (%s)", v, runtime.Version())
		},
	}
}

// buildVersion is what the Go tool recorded: a tag, or the commit that was built.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "unreleased"
	}
	return info.Main.Version
}
