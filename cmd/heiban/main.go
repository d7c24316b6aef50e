// Command heiban is a Kafka-compatible event-streaming broker, the simulator that
// proves it, and the client commands to try it with.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// errFailed says that the thing checked failed; what failed was already said.
var errFailed = errors.New("failed")

// usageError is a wrong use of a command.
type usageError struct{ error }

func main() { os.Exit(run(os.Args[1:])) }

// run executes a command line and returns its exit status: 0 when all went well, 1 when
// the thing checked failed, 2 for wrong use.
func run(args []string) int {
	root := &cobra.Command{
		Use:           "heiban",
		Short:         "A Kafka-compatible broker proven by simulation",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(brokerCommand(), topicCommand(), configCommand(), produceCommand(),
		consumeCommand(), simCommand())
	root.SetArgs(args)
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return 1
	case errors.As(err, &usage), cobraUsage(err):
		fmt.Fprintf(os.Stderr, "heiban: %v\nTry 'heiban --help'.\n", err)
		return 2
	default:
		fmt.Fprintf(os.Stderr, "heiban: %v\n", err)
		return 1
	}
}

// wrongUse reports a mistake in a command's flags or arguments.
func wrongUse(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}
