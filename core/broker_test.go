package core_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/heiban/heiban/core"
)

func TestNewNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*core.Options)
		want   string
	}{
		{"no directory", func(o *core.Options) { o.LogDirs = nil }, "log.dirs"},
		{"no listener", func(o *core.Options) { o.Listeners = nil }, "advertised.listeners"},
		{"bad value", func(o *core.Options) {
			o.Properties = map[string]string{"num.partitions": "many"}
		}, "num.partitions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			options := newDriver().options
			tt.change(&options)
			_, err := core.New(options)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
