package controller

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/heiban/heiban/core/config"
	"github.com/heiban/heiban/core/errcode"
	"github.com/heiban/heiban/core/metadata"
)

// DescribeConfigs (32), versions 1 to 4: KIP-133, synonyms (KIP-226), documentation
// and types (KIP-569).

// DescribeConfigs answers a DescribeConfigs request from an image. It reads only the
// image and may run in any goroutine.
func DescribeConfigs(
	m *metadata.Image, req *kmsg.DescribeConfigsRequest,
) *kmsg.DescribeConfigsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	resp.Resources = make([]kmsg.DescribeConfigsResponseResource, len(req.Resources))
	for i := range req.Resources {
		r := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		described, f := describeResource(m, r)
		out.ErrorCode, out.ErrorMessage = f.codes()
		out.Configs = make([]kmsg.DescribeConfigsResponseResourceConfig, len(described))
		for j := range described {
			out.Configs[j] = describedConfig(&described[j], req)
		}
		resp.Resources[i] = out
	}
	return resp
}

func describeResource(m *metadata.Image, r *kmsg.DescribeConfigsRequestResource) (
	[]config.Description, *failure,
) {
	bad := func(format string, args ...any) ([]config.Description, *failure) {
		return nil, fail(errcode.InvalidRequest, fmt.Sprintf(format, args...))
	}
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if f := checkName(r.ResourceName); f != nil {
			return nil, f
		}
		t := m.Topic(r.ResourceName)
		if t == nil {
			return nil, fail(errcode.UnknownTopicOrPartition, "")
		}
		return m.Config().DescribeTopic(t.Overrides, r.ConfigNames), nil
	case kmsg.ConfigResourceTypeBroker:
		if r.ResourceName == "" {
			return m.Config().DescribeDefault(r.ConfigNames), nil
		}
		id, err := strconv.ParseInt(r.ResourceName, 10, 32)
		if err != nil {
			return bad("the broker %q is not a number", r.ResourceName)
		}
		if node := m.Config().NodeID; int32(id) != node {
			return bad("this is broker %d, not %s", node, r.ResourceName)
		}
		return m.Config().DescribeBroker(r.ConfigNames), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, nil // there are no loggers to configure
	case kmsg.ConfigResourceTypeUnknown, kmsg.ConfigResourceTypeClientMetrics,
		kmsg.ConfigResourceTypeGroupConfig:
	}
	return bad("unknown resource type %d", r.ResourceType)
}

func describedConfig(
	d *config.Description, req *kmsg.DescribeConfigsRequest,
) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.ReadOnly, out.IsSensitive = d.Name, d.ReadOnly, d.Sensitive
	out.Source = kmsg.ConfigSource(d.Source)
	out.IsDefault = d.Source == config.Default
	out.ConfigType = kmsg.ConfigType(d.Type)
	if !d.Null {
		out.Value = &d.Value
	}
	if req.IncludeDocumentation && d.Doc != "" {
		out.Documentation = &d.Doc
	}
	if !req.IncludeSynonyms {
		return out
	}
	for i := range d.Synonyms {
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Source = d.Synonyms[i].Name, kmsg.ConfigSource(d.Synonyms[i].Source)
		if !d.Synonyms[i].Null {
			s.Value = &d.Synonyms[i].Value
		}
		out.ConfigSynonyms = append(out.ConfigSynonyms, s)
	}
	return out
}
