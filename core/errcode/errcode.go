// Package errcode is Kafka's table of protocol errors.
package errcode

// Code is an error code as it stands in responses. Zero is success.
type Code int16

// The error codes of Apache Kafka 4.2.
const (
	UnknownServerError                 Code = -1  // UNKNOWN_SERVER_ERROR
	None                               Code = 0   // NONE
	OffsetOutOfRange                   Code = 1   // OFFSET_OUT_OF_RANGE
	CorruptMessage                     Code = 2   // CORRUPT_MESSAGE
	UnknownTopicOrPartition            Code = 3   // UNKNOWN_TOPIC_OR_PARTITION
	InvalidFetchSize                   Code = 4   // INVALID_FETCH_SIZE
	LeaderNotAvailable                 Code = 5   // LEADER_NOT_AVAILABLE
	NotLeaderOrFollower                Code = 6   // NOT_LEADER_OR_FOLLOWER
	RequestTimedOut                    Code = 7   // REQUEST_TIMED_OUT
	BrokerNotAvailable                 Code = 8   // BROKER_NOT_AVAILABLE
	ReplicaNotAvailable                Code = 9   // REPLICA_NOT_AVAILABLE
	MessageTooLarge                    Code = 10  // MESSAGE_TOO_LARGE
	StaleControllerEpoch               Code = 11  // STALE_CONTROLLER_EPOCH
	OffsetMetadataTooLarge             Code = 12  // OFFSET_METADATA_TOO_LARGE
	NetworkException                   Code = 13  // NETWORK_EXCEPTION
	CoordinatorLoadInProgress          Code = 14  // COORDINATOR_LOAD_IN_PROGRESS
	CoordinatorNotAvailable            Code = 15  // COORDINATOR_NOT_AVAILABLE
	NotCoordinator                     Code = 16  // NOT_COORDINATOR
	InvalidTopicException              Code = 17  // INVALID_TOPIC_EXCEPTION
	RecordListTooLarge                 Code = 18  // RECORD_LIST_TOO_LARGE
	NotEnoughReplicas                  Code = 19  // NOT_ENOUGH_REPLICAS
	NotEnoughReplicasAfterAppend       Code = 20  // NOT_ENOUGH_REPLICAS_AFTER_APPEND
	InvalidRequiredAcks                Code = 21  // INVALID_REQUIRED_ACKS
	IllegalGeneration                  Code = 22  // ILLEGAL_GENERATION
	InconsistentGroupProtocol          Code = 23  // INCONSISTENT_GROUP_PROTOCOL
	InvalidGroupID                     Code = 24  // INVALID_GROUP_ID
	UnknownMemberID                    Code = 25  // UNKNOWN_MEMBER_ID
	InvalidSessionTimeout              Code = 26  // INVALID_SESSION_TIMEOUT
	RebalanceInProgress                Code = 27  // REBALANCE_IN_PROGRESS
	InvalidCommitOffsetSize            Code = 28  // INVALID_COMMIT_OFFSET_SIZE
	TopicAuthorizationFailed           Code = 29  // TOPIC_AUTHORIZATION_FAILED
	GroupAuthorizationFailed           Code = 30  // GROUP_AUTHORIZATION_FAILED
	ClusterAuthorizationFailed         Code = 31  // CLUSTER_AUTHORIZATION_FAILED
	InvalidTimestamp                   Code = 32  // INVALID_TIMESTAMP
	UnsupportedSASLMechanism           Code = 33  // UNSUPPORTED_SASL_MECHANISM
	IllegalSASLState                   Code = 34  // ILLEGAL_SASL_STATE
	UnsupportedVersion                 Code = 35  // UNSUPPORTED_VERSION
	TopicAlreadyExists                 Code = 36  // TOPIC_ALREADY_EXISTS
	InvalidPartitions                  Code = 37  // INVALID_PARTITIONS
	InvalidReplicationFactor           Code = 38  // INVALID_REPLICATION_FACTOR
	InvalidReplicaAssignment           Code = 39  // INVALID_REPLICA_ASSIGNMENT
	InvalidConfig                      Code = 40  // INVALID_CONFIG
	NotController                      Code = 41  // NOT_CONTROLLER
	InvalidRequest                     Code = 42  // INVALID_REQUEST
	UnsupportedForMessageFormat        Code = 43  // UNSUPPORTED_FOR_MESSAGE_FORMAT
	PolicyViolation                    Code = 44  // POLICY_VIOLATION
	OutOfOrderSequenceNumber           Code = 45  // OUT_OF_ORDER_SEQUENCE_NUMBER
	DuplicateSequenceNumber            Code = 46  // DUPLICATE_SEQUENCE_NUMBER
	InvalidProducerEpoch               Code = 47  // INVALID_PRODUCER_EPOCH
	InvalidTxnState                    Code = 48  // INVALID_TXN_STATE
	InvalidProducerIDMapping           Code = 49  // INVALID_PRODUCER_ID_MAPPING
	InvalidTransactionTimeout          Code = 50  // INVALID_TRANSACTION_TIMEOUT
	ConcurrentTransactions             Code = 51  // CONCURRENT_TRANSACTIONS
	TransactionCoordinatorFenced       Code = 52  // TRANSACTION_COORDINATOR_FENCED
	TransactionalIDAuthorizationFailed Code = 53  // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
	SecurityDisabled                   Code = 54  // SECURITY_DISABLED
	OperationNotAttempted              Code = 55  // OPERATION_NOT_ATTEMPTED
	KafkaStorageError                  Code = 56  // KAFKA_STORAGE_ERROR
	LogDirNotFound                     Code = 57  // LOG_DIR_NOT_FOUND
	SASLAuthenticationFailed           Code = 58  // SASL_AUTHENTICATION_FAILED
	UnknownProducerID                  Code = 59  // UNKNOWN_PRODUCER_ID
	ReassignmentInProgress             Code = 60  // REASSIGNMENT_IN_PROGRESS
	DelegationTokenAuthDisabled        Code = 61  // DELEGATION_TOKEN_AUTH_DISABLED
	DelegationTokenNotFound            Code = 62  // DELEGATION_TOKEN_NOT_FOUND
	DelegationTokenOwnerMismatch       Code = 63  // DELEGATION_TOKEN_OWNER_MISMATCH
	DelegationTokenRequestNotAllowed   Code = 64  // DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
	DelegationTokenAuthorizationFailed Code = 65  // DELEGATION_TOKEN_AUTHORIZATION_FAILED
	DelegationTokenExpired             Code = 66  // DELEGATION_TOKEN_EXPIRED
	InvalidPrincipalType               Code = 67  // INVALID_PRINCIPAL_TYPE
	NonEmptyGroup                      Code = 68  // NON_EMPTY_GROUP
	GroupIDNotFound                    Code = 69  // GROUP_ID_NOT_FOUND
	FetchSessionIDNotFound             Code = 70  // FETCH_SESSION_ID_NOT_FOUND
	InvalidFetchSessionEpoch           Code = 71  // INVALID_FETCH_SESSION_EPOCH
	ListenerNotFound                   Code = 72  // LISTENER_NOT_FOUND
	TopicDeletionDisabled              Code = 73  // TOPIC_DELETION_DISABLED
	FencedLeaderEpoch                  Code = 74  // FENCED_LEADER_EPOCH
	UnknownLeaderEpoch                 Code = 75  // UNKNOWN_LEADER_EPOCH
	UnsupportedCompressionType         Code = 76  // UNSUPPORTED_COMPRESSION_TYPE
	StaleBrokerEpoch                   Code = 77  // STALE_BROKER_EPOCH
	OffsetNotAvailable                 Code = 78  // OFFSET_NOT_AVAILABLE
	MemberIDRequired                   Code = 79  // MEMBER_ID_REQUIRED
	PreferredLeaderNotAvailable        Code = 80  // PREFERRED_LEADER_NOT_AVAILABLE
	GroupMaxSizeReached                Code = 81  // GROUP_MAX_SIZE_REACHED
	FencedInstanceID                   Code = 82  // FENCED_INSTANCE_ID
	EligibleLeadersNotAvailable        Code = 83  // ELIGIBLE_LEADERS_NOT_AVAILABLE
	ElectionNotNeeded                  Code = 84  // ELECTION_NOT_NEEDED
	NoReassignmentInProgress           Code = 85  // NO_REASSIGNMENT_IN_PROGRESS
	GroupSubscribedToTopic             Code = 86  // GROUP_SUBSCRIBED_TO_TOPIC
	InvalidRecord                      Code = 87  // INVALID_RECORD
	UnstableOffsetCommit               Code = 88  // UNSTABLE_OFFSET_COMMIT
	ThrottlingQuotaExceeded            Code = 89  // THROTTLING_QUOTA_EXCEEDED
	ProducerFenced                     Code = 90  // PRODUCER_FENCED
	ResourceNotFound                   Code = 91  // RESOURCE_NOT_FOUND
	DuplicateResource                  Code = 92  // DUPLICATE_RESOURCE
	UnacceptableCredential             Code = 93  // UNACCEPTABLE_CREDENTIAL
	InconsistentVoterSet               Code = 94  // INCONSISTENT_VOTER_SET
	InvalidUpdateVersion               Code = 95  // INVALID_UPDATE_VERSION
	FeatureUpdateFailed                Code = 96  // FEATURE_UPDATE_FAILED
	PrincipalDeserializationFailure    Code = 97  // PRINCIPAL_DESERIALIZATION_FAILURE
	SnapshotNotFound                   Code = 98  // SNAPSHOT_NOT_FOUND
	PositionOutOfRange                 Code = 99  // POSITION_OUT_OF_RANGE
	UnknownTopicID                     Code = 100 // UNKNOWN_TOPIC_ID
	DuplicateBrokerRegistration        Code = 101 // DUPLICATE_BROKER_REGISTRATION
	BrokerIDNotRegistered              Code = 102 // BROKER_ID_NOT_REGISTERED
	InconsistentTopicID                Code = 103 // INCONSISTENT_TOPIC_ID
	InconsistentClusterID              Code = 104 // INCONSISTENT_CLUSTER_ID
	TransactionalIDNotFound            Code = 105 // TRANSACTIONAL_ID_NOT_FOUND
	FetchSessionTopicIDError           Code = 106 // FETCH_SESSION_TOPIC_ID_ERROR
	IneligibleReplica                  Code = 107 // INELIGIBLE_REPLICA
	NewLeaderElected                   Code = 108 // NEW_LEADER_ELECTED
	OffsetMovedToTieredStorage         Code = 109 // OFFSET_MOVED_TO_TIERED_STORAGE
	FencedMemberEpoch                  Code = 110 // FENCED_MEMBER_EPOCH
	UnreleasedInstanceID               Code = 111 // UNRELEASED_INSTANCE_ID
	UnsupportedAssignor                Code = 112 // UNSUPPORTED_ASSIGNOR
	StaleMemberEpoch                   Code = 113 // STALE_MEMBER_EPOCH
	MismatchedEndpointType             Code = 114 // MISMATCHED_ENDPOINT_TYPE
	UnsupportedEndpointType            Code = 115 // UNSUPPORTED_ENDPOINT_TYPE
	UnknownControllerID                Code = 116 // UNKNOWN_CONTROLLER_ID
	UnknownSubscriptionID              Code = 117 // UNKNOWN_SUBSCRIPTION_ID
	TelemetryTooLarge                  Code = 118 // TELEMETRY_TOO_LARGE
	InvalidRegistration                Code = 119 // INVALID_REGISTRATION
	TransactionAbortable               Code = 120 // TRANSACTION_ABORTABLE
	InvalidRecordState                 Code = 121 // INVALID_RECORD_STATE
	ShareSessionNotFound               Code = 122 // SHARE_SESSION_NOT_FOUND
	InvalidShareSessionEpoch           Code = 123 // INVALID_SHARE_SESSION_EPOCH
	FencedStateEpoch                   Code = 124 // FENCED_STATE_EPOCH
	InvalidVoterKey                    Code = 125 // INVALID_VOTER_KEY
	DuplicateVoter                     Code = 126 // DUPLICATE_VOTER
	VoterNotFound                      Code = 127 // VOTER_NOT_FOUND
	InvalidRegularExpression           Code = 128 // INVALID_REGULAR_EXPRESSION
	RebootstrapRequired                Code = 129 // REBOOTSTRAP_REQUIRED
	StreamsInvalidTopology             Code = 130 // STREAMS_INVALID_TOPOLOGY
	StreamsInvalidTopologyEpoch        Code = 131 // STREAMS_INVALID_TOPOLOGY_EPOCH
	StreamsTopologyFenced              Code = 132 // STREAMS_TOPOLOGY_FENCED
	ShareSessionLimitReached           Code = 133 // SHARE_SESSION_LIMIT_REACHED
)

