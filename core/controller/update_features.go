package controller

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// UpdateFeatures (57), versions 0 to 2: KIP-584, kinds of downgrades (KIP-778).

// What an update of a feature may do.
const (
	upgrade         int8 = 1
	safeDowngrade   int8 = 2
	unsafeDowngrade int8 = 3
)

// UpdateFeatures decides about the levels of features, all or none.
func (c *Controller) UpdateFeatures(
	req *kmsg.UpdateFeaturesRequest,
) Result[*kmsg.UpdateFeaturesResponse] {
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	out := Result[*kmsg.UpdateFeaturesResponse]{Response: resp}
	records, f := c.updateFeatures(req)
	resp.ErrorCode, resp.ErrorMessage = f.codes()
	if f != nil {
		return out
	}
	const validateFrom, resultsUpTo = 1, 1
	if req.Version < validateFrom || !req.ValidateOnly {
		out.Records = records
	}
	for i := range req.FeatureUpdates {
		if req.Version <= resultsUpTo {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature = req.FeatureUpdates[i].Feature
			resp.Results = append(resp.Results, r)
		}
	}
	return out
}

func (c *Controller) updateFeatures(req *kmsg.UpdateFeaturesRequest) (
	[]metadata.Record, *failure,
) {
	const kindFrom = 1
	proposed := slices.Clone(c.image.Features())
	var levels, more []metadata.Record
	for i := range req.FeatureUpdates {
		u := &req.FeatureUpdates[i]
		named := func(o kmsg.UpdateFeaturesRequestFeatureUpdate) bool { return o.Feature == u.Feature }
		if slices.IndexFunc(req.FeatureUpdates, named) < i {
			return nil, fail(errcode.InvalidRequest, "the request names "+u.Feature+" more than once")
		}
		kind := u.UpgradeType
		if req.Version < kindFrom {
			kind = upgrade
			if u.AllowDowngrade {
				kind = safeDowngrade
			}
		}
		was := c.image.Feature(u.Feature)
		if why := c.whyNotLevel(u.Feature, was, u.MaxVersionLevel, kind); why != "" {
			return nil, badLevel(u.Feature, u.MaxVersionLevel, why)
		}
		proposed = withLevel(proposed, metadata.Feature{Name: u.Feature, Level: u.MaxVersionLevel})
		levels = append(levels,
			&metadata.FeatureLevelRecord{Name: u.Feature, FeatureLevel: u.MaxVersionLevel})
		if u.Feature == metadata.EligibleLeaderReplicaVersion {
			switch {
			case was == 0 && u.MaxVersionLevel > 0:
				more = append(more, c.oneMinISR()...)
			case was > 0 && u.MaxVersionLevel == 0:
				more = append(more, c.endELR()...)
			}
		}
	}
	for _, f := range proposed {
		if needed := neededBy(f); f.Level > 0 && levelOf(proposed, metadata.MetadataVersion) < needed {
			return nil, badLevel(f.Name, f.Level, fmt.Sprintf(
				"it needs %s %d", metadata.MetadataVersion, needed))
		}
	}
	return append(levels, more...), nil
}

func badLevel(name string, level int16, why string) *failure {
	return fail(errcode.InvalidUpdateVersion,
		fmt.Sprintf("level %d of %s cannot be used: %s", level, name, why))
}

func compareFeature(a, b metadata.Feature) int { return cmp.Compare(a.Name, b.Name) }

// withLevel returns a sorted list with a feature at another level. It may change list.
func withLevel(list []metadata.Feature, f metadata.Feature) []metadata.Feature {
	i, ok := slices.BinarySearchFunc(list, f, compareFeature)
	if ok {
		list[i] = f
		return list
	}
	return slices.Insert(list, i, f)
}

func levelOf(list []metadata.Feature, name string) int16 {
	i, ok := slices.BinarySearchFunc(list, metadata.Feature{Name: name}, compareFeature)
	if !ok {
		return 0
	}
	return list[i].Level
}

// neededBy returns the lowest metadata version with which a feature may be used.
func neededBy(f metadata.Feature) int16 {
	switch f.Name {
	case metadata.GroupVersion:
		return 22 // 4.0-IV0
	case metadata.EligibleLeaderReplicaVersion:
		return 23 // 4.0-IV1
	}
	return 0
}

