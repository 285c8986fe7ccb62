package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newHelp replaces cobra's own, which exits 0 for a topic that does not exist.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:         "help [NOUN [VERB]]",
		Short:       "Help about any command",
		Annotations: map[string]string{noConfig: "y"},
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usagef(cmd.Root(), "%w", err)
			}
			if len(rest) > 0 {
				return unknown(found, "command", rest[0])
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

// usage prints how a command is typed: below its description in --help.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	line := cmd.UseLine()
	if !cmd.HasParent() {
		line += " [--config FILE] [--db FILE] [-o table|json] NOUN VERB"
	}
	fmt.Fprintf(&b, "Usage: %s\n", line)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(&b, "\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				fmt.Fprintf(&b, "  %-*s  %s\n", cmd.NamePadding(), c.Name(), c.Short)
			}
		}
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flagUsages(cmd.LocalFlags()))
	}
	if cmd.HasAvailableInheritedFlags() {
		fmt.Fprintf(&b, "\nFlags of every command:\n%s", flagUsages(cmd.InheritedFlags()))
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// flagUsages leaves out the values that a switch could be given: nobody types them.
func flagUsages(flags *pflag.FlagSet) string {
	return strings.ReplaceAll(flags.FlagUsages(), "[=true|false]", "             ")
}
