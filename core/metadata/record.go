package metadata

// Record is one record of the metadata log: a fact that every node folds into its
// Image. The schemas are Kafka's (KIP-500 and later).
//
//sumtype:decl
type Record interface {
	// key is Kafka's number of the record's type.
	key() int16
	// version is the lowest version of the schema that holds all of the record.
	version() int16
	appendBody(dst []byte) []byte
	decodeBody(d *decoder, version int16)
}

// RegisterBrokerRecord says that a broker took part in the cluster anew. It is
// fenced until a BrokerRegistrationChangeRecord says otherwise.
type RegisterBrokerRecord struct {
	Rack                 *string // nil: none
	EndPoints            []BrokerEndpoint
	Features             []BrokerFeature
	LogDirs              []ID
	CordonedLogDirs      []ID // KIP-1066; nil: none
	BrokerEpoch          int64
	IncarnationID        ID
	BrokerID             int32
	IsMigratingZkBroker  bool
	Fenced               bool
	InControlledShutdown bool
}

// BrokerEndpoint is an address that a broker can be reached at.
type BrokerEndpoint struct {
	Name             string
	Host             string
	Port             uint16
	SecurityProtocol int16
}

// BrokerFeature is the range of levels of a feature that a broker understands.
type BrokerFeature struct {
	Name                string
	MinSupportedVersion int16
	MaxSupportedVersion int16
}

// UnregisterBrokerRecord says that a broker is no longer part of the cluster.
type UnregisterBrokerRecord struct {
	BrokerEpoch int64
	BrokerID    int32
}

// TopicRecord says that a topic was created. Its configuration and its partitions
// follow in this order.
type TopicRecord struct {
	Name    string
	TopicID ID
}

// PartitionRecord says what a partition of a new topic, or a new partition of a
// topic, is.
type PartitionRecord struct {
	Replicas               []int32
	ISR                    []int32
	RemovingReplicas       []int32
	AddingReplicas         []int32
	Directories            []ID    // one per replica (KIP-858)
	EligibleLeaderReplicas []int32 // KIP-966; nil: none
	LastKnownELR           []int32 // KIP-966; nil: none
	TopicID                ID
	PartitionID            int32
	Leader                 int32 // -1: none
	LeaderEpoch            int32
	PartitionEpoch         int32
	LeaderRecoveryState    int8
}

// ConfigRecord says that a configuration was set, or with a nil Value deleted.
type ConfigRecord struct {
	Value        *string
	ResourceName string
	Name         string
	ResourceType ResourceType
}

// PartitionChangeRecord says what changed of a partition. Every change raises the
// partition epoch by one; one that names a leader raises the leader epoch too. Nil
// slices and the No...Change values leave things as they were.
type PartitionChangeRecord struct {
	ISR                    []int32
	Replicas               []int32
	RemovingReplicas       []int32
	AddingReplicas         []int32
	EligibleLeaderReplicas []int32
	LastKnownELR           []int32
	Directories            []ID
	TopicID                ID
	PartitionID            int32
	Leader                 int32 // -1: none
	LeaderRecoveryState    int8
}

// What a PartitionChangeRecord holds where it changes nothing.
const (
	NoLeaderChange        int32 = -2
	NoRecoveryStateChange int8  = -1
)

// RemoveTopicRecord says that a topic was deleted, with its partitions and its
// configuration.
type RemoveTopicRecord struct{ TopicID ID }

// FeatureLevelRecord says which level of a feature the cluster uses. Level 0 means
// that the feature is not used.
type FeatureLevelRecord struct {
	Name         string
	FeatureLevel int16
}

// ProducerIDsRecord says that all producer ids below NextProducerID were given out.
type ProducerIDsRecord struct {
	BrokerEpoch    int64
	NextProducerID int64
	BrokerID       int32
}

// BrokerRegistrationChangeRecord says what changed of a broker's registration.
type BrokerRegistrationChangeRecord struct {
	LogDirs              []ID // empty: no change
	CordonedLogDirs      []ID // KIP-1066; nil: no change
	BrokerEpoch          int64
	BrokerID             int32
	Fenced               int8 // -1: unfenced, 0: no change, 1: fenced
	InControlledShutdown int8 // 0: no change, 1: in controlled shutdown
}

// NoOpRecord says nothing.
type NoOpRecord struct{}

// BeginTransactionRecord says that the following records take effect together, at
// an EndTransactionRecord, or not at all (KIP-868).
type BeginTransactionRecord struct{ Name *string }

// EndTransactionRecord lets the records since a BeginTransactionRecord take effect.
type EndTransactionRecord struct{}

