package metadata

// The names of the features that clusters agree on (KIP-584).
const (
	MetadataVersion              = "metadata.version"
	GroupVersion                 = "group.version"                    // KIP-848
	TransactionVersion           = "transaction.version"              // KIP-890
	EligibleLeaderReplicaVersion = "eligible.leader.replicas.version" // KIP-966
)

// The levels of the metadata version that Kafka's releases write.
const (
	MetadataVersionMin int16 = 7  // 3.3-IV3
	MetadataVersionMax int16 = 30 // 4.3-IV0
)
