// TopicTable: topics, leaders and addresses as WatchTopics has told them so far; and TopicBoard,
// where the strand that is told puts it up for the callers to read.
//
// A table is never changed once it is on the board: each push makes another one.
//
// Thread: TopicTable: any (values). TopicBoard: Publish on the strand, Read any.
#ifndef CLIENT_TOPIC_TABLE_H_
#define CLIENT_TOPIC_TABLE_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "api/watch_topics.h"
#include "base/ids.h"
#include "base/shared_value.h"

namespace millrace::client {

struct TopicTable {
  // By name. Also those that the cluster says do not exist.
  std::map<std::string, api::TopicLeaders> topics;
  std::map<NodeId, std::string> addresses;
  std::string cluster_id;
  LogIndex metadata_index{0};

  // Takes over a push: topics that it names, and all brokers if it has any.
  void Apply(const api::WatchTopicsResponse& push);

  // Null if nothing is known of it yet.
  const api::TopicLeaders* Find(const std::string& topic) const;
  // Null if the topic or the partition is not known.
  const api::PartitionLeader* Find(const std::string& topic, PartitionIndex partition) const;
  // Empty if unknown.
  std::string AddressOf(NodeId broker) const;
};

class TopicBoard {
 public:
  void Publish(std::shared_ptr<const TopicTable> table) {
    table_.Set(std::move(table));
    version_.fetch_add(1, std::memory_order_release);
  }
  // Never null. Whoever reads often keeps the table until version() has changed.
  std::shared_ptr<const TopicTable> Read() const { return table_.Get(); }
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  SharedValue<TopicTable> table_{std::make_shared<const TopicTable>()};
  std::atomic<uint64_t> version_{0};
};

}  // namespace millrace::client

#endif  // CLIENT_TOPIC_TABLE_H_
