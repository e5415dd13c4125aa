// Random entries of the metadata log, for tests that hold images against each other.
//
// Thread: tests only.
#ifndef METADATA_TESTING_RANDOM_ENTRY_H_
#define METADATA_TESTING_RANDOM_ENTRY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/sim/sim_random.h"
#include "metadata/test_image.h"

namespace millrace::metadata {

inline PartitionImage ChangedLeader(uint64_t leader) {
  PartitionImage partition = TestPartition();
  partition.leader = NodeId(static_cast<int32_t>(leader));
  partition.leader_epoch = LeaderEpoch(1);
  return partition;
}

// One entry of records about a few topics, brokers and configs.
inline std::vector<rsm::Record> RandomEntry(const Image& image, sim::SimRandom* random) {
  std::vector<rsm::Record> records;
  for (uint64_t i = random->Below(5); i > 0; --i) {
    const uint64_t topic = random->Below(6);
    const int id = static_cast<int>(random->Below(3));
    const ConfigOwner owner =
        id == 0 ? ConfigOwner::AllBrokers() : ConfigOwner::Topic(TestTopicId(topic));
    switch (random->Below(11)) {
      case 0:
        if (image.FindTopic(TestTopicId(topic)) != nullptr) break;
        records.push_back(TopicMade(topic, "topic" + std::to_string(topic)));
        records.push_back(PartitionMade(topic, 0));
        break;
      case 1:
        records.push_back(TopicGone(topic));
        break;
      case 2:
        records.push_back(
            PartitionBecame(topic, 0, TestPartition(), ChangedLeader(random->Below(9))));
        break;
      case 3:
        records.push_back(Registered(id, random->Next()));
        break;
      case 4:
        records.push_back(Configured(owner, "a", std::to_string(random->Below(100))));
        break;
      case 5:
        records.push_back(Unconfigured(owner, "a"));
        break;
      case 6:
        records.push_back(ProducerIdsUpTo(static_cast<int64_t>(random->Below(1000))));
        break;
      case 7:
        // Minutes and days pass.
        records.push_back(Completed(topic, 1 + static_cast<int64_t>(random->Below(100)),
                                    image.index().value() * 100'000));
        break;
      case 8:
        records.push_back(Cordoned(id, random->Below(2) == 0));
        break;
      case 9:
        if (const BrokerImage* broker = image.FindBroker(NodeId(id))) {
          records.push_back(BrokerGone(id, broker->epoch.value()));
        }
        break;
      case 10:
        records.push_back(PartitionBecame(topic, 0, TestPartition(), ReassignedPartition()));
        break;
    }
  }
  return records;
}

}  // namespace millrace::metadata

#endif  // METADATA_TESTING_RANDOM_ENTRY_H_