// AbortTransactionRecord drops the records since a BeginTransactionRecord.
type AbortTransactionRecord struct{ Reason *string }

// ClearELRRecord says that no partition of a topic has eligible leader replicas any
// more, because what its min.insync.replicas were has changed (KIP-966).
type ClearELRRecord struct {
	TopicName string // empty: all topics
}

// newRecord returns an empty record of a type with the schema's defaults, and the
// highest version of it that is understood; nil if the type is not known.
func newRecord(key int16) (Record, int16) {
	switch key {
	case 0:
		return &RegisterBrokerRecord{Fenced: true}, 4
	case 1:
		return &UnregisterBrokerRecord{}, 0
	case 2:
		return &TopicRecord{}, 0
	case 3:
		return &PartitionRecord{}, 2
	case 4:
		return &ConfigRecord{}, 0
	case 5:
		return &PartitionChangeRecord{
			Leader: NoLeaderChange, LeaderRecoveryState: NoRecoveryStateChange,
		}, 2
	case 9:
		return &RemoveTopicRecord{}, 0
	case 12:
		return &FeatureLevelRecord{}, 0
	case 15:
		return &ProducerIDsRecord{}, 0
	case 17:
		return &BrokerRegistrationChangeRecord{}, 3
	case 20:
		return &NoOpRecord{}, 0
	case 23:
		return &BeginTransactionRecord{}, 0
	case 24:
		return &EndTransactionRecord{}, 0
	case 25:
		return &AbortTransactionRecord{}, 0
	case 28:
		return &ClearELRRecord{}, 0
	}
	return nil, 0
}

// notKept reports whether Kafka has a type of records that no image holds.
func notKept(key int16) bool {
	switch key {
	case 10, // DelegationTokenRecord
		11, // UserScramCredentialRecord
		14, // ClientQuotaRecord
		18, // AccessControlEntryRecord
		19, // RemoveAccessControlEntryRecord
		21, // ZkMigrationStateRecord
		22, // RemoveUserScramCredentialRecord
		26, // RemoveDelegationTokenRecord
		27: // RegisterControllerRecord
		return true
	}
	return false
}

func (*RegisterBrokerRecord) key() int16           { return 0 }
func (*UnregisterBrokerRecord) key() int16         { return 1 }
func (*TopicRecord) key() int16                    { return 2 }
func (*PartitionRecord) key() int16                { return 3 }
func (*ConfigRecord) key() int16                   { return 4 }
func (*PartitionChangeRecord) key() int16          { return 5 }
func (*RemoveTopicRecord) key() int16              { return 9 }
func (*FeatureLevelRecord) key() int16             { return 12 }
func (*ProducerIDsRecord) key() int16              { return 15 }
func (*BrokerRegistrationChangeRecord) key() int16 { return 17 }
func (*NoOpRecord) key() int16                     { return 20 }
func (*BeginTransactionRecord) key() int16         { return 23 }
func (*EndTransactionRecord) key() int16           { return 24 }
func (*AbortTransactionRecord) key() int16         { return 25 }
func (*ClearELRRecord) key() int16                 { return 28 }

func (*UnregisterBrokerRecord) version() int16 { return 0 }
func (*TopicRecord) version() int16            { return 0 }
func (*ConfigRecord) version() int16           { return 0 }
func (*RemoveTopicRecord) version() int16      { return 0 }
func (*FeatureLevelRecord) version() int16     { return 0 }
func (*ProducerIDsRecord) version() int16      { return 0 }
func (*NoOpRecord) version() int16             { return 0 }
func (*BeginTransactionRecord) version() int16 { return 0 }
func (*EndTransactionRecord) version() int16   { return 0 }
func (*AbortTransactionRecord) version() int16 { return 0 }
func (*ClearELRRecord) version() int16         { return 0 }

func (r *RegisterBrokerRecord) version() int16 {
	if r.CordonedLogDirs != nil {
		return 4
	}
	return 3
}

func (r *PartitionRecord) version() int16 {
	if r.EligibleLeaderReplicas != nil || r.LastKnownELR != nil {
		return 2
	}
	return 1
}

func (r *PartitionChangeRecord) version() int16 {
	switch {
	case r.EligibleLeaderReplicas != nil || r.LastKnownELR != nil:
		return 2
	case r.Directories != nil:
		return 1
	}
	return 0
}

func (r *BrokerRegistrationChangeRecord) version() int16 {
	switch {
	case r.CordonedLogDirs != nil:
		return 3
	case len(r.LogDirs) > 0:
		return 2
	case r.InControlledShutdown != 0:
		return 1
	}
	return 0
}
