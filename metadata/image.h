// Image: everything that is known of the cluster, as an immutable value at one index of the
// metadata log: brokers, topics, partitions, configs, producer ids, requests that took effect.
//
// A copy costs a few pointers and a change a few nodes, because the maps in it share what they have
// in common (base/persistent_map.h). The same apply.h builds it on controllers, brokers and in
// tools. It only says what was decided: it decides nothing.
//
// Thread: any (a value; share it as std::shared_ptr<const Image>).
#ifndef METADATA_IMAGE_H_
#define METADATA_IMAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "base/config.h"
#include "base/ids.h"
#include "base/persistent_map.h"
#include "metadata/completed_requests.h"

namespace millrace::metadata {

// Registrations of programs whose range of levels does not hold the cluster's are refused. A new
// cluster begins at the highest.
inline constexpr int kFeatureLevelMin = 1;
inline constexpr int kFeatureLevelMax = 7;
// Requests are remembered (completed_requests.h) from this level on.
inline constexpr int kCompletedRequestsLevel = 2;
// Partitions are reassigned, and brokers cordoned and removed, from this level on.
inline constexpr int kReassignmentLevel = 3;
// Reassignments have throttles, and log directories may be slow, from this level on.
inline constexpr int kThrottleAndSlownessLevel = 4;
// The durability of topics that exist is raised from this level on.
inline constexpr int kRaisedDurabilityLevel = 5;
// Replicas whose log was cut or damaged at a start are known from this level on.
inline constexpr int kImpairedReplicasLevel = 6;
// A log directory that could not be opened at a start keeps its seats from this level on.
inline constexpr int kAbsentDirectoriesLevel = 7;

struct Listener {
  std::string name;
  std::string host;
  uint16_t port = 0;

  // What a client connects to: "host:port", with brackets around an IPv6 address, which `host` has
  // not.
  std::string address() const;
  // "NAME://" and the address.
  std::string ToString() const;
  friend bool operator==(const Listener&, const Listener&) = default;
};

struct LogDirImage {
  DirectoryId id;
  // Under which broker epoch it was last open when it was registered (S-05); of one that is absent,
  // under which replicas in it can have been written last.
  BrokerEpoch last_open_epoch = kNoBrokerEpoch;
  bool suspect = false;
  // Its content may be what the metadata says it is (S-05).
  bool trusted = true;
  // It failed while the broker runs, or is absent: nothing in it can be read or written (KIP-858).
  bool failed = false;
  // Its disk is much slower than others: what another may lead is not led in it.
  bool slow = false;
  // The registration that it was last part of, if it could not be opened for the present one, or
  // failed before the broker was active under that; 0: it is there.
  BrokerEpoch last_registered_epoch{0};

  bool absent() const { return last_registered_epoch != BrokerEpoch(0); }
  friend bool operator==(const LogDirImage&, const LogDirImage&) = default;
};

enum class BrokerState : uint8_t { kFenced, kActive, kShuttingDown };

struct BrokerImage {
  NodeId id = kNoNode;
  // Log index of its latest registration.
  BrokerEpoch epoch = kNoBrokerEpoch;
  IncarnationId incarnation;
  BrokerState state = BrokerState::kFenced;
  // It was active at least once under this epoch.
  bool was_active = false;
  // No new replicas are placed here; stays through registrations.
  bool cordoned = false;
  int32_t feature_level_min = 0;
  int32_t feature_level_max = 0;
  std::vector<Listener> listeners;
  std::string rack;
  std::vector<LogDirImage> log_dirs;
  std::string version;

  // Null if there is no such listener or directory.
  const Listener* FindListener(absl::string_view name) const;
  const LogDirImage* FindLogDir(DirectoryId directory) const;
  // Whether replicas in that directory can be served: it is registered and has not failed.
  bool HasWorkingLogDir(DirectoryId directory) const;
  // Whether its disk is known to be much slower than others.
  bool HasSlowLogDir(DirectoryId directory) const;
  // Where other brokers reach it: the listener named so (inter.broker.listener.name of whoever
  // asks), or the first if it has none of that name. Null if it has no listener at all.
  const Listener* ListenerFor(absl::string_view name) const;
  friend bool operator==(const BrokerImage&, const BrokerImage&) = default;
};

struct ReplicaImage {
  NodeId broker = kNoNode;
  // Zero: not yet known.
  DirectoryId directory;

  friend bool operator==(const ReplicaImage&, const ReplicaImage&) = default;
};

// Sets of brokers of one partition; three replicas need no memory beside the struct.
using Replicas = absl::InlinedVector<ReplicaImage, 3>;
using BrokerList = absl::InlinedVector<NodeId, 4>;

// KIP-704: kRecovering is a leader elected without proof that it has all that was acknowledged.
enum class RecoveryState : uint8_t { kRecovered, kRecovering };

struct PartitionImage {
  // The preferred leader first.
  Replicas replicas;
  // In-sync replicas, the leader's included; empty while the eligible leader replicas hold the
  // partition (KIP-966). Both in the order of `replicas`, without common members.
  BrokerList isr;
  BrokerList elr;
  NodeId leader = kNoNode;
  NodeId last_known_leader = kNoNode;
  LeaderEpoch leader_epoch{0};
  PartitionEpoch partition_epoch{0};
  RecoveryState recovery_state = RecoveryState::kRecovered;
  // S-07: the topic's durability was raised, and what it had acknowledged before may be on no disk
  // yet: for suspicion it counts as `replicated`. Until the leader has said that it is on all.
  bool raising = false;
  // Of `isr` and `elr`: whose log was cut when it was opened, so that it may lack the end of what
  // it acknowledged (S-08), or is damaged (S-35). Out of both when another one is elected, and when
  // the leader next says who is in sync without naming them.
  BrokerList impaired;
  // While the partition is reassigned (KIP-455): who will hold it, the preferred leader first, all
  // of them in `replicas`; else empty.
  BrokerList target;
  // Of `replicas`, those that came with the reassignment; the others held it before.
  BrokerList adding;
  // Of the reassignment: what a broker that leads such partitions may send per second to those that
  // come; 0: as much as it can. Always 0 where nobody comes, so that none is left behind.
  int64_t throttle_bytes_per_s = 0;