var names = map[Code]string{
	-1:  "UNKNOWN_SERVER_ERROR",
	0:   "NONE",
	1:   "OFFSET_OUT_OF_RANGE",
	2:   "CORRUPT_MESSAGE",
	3:   "UNKNOWN_TOPIC_OR_PARTITION",
	4:   "INVALID_FETCH_SIZE",
	5:   "LEADER_NOT_AVAILABLE",
	6:   "NOT_LEADER_OR_FOLLOWER",
	7:   "REQUEST_TIMED_OUT",
	8:   "BROKER_NOT_AVAILABLE",
	9:   "REPLICA_NOT_AVAILABLE",
	10:  "MESSAGE_TOO_LARGE",
	11:  "STALE_CONTROLLER_EPOCH",
	12:  "OFFSET_METADATA_TOO_LARGE",
	13:  "NETWORK_EXCEPTION",
	14:  "COORDINATOR_LOAD_IN_PROGRESS",
	15:  "COORDINATOR_NOT_AVAILABLE",
	16:  "NOT_COORDINATOR",
	17:  "INVALID_TOPIC_EXCEPTION",
	18:  "RECORD_LIST_TOO_LARGE",
	19:  "NOT_ENOUGH_REPLICAS",
	20:  "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
	21:  "INVALID_REQUIRED_ACKS",
	22:  "ILLEGAL_GENERATION",
	23:  "INCONSISTENT_GROUP_PROTOCOL",
	24:  "INVALID_GROUP_ID",
	25:  "UNKNOWN_MEMBER_ID",
	26:  "INVALID_SESSION_TIMEOUT",
	27:  "REBALANCE_IN_PROGRESS",
	28:  "INVALID_COMMIT_OFFSET_SIZE",
	29:  "TOPIC_AUTHORIZATION_FAILED",
	30:  "GROUP_AUTHORIZATION_FAILED",
	31:  "CLUSTER_AUTHORIZATION_FAILED",
	32:  "INVALID_TIMESTAMP",
	33:  "UNSUPPORTED_SASL_MECHANISM",
	34:  "ILLEGAL_SASL_STATE",
	35:  "UNSUPPORTED_VERSION",
	36:  "TOPIC_ALREADY_EXISTS",
	37:  "INVALID_PARTITIONS",
	38:  "INVALID_REPLICATION_FACTOR",
	39:  "INVALID_REPLICA_ASSIGNMENT",
	40:  "INVALID_CONFIG",
	41:  "NOT_CONTROLLER",
	42:  "INVALID_REQUEST",
	43:  "UNSUPPORTED_FOR_MESSAGE_FORMAT",
	44:  "POLICY_VIOLATION",
	45:  "OUT_OF_ORDER_SEQUENCE_NUMBER",
	46:  "DUPLICATE_SEQUENCE_NUMBER",
	47:  "INVALID_PRODUCER_EPOCH",
	48:  "INVALID_TXN_STATE",
	49:  "INVALID_PRODUCER_ID_MAPPING",
	50:  "INVALID_TRANSACTION_TIMEOUT",
	51:  "CONCURRENT_TRANSACTIONS",
	52:  "TRANSACTION_COORDINATOR_FENCED",
	53:  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
	54:  "SECURITY_DISABLED",
	55:  "OPERATION_NOT_ATTEMPTED",
	56:  "KAFKA_STORAGE_ERROR",
	57:  "LOG_DIR_NOT_FOUND",
	58:  "SASL_AUTHENTICATION_FAILED",
	59:  "UNKNOWN_PRODUCER_ID",
	60:  "REASSIGNMENT_IN_PROGRESS",
	61:  "DELEGATION_TOKEN_AUTH_DISABLED",
	62:  "DELEGATION_TOKEN_NOT_FOUND",
	63:  "DELEGATION_TOKEN_OWNER_MISMATCH",
	64:  "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
	65:  "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
	66:  "DELEGATION_TOKEN_EXPIRED",
	67:  "INVALID_PRINCIPAL_TYPE",
	68:  "NON_EMPTY_GROUP",
	69:  "GROUP_ID_NOT_FOUND",
	70:  "FETCH_SESSION_ID_NOT_FOUND",
	71:  "INVALID_FETCH_SESSION_EPOCH",
	72:  "LISTENER_NOT_FOUND",
	73:  "TOPIC_DELETION_DISABLED",
	74:  "FENCED_LEADER_EPOCH",
	75:  "UNKNOWN_LEADER_EPOCH",
	76:  "UNSUPPORTED_COMPRESSION_TYPE",
	77:  "STALE_BROKER_EPOCH",
	78:  "OFFSET_NOT_AVAILABLE",
	79:  "MEMBER_ID_REQUIRED",
	80:  "PREFERRED_LEADER_NOT_AVAILABLE",
	81:  "GROUP_MAX_SIZE_REACHED",
	82:  "FENCED_INSTANCE_ID",
	83:  "ELIGIBLE_LEADERS_NOT_AVAILABLE",
	84:  "ELECTION_NOT_NEEDED",
	85:  "NO_REASSIGNMENT_IN_PROGRESS",
	86:  "GROUP_SUBSCRIBED_TO_TOPIC",
	87:  "INVALID_RECORD",
	88:  "UNSTABLE_OFFSET_COMMIT",
	89:  "THROTTLING_QUOTA_EXCEEDED",
	90:  "PRODUCER_FENCED",
	91:  "RESOURCE_NOT_FOUND",
	92:  "DUPLICATE_RESOURCE",
	93:  "UNACCEPTABLE_CREDENTIAL",
	94:  "INCONSISTENT_VOTER_SET",
	95:  "INVALID_UPDATE_VERSION",
	96:  "FEATURE_UPDATE_FAILED",
	97:  "PRINCIPAL_DESERIALIZATION_FAILURE",
	98:  "SNAPSHOT_NOT_FOUND",
	99:  "POSITION_OUT_OF_RANGE",
	100: "UNKNOWN_TOPIC_ID",
	101: "DUPLICATE_BROKER_REGISTRATION",
	102: "BROKER_ID_NOT_REGISTERED",
	103: "INCONSISTENT_TOPIC_ID",
	104: "INCONSISTENT_CLUSTER_ID",
	105: "TRANSACTIONAL_ID_NOT_FOUND",
	106: "FETCH_SESSION_TOPIC_ID_ERROR",
	107: "INELIGIBLE_REPLICA",
	108: "NEW_LEADER_ELECTED",
	109: "OFFSET_MOVED_TO_TIERED_STORAGE",
	110: "FENCED_MEMBER_EPOCH",
	111: "UNRELEASED_INSTANCE_ID",
	112: "UNSUPPORTED_ASSIGNOR",
	113: "STALE_MEMBER_EPOCH",
	114: "MISMATCHED_ENDPOINT_TYPE",
	115: "UNSUPPORTED_ENDPOINT_TYPE",
	116: "UNKNOWN_CONTROLLER_ID",
	117: "UNKNOWN_SUBSCRIPTION_ID",
	118: "TELEMETRY_TOO_LARGE",
	119: "INVALID_REGISTRATION",
	120: "TRANSACTION_ABORTABLE",
	121: "INVALID_RECORD_STATE",
	122: "SHARE_SESSION_NOT_FOUND",
	123: "INVALID_SHARE_SESSION_EPOCH",
	124: "FENCED_STATE_EPOCH",
	125: "INVALID_VOTER_KEY",
	126: "DUPLICATE_VOTER",
	127: "VOTER_NOT_FOUND",
	128: "INVALID_REGULAR_EXPRESSION",
	129: "REBOOTSTRAP_REQUIRED",
	130: "STREAMS_INVALID_TOPOLOGY",
	131: "STREAMS_INVALID_TOPOLOGY_EPOCH",
	132: "STREAMS_TOPOLOGY_FENCED",
	133: "SHARE_SESSION_LIMIT_REACHED",
}

// String returns Kafka's name of the code, such as "NOT_LEADER_OR_FOLLOWER".
func (c Code) String() string {
	if name, ok := names[c]; ok {
		return name
	}
	return "UNKNOWN_SERVER_ERROR"
}
