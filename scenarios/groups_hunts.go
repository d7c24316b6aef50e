package scenarios

import (
	"github.com/heiban/heiban/checker"
	"github.com/heiban/heiban/core/mutant"
)

// groupHunts returns how the known bugs of coordinators are to be found.
func groupHunts() []Hunt {
	return []Hunt{
		{
			mutant.G4CommitOfAnyone,
			[]string{"zombies-commit", "groups-eager", "groups-of-consumers"},
			[]string{checker.CommittedOffsets},
			200,
		},
		{
			mutant.G5ExpireInRebalance,
			[]string{"offsets-expire"},
			[]string{checker.CommittedOffsets},
			500,
		},
		{
			mutant.G7StaticNotFenced,
			[]string{"groups-of-static-members"},
			[]string{checker.GroupOwners},
			200,
		},
		{
			mutant.G8RevokingIsFree,
			[]string{"slow-revocations", "groups-of-consumers"},
			[]string{checker.GroupOwners},
			500,
		},
		{
			mutant.G9SyncOfAnyone,
			[]string{"zombies-commit", "groups-eager"},
			[]string{checker.GroupOwners, checker.GroupEpochs},
			500,
		},
	}
}