  bool IsReassigned() const { return !target.empty(); }
  bool IsAdding(NodeId broker) const;
  // Those of `replicas` that leave when the reassignment is done.
  BrokerList Removing() const;
  // Replicas that can be asked to be in sync: until a reassignment is done, as many as there were
  // before it.
  int replication_factor() const { return static_cast<int>(replicas.size() - adding.size()); }
  bool IsReplica(NodeId broker) const;
  bool InIsr(NodeId broker) const;
  bool InElr(NodeId broker) const;
  // There is no leader, and no replica that is known to have all that was acknowledged (S-32).
  bool IsLost() const { return leader == kNoNode && isr.empty() && elr.empty(); }
  // There is no leader, and the ends of the logs may have to say who is the next.
  bool NeedsEnds() const { return IsLost() || (leader == kNoNode && !impaired.empty()); }
  // Zero if `broker` holds no replica.
  DirectoryId DirectoryOf(NodeId broker) const;
  friend bool operator==(const PartitionImage&, const PartitionImage&) = default;
};

struct TopicImage {
  TopicId id;
  std::string name;
  // Dense from 0.
  PersistentMap<PartitionIndex, PartitionImage> partitions;

  int partition_count() const { return static_cast<int>(partitions.size()); }
  // Null if there is no such partition.
  const PartitionImage* FindPartition(PartitionIndex partition) const {
    return partitions.Find(partition);
  }
  // In order of index.
  void ForEachPartition(
      const std::function<void(PartitionIndex, const PartitionImage&)>& visit) const;
  friend bool operator==(const TopicImage&, const TopicImage&) = default;
};

enum class ConfigScope : uint8_t { kTopic = 1, kBroker = 2 };

// What a set of configs belongs to: a topic (name: its id as text) or a broker (name: its id; empty
// for the default of all brokers).
struct ConfigOwner {
  ConfigScope scope = ConfigScope::kTopic;
  std::string name;

  static ConfigOwner Topic(TopicId id) { return {ConfigScope::kTopic, id.ToString()}; }
  static ConfigOwner Broker(NodeId id) {
    return {ConfigScope::kBroker, std::to_string(id.value())};
  }
  static ConfigOwner AllBrokers() { return {ConfigScope::kBroker, ""}; }

  friend auto operator<=>(const ConfigOwner&, const ConfigOwner&) = default;
  template <class H>
  friend H AbslHashValue(H h, const ConfigOwner& owner) {
    return H::combine(std::move(h), owner.scope, owner.name);
  }
};

class Image {
 public:
  Image() = default;

  // Index of the last log entry applied; 0 for the empty image.
  LogIndex index() const { return index_; }
  // Zero before the cluster is founded.
  ClusterId cluster_id() const { return cluster_id_; }
  int feature_level() const { return feature_level_; }
  // All ids below are given out.
  ProducerId next_producer_id() const { return next_producer_id_; }

  // Pointers live as long as this image. Null: not there.
  const BrokerImage* FindBroker(NodeId id) const { return brokers_.Find(id); }
  const TopicImage* FindTopic(TopicId id) const { return topics_.Find(id); }
  const TopicImage* FindTopic(absl::string_view name) const;
  const PartitionImage* FindPartition(const TopicPartition& partition) const;
  // What is set on `owner` itself; empty if nothing is.
  const ConfigValues& ConfigsOf(const ConfigOwner& owner) const;
  const CompletedRequests& completed_requests() const { return completed_requests_; }

  size_t topic_count() const { return topics_.size(); }
  size_t broker_count() const { return brokers_.size(); }

  // In order of id, or of owner.
  void ForEachBroker(const std::function<void(const BrokerImage&)>& visit) const;
  void ForEachTopic(const std::function<void(const TopicImage&)>& visit) const;
  void ForEachConfig(
      const std::function<void(const ConfigOwner&, const ConfigValues&)>& visit) const;
  // Sorted by name.
  std::vector<const TopicImage*> TopicsByName() const;

  friend bool operator==(const Image&, const Image&) = default;

 private:
  // The only one that makes images: from records, from the store, from a snapshot.
  friend class ImageEditor;

  LogIndex index_{0};
  ClusterId cluster_id_;
  int feature_level_ = 0;
  ProducerId next_producer_id_{0};
  PersistentMap<NodeId, BrokerImage> brokers_;
  PersistentMap<TopicId, TopicImage> topics_;
  PersistentMap<std::string, TopicId> topic_ids_;
  PersistentMap<ConfigOwner, ConfigValues> configs_;
  CompletedRequests completed_requests_;
};

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_H_
