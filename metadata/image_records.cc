#include "metadata/image_records.h"

#include "base/check.h"

namespace millrace::metadata {

namespace {

using ReplicaMessages = google::protobuf::RepeatedPtrField<records::PartitionReplica>;

Replicas ReplicasFrom(const ReplicaMessages& messages) {
  Replicas replicas;
  for (const records::PartitionReplica& message : messages) {
    replicas.push_back({NodeId(message.broker_id()), IdFrom<DirectoryId>(message.directory_id())});
  }
  return replicas;
}

void ReplicasTo(const Replicas& replicas, ReplicaMessages* messages) {
  for (const ReplicaImage& replica : replicas) {
    records::PartitionReplica* message = messages->Add();
    message->set_broker_id(replica.broker.value());
    message->set_directory_id(replica.directory.ToBytes());
  }
}

template <class Ids>
BrokerList BrokersFrom(const Ids& ids) {
  BrokerList brokers;
  for (const int32_t id : ids) brokers.push_back(NodeId(id));
  return brokers;
}

template <class Ids>
void BrokersTo(const BrokerList& brokers, Ids* ids) {
  for (const NodeId broker : brokers) ids->Add(broker.value());
}

RecoveryState RecoveryFrom(records::LeaderRecoveryState state) {
  return state == records::LEADER_RECOVERY_STATE_RECOVERING ? RecoveryState::kRecovering
                                                            : RecoveryState::kRecovered;
}

records::LeaderRecoveryState RecoveryTo(RecoveryState state) {
  return state == RecoveryState::kRecovering ? records::LEADER_RECOVERY_STATE_RECOVERING
                                             : records::LEADER_RECOVERY_STATE_RECOVERED;
}

}  // namespace

PartitionImage PartitionFrom(const records::PartitionRecord& record) {
  return {.replicas = ReplicasFrom(record.replicas()),
          .isr = BrokersFrom(record.isr()),
          .elr = BrokersFrom(record.elr()),
          .leader = NodeId(record.leader()),
          .last_known_leader = NodeId(record.last_known_leader()),
          .leader_epoch = LeaderEpoch(record.leader_epoch()),
          .partition_epoch = PartitionEpoch(record.partition_epoch()),
          .recovery_state = RecoveryFrom(record.recovery_state()),
          .raising = record.raising(),
          .impaired = BrokersFrom(record.impaired()),
          .target = BrokersFrom(record.target()),
          .adding = BrokersFrom(record.adding()),
          .throttle_bytes_per_s = record.throttle_bytes_per_s()};
}

records::PartitionRecord PartitionRecordOf(const TopicPartition& id,
                                           const PartitionImage& partition) {
  records::PartitionRecord record;
  record.set_topic_id(id.topic_id.ToBytes());
  record.set_partition(id.partition.value());
  ReplicasTo(partition.replicas, record.mutable_replicas());
  BrokersTo(partition.isr, record.mutable_isr());
  BrokersTo(partition.elr, record.mutable_elr());
  record.set_leader(partition.leader.value());
  record.set_leader_epoch(partition.leader_epoch.value());
  record.set_partition_epoch(partition.partition_epoch.value());
  record.set_recovery_state(RecoveryTo(partition.recovery_state));
  record.set_last_known_leader(partition.last_known_leader.value());
  BrokersTo(partition.target, record.mutable_target());
  BrokersTo(partition.adding, record.mutable_adding());
  record.set_throttle_bytes_per_s(partition.throttle_bytes_per_s);
  record.set_raising(partition.raising);
  BrokersTo(partition.impaired, record.mutable_impaired());
  return record;
}

records::PartitionChangeRecord PartitionChangeOf(const TopicPartition& id,
                                                 const PartitionImage& before,
                                                 const PartitionImage& after) {
  CHECK_EQ(after.partition_epoch, before.partition_epoch + 1);
  records::PartitionChangeRecord record;
  record.set_topic_id(id.topic_id.ToBytes());
  record.set_partition(id.partition.value());
  if (after.replicas != before.replicas) {
    ReplicasTo(after.replicas, record.mutable_replicas()->mutable_replicas());
  }
  if (after.isr != before.isr) BrokersTo(after.isr, record.mutable_isr()->mutable_ids());
  if (after.elr != before.elr) BrokersTo(after.elr, record.mutable_elr()->mutable_ids());
  if (after.leader != before.leader) record.set_leader(after.leader.value());
  if (after.leader_epoch != before.leader_epoch) {
    record.set_leader_epoch(after.leader_epoch.value());
  }
  if (after.recovery_state != before.recovery_state) {
    record.set_recovery_state(RecoveryTo(after.recovery_state));
  }
  if (after.last_known_leader != before.last_known_leader) {
    record.set_last_known_leader(after.last_known_leader.value());
  }
  if (after.target != before.target) {
    BrokersTo(after.target, record.mutable_target()->mutable_ids());
  }
  if (after.adding != before.adding) {
    BrokersTo(after.adding, record.mutable_adding()->mutable_ids());
  }
  if (after.throttle_bytes_per_s != before.throttle_bytes_per_s) {
    record.set_throttle_bytes_per_s(after.throttle_bytes_per_s);
  }
  if (after.raising != before.raising) record.set_raising(after.raising);
  if (after.impaired != before.impaired) {
    BrokersTo(after.impaired, record.mutable_impaired()->mutable_ids());
  }
  return record;
}

PartitionImage ChangedPartition(const PartitionImage& before,
                                const records::PartitionChangeRecord& change) {
  PartitionImage after = before;
  ++after.partition_epoch;
  if (change.has_replicas()) after.replicas = ReplicasFrom(change.replicas().replicas());
  if (change.has_isr()) after.isr = BrokersFrom(change.isr().ids());
  if (change.has_elr()) after.elr = BrokersFrom(change.elr().ids());
  if (change.has_leader()) after.leader = NodeId(change.leader());
  if (change.has_leader_epoch()) after.leader_epoch = LeaderEpoch(change.leader_epoch());
  if (change.recovery_state() != records::LEADER_RECOVERY_STATE_UNSPECIFIED) {
    after.recovery_state = RecoveryFrom(change.recovery_state());
  }
  if (change.has_last_known_leader()) {
    after.last_known_leader = NodeId(change.last_known_leader());
  }
  if (change.has_target()) after.target = BrokersFrom(change.target().ids());
  if (change.has_adding()) after.adding = BrokersFrom(change.adding().ids());
  if (change.has_throttle_bytes_per_s()) {
    after.throttle_bytes_per_s = change.throttle_bytes_per_s();
  }
  if (change.has_raising()) after.raising = change.raising();
  if (change.has_impaired()) after.impaired = BrokersFrom(change.impaired().ids());
  return after;
}

BrokerImage BrokerFrom(const records::BrokerRegistrationRecord& record, BrokerEpoch epoch) {
  BrokerImage broker{.id = NodeId(record.broker_id()),
                     .epoch = epoch,
                     .incarnation = IdFrom<IncarnationId>(record.incarnation_id()),
                     .feature_level_min = record.feature_level_min(),
                     .feature_level_max = record.feature_level_max(),
                     .listeners = {},
                     .rack = record.rack(),
                     .log_dirs = {},
                     .version = record.version()};
  for (const records::BrokerListener& listener : record.listeners()) {
    broker.listeners.push_back(
        {listener.name(), listener.host(), static_cast<uint16_t>(listener.port())});
  }
  for (const records::BrokerLogDir& dir : record.log_dirs()) {
    broker.log_dirs.push_back(
        {.id = IdFrom<DirectoryId>(dir.directory_id()),
         .last_open_epoch = BrokerEpoch(dir.last_open_broker_epoch()),
         .suspect = dir.suspect(),
         .trusted = dir.trusted(),
         .failed = dir.failed(),
         .slow = dir.slow(),
         .last_registered_epoch = BrokerEpoch(dir.last_registered_broker_epoch())});
  }
  return broker;
}

records::BrokerLogDir LogDirRecordOf(const LogDirImage& dir) {
  records::BrokerLogDir record;
  record.set_directory_id(dir.id.ToBytes());
  record.set_last_open_broker_epoch(dir.last_open_epoch.value());
  record.set_suspect(dir.suspect);
  record.set_trusted(dir.trusted);
  record.set_failed(dir.failed);
  record.set_slow(dir.slow);
  record.set_last_registered_broker_epoch(dir.last_registered_epoch.value());
  return record;
}

records::BrokerRegistrationRecord RegistrationRecordOf(const BrokerImage& broker) {
  records::BrokerRegistrationRecord record;
  record.set_broker_id(broker.id.value());
  record.set_incarnation_id(broker.incarnation.ToBytes());
  for (const Listener& listener : broker.listeners) {
    records::BrokerListener* message = record.add_listeners();
    message->set_name(listener.name);
    message->set_host(listener.host);
    message->set_port(listener.port);
  }
  record.set_rack(broker.rack);
  for (const LogDirImage& dir : broker.log_dirs) *record.add_log_dirs() = LogDirRecordOf(dir);
  record.set_feature_level_min(broker.feature_level_min);
  record.set_feature_level_max(broker.feature_level_max);
  record.set_version(broker.version);
  return record;
}

records::BrokerState StateToRecord(BrokerState state) {
  switch (state) {
    case BrokerState::kFenced:
      return records::BROKER_STATE_FENCED;
    case BrokerState::kActive:
      return records::BROKER_STATE_ACTIVE;
    case BrokerState::kShuttingDown:
      return records::BROKER_STATE_SHUTTING_DOWN;
  }
  return records::BROKER_STATE_FENCED;
}

BrokerState StateFromRecord(records::BrokerState state) {
  if (state == records::BROKER_STATE_ACTIVE) return BrokerState::kActive;
  if (state == records::BROKER_STATE_SHUTTING_DOWN) return BrokerState::kShuttingDown;
  return BrokerState::kFenced;
}

ConfigOwner OwnerFrom(const records::ConfigRecord& record) {
  return {
      record.scope() == records::CONFIG_SCOPE_TOPIC ? ConfigScope::kTopic : ConfigScope::kBroker,
      record.resource()};
}

records::ConfigRecord ConfigRecordOf(const ConfigOwner& owner, const std::string& key,
                                     const std::string* value) {
  records::ConfigRecord record;
  record.set_scope(owner.scope == ConfigScope::kTopic ? records::CONFIG_SCOPE_TOPIC
                                                      : records::CONFIG_SCOPE_BROKER);
  record.set_resource(owner.name);
  record.set_key(key);
  if (value != nullptr) record.set_value(*value);
  return record;
}

RequestKey RequestKeyFrom(const records::CompletedRequestRecord& record) {
  return {IdFrom<RequestClientId>(record.client_id()), record.sequence()};
}

CompletedRequest CompletedRequestFrom(const records::CompletedRequestRecord& record,
                                      LogIndex index) {
  return {.request_hash = record.request_hash(),
          .time_ms = record.time_ms(),
          .index = index,
          .reply = Bytes::Copy(record.reply())};
}

records::CompletedRequestRecord CompletedRequestRecordOf(const RequestKey& key,
                                                         const CompletedRequest& request) {
  records::CompletedRequestRecord record;
  record.set_client_id(key.client.ToBytes());
  record.set_sequence(key.sequence);
  record.set_request_hash(request.request_hash);
  record.set_time_ms(request.time_ms);
  record.set_reply(request.reply.ToString());
  return record;
}

}  // namespace millrace::metadata