// whyNotLevel returns why a feature cannot change from one level to another, empty if
// it can.
func (c *Controller) whyNotLevel(name string, from, to int16, kind int8) string {
	switch {
	case kind != upgrade && kind != safeDowngrade && kind != unsafeDowngrade:
		return "the kind of update is not known"
	case to < 0:
		return "a level cannot be negative"
	case to < from && kind == upgrade:
		return "it is a downgrade, which is not asked for"
	case to > from && kind != upgrade:
		return "it is no downgrade"
	}
	if !supports(c.options.Features, name, to) {
		return "the controller does not support it"
	}
	for _, b := range c.image.Brokers() {
		if !supports(b.Features, name, to) {
			return fmt.Sprintf("broker %d does not support it", b.ID)
		}
	}
	if name == metadata.MetadataVersion && to < from && changesSchema(to, from) {
		if kind == unsafeDowngrade {
			return "unsafe downgrades of the metadata are not supported"
		}
		return "metadata might be lost"
	}
	return ""
}

func supports(ranges []metadata.BrokerFeature, name string, level int16) bool {
	for _, f := range ranges {
		if f.Name == name {
			return f.MinSupportedVersion <= level && level <= f.MaxSupportedVersion ||
				level == 0 && name != metadata.MetadataVersion
		}
	}
	return level == 0 && name != metadata.MetadataVersion
}

// changesSchema reports whether records may hold something at a metadata version that
// they cannot hold at a lower one.
func changesSchema(low, high int16) bool {
	for level := high; level > low; level-- {
		switch level {
		case 9, 10, // 3.5-IV0, 3.5-IV1
			12,             // 3.6-IV0
			16,             // 3.7-IV1
			18, 19, 20, 21, // 3.7-IV3, 3.7-IV4, 3.8-IV0, 3.9-IV0
			22,     // 4.0-IV0
			24, 25: // 4.0-IV2, 4.0-IV3
		default:
			return true
		}
	}
	return false
}

const minISRConfig = "min.insync.replicas"

// oneMinISR makes min.insync.replicas the same for all brokers, as it must be from now
// on: who is eligible depends on it (KIP-966).
func (c *Controller) oneMinISR() []metadata.Record {
	var records []metadata.Record
	if _, ok := config.Find(c.image.Configs(metadata.BrokerResource, ""), minISRConfig); !ok {
		value, ok := config.Find(c.image.Config().Static(), minISRConfig)
		if !ok {
			value = config.DefaultOf(minISRConfig)
		}
		records = append(records, &metadata.ConfigRecord{
			ResourceType: metadata.BrokerResource, Name: minISRConfig, Value: &value,
		})
	}
	for _, r := range c.image.Resources() {
		if r.Type != metadata.BrokerResource || r.Name == "" {
			continue
		}
		if _, ok := config.Find(r.Entries, minISRConfig); ok {
			records = append(records, &metadata.ConfigRecord{
				ResourceType: metadata.BrokerResource, ResourceName: r.Name, Name: minISRConfig,
			})
		}
	}
	return records
}

// endELR leaves partitions as they would be if nobody had ever been merely eligible:
// where nobody is in sync, those who may lead are, and else the last leader.
func (c *Controller) endELR() []metadata.Record {
	var records []metadata.Record
	for t := range c.image.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			ch := c.changeOf(t, int32(i), c.asIs())
			ch.next.ELR, ch.next.LastKnownELR = nil, nil
			switch elr, last := replicasOf(p, p.ELR), replicasOf(p, p.LastKnownELR); {
			case len(p.ISR) > 0:
			case len(elr) > 0:
				ch.next.ISR = elr
			case len(last) == 1:
				ch.next.ISR = last
			}
			if r := ch.record(); r != nil {
				records = append(records, r)
			}
		}
	}
	return records
}

// replicasOf returns those of ids that are replicas. Kafka leaves replicas eligible that
// have left the assignment.
func replicasOf(p *metadata.Partition, ids []int32) []int32 {
	return withoutAll(ids, withoutAll(ids, p.Replicas))
}
