// Command heiban is a Kafka-compatible event-streaming broker, the simulator that
// proves it, and the client commands to try it with.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// errFailed says that the thing checked failed; what failed was already said.
var errFailed = errors.New("failed")

// usageError is a wrong use of a command.
type usageError struct{ error }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes a command line and returns its exit status: 0 when all went well, 1 when
// the thing checked failed, 2 for wrong use.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	root := &cobra.Command{
		Use:           "heiban",
		Short:         "A Kafka-compatible broker proven by simulation",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	group(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(brokerCommand(), clusterCommand(), topicCommand(), groupCommand(),
		configCommand(), quorumCommand(), produceCommand(), consumeCommand(), logCommand(),
		simCommand(), checkCommand())
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return 1
	case errors.As(err, &usage), cobraUsage(err):
		fmt.Fprintf(errOut, "heiban: %v\nTry 'heiban --help'.\n", err)
		return 2
	default:
		fmt.Fprintf(errOut, "heiban: %v\n", err)
		return 1
	}
}

// group makes a command one that only holds others: alone it explains itself, and a
// word that is none of them is wrong use.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return wrongUse("unknown command %q for %q", args[0], cmd.CommandPath())
		}
		return cmd.Help()
	}
}

// wrongUse reports a mistake in a command's flags or arguments.
func wrongUse(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}
