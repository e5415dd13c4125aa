#include "api/codec/watch_topics_codec.h"

#include <utility>

#include "api/codec/partition_fields.h"

namespace millrace::api {
namespace {

PartitionLeader LeaderFromProto(const v1::PartitionLeader& proto) {
  PartitionLeader leader;
  leader.partition = PartitionIndex(proto.partition());
  leader.leader_id = NodeId(proto.leader_id());
  leader.leader_epoch = LeaderEpoch(proto.leader_epoch());
  for (const int32_t id : proto.replicas()) leader.replicas.push_back(NodeId(id));
  for (const int32_t id : proto.in_sync_replicas()) leader.in_sync_replicas.push_back(NodeId(id));
  return leader;
}

void LeaderToProto(const PartitionLeader& leader, v1::PartitionLeader* proto) {
  proto->set_partition(leader.partition.value());
  proto->set_leader_id(leader.leader_id.value());
  proto->set_leader_epoch(leader.leader_epoch.value());
  for (const NodeId id : leader.replicas) proto->add_replicas(id.value());
  for (const NodeId id : leader.in_sync_replicas) proto->add_in_sync_replicas(id.value());
}

}  // namespace

WatchTopicsRequest FromProto(const v1::WatchTopicsRequest& proto) {
  WatchTopicsRequest request;
  request.topics.assign(proto.topics().begin(), proto.topics().end());
  request.metadata_index = LogIndex(proto.metadata_index());
  return request;
}

absl::StatusOr<WatchTopicsResponse> FromProto(const v1::WatchTopicsResponse& proto) {
  WatchTopicsResponse response;
  response.metadata_index = LogIndex(proto.metadata_index());
  response.cluster_id = proto.cluster_id();
  for (const v1::TopicLeaders& from : proto.topics()) {
    TopicLeaders topic;
    topic.topic = from.topic();
    if (!ReadTopicId(from.topic_id(), &topic.topic_id)) {
      return MalformedMessage("millrace.v1.WatchTopicsResponse");
    }
    topic.code = static_cast<ErrorCode>(from.code());
    topic.message_bytes_max = from.max_message_bytes();
    for (const v1::PartitionLeader& leader : from.partitions()) {
      topic.partitions.push_back(LeaderFromProto(leader));
    }
    response.topics.push_back(std::move(topic));
  }
  for (const v1::BrokerAddress& from : proto.brokers()) {
    response.brokers.push_back({NodeId(from.broker_id()), from.address(), from.rack()});
  }
  return response;
}

v1::WatchTopicsRequest ToProto(const WatchTopicsRequest& request) {
  v1::WatchTopicsRequest proto;
  for (const std::string& topic : request.topics) proto.add_topics(topic);
  proto.set_metadata_index(request.metadata_index.value());
  return proto;
}

v1::WatchTopicsResponse ToProto(const WatchTopicsResponse& response) {
  v1::WatchTopicsResponse proto;
  proto.set_metadata_index(response.metadata_index.value());
  proto.set_cluster_id(response.cluster_id);
  for (const TopicLeaders& topic : response.topics) {
    v1::TopicLeaders* to = proto.add_topics();
    to->set_topic(topic.topic);
    if (!topic.topic_id.is_zero()) to->set_topic_id(topic.topic_id.ToBytes());
    to->set_code(static_cast<v1::ErrorCode>(topic.code));
    to->set_max_message_bytes(topic.message_bytes_max);
    for (const PartitionLeader& leader : topic.partitions) {
      LeaderToProto(leader, to->add_partitions());
    }
  }
  for (const BrokerAddress& broker : response.brokers) {
    v1::BrokerAddress* to = proto.add_brokers();
    to->set_broker_id(broker.broker_id.value());
    to->set_address(broker.address);
    to->set_rack(broker.rack);
  }
  return proto;
}

}  // namespace millrace::api
