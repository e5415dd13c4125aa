// WatchTopics: where the partitions of topics are led, and the addresses of brokers, now and
// whenever that changes. How clients learn the cluster, pushed instead of polled.
//
// Thread: any (values).
#ifndef API_WATCH_TOPICS_H_
#define API_WATCH_TOPICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/error_code.h"
#include "base/ids.h"

namespace millrace::api {

struct WatchTopicsRequest {
  // Names to watch, whether they exist yet or not.
  std::vector<std::string> topics;
  // The newest metadata index the client has seen: the server answers from there or later (S-40).
  LogIndex metadata_index{0};

  friend bool operator==(const WatchTopicsRequest&, const WatchTopicsRequest&) = default;
};

struct BrokerAddress {
  NodeId broker_id = kNoNode;
  // "host:port" of the listener that the request came in on.
  std::string address;
  std::string rack;

  friend bool operator==(const BrokerAddress&, const BrokerAddress&) = default;
};

struct PartitionLeader {
  PartitionIndex partition;
  // kNoNode if there is none now.
  NodeId leader_id = kNoNode;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::vector<NodeId> replicas;
  std::vector<NodeId> in_sync_replicas;

  friend bool operator==(const PartitionLeader&, const PartitionLeader&) = default;
};

struct TopicLeaders {
  std::string topic;
  // Zero while the topic does not exist.
  TopicId topic_id;
  // UNKNOWN_TOPIC_OR_PARTITION while the topic does not exist.
  ErrorCode code = ErrorCode::kNone;
  std::vector<PartitionLeader> partitions;
  // The largest batch the topic takes.
  int32_t message_bytes_max = 0;

  friend bool operator==(const TopicLeaders&, const TopicLeaders&) = default;
};

// The first message has all topics asked for; each later one those that changed.
struct WatchTopicsResponse {
  LogIndex metadata_index{0};
  std::vector<TopicLeaders> topics;
  // All brokers, in every message that changes one.
  std::vector<BrokerAddress> brokers;
  std::string cluster_id;

  friend bool operator==(const WatchTopicsResponse&, const WatchTopicsResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_WATCH_TOPICS_H_
