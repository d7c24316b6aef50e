//go:build !mutants

package main

import "github.com/spf13/cobra"

// addMutants adds nothing: this build has no mutants.
func addMutants(*cobra.Command) {}
