#include "broker/replica_messages.h"

#include "base/status_matchers.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {
namespace {

rsm::Record Registration(NodeId broker) {
  metadata::BrokerImage registered;
  registered.id = broker;
  registered.incarnation = IncarnationId(Uuid(5, 5));
  registered.feature_level_min = registered.feature_level_max = 1;
  return metadata::Encode(metadata::RegistrationRecordOf(registered));
}

rsm::Record Active(NodeId broker, int64_t epoch) {
  metadata::records::BrokerChangeRecord change;
  change.set_broker_id(broker.value());
  change.set_broker_epoch(epoch);
  change.set_state(metadata::StateToRecord(metadata::BrokerState::kActive));
  return metadata::Encode(change);
}

TEST(ReplicaMessagesTest, OnlyRegisteredBrokersThatAreNotFencedMayJoin_KIP841) {
  metadata::Image image = metadata::Apply({}, LogIndex(7), {Registration(NodeId(1))});
  image = metadata::Apply(image, LogIndex(8), {Registration(NodeId(2)), Active(NodeId(1), 7)});
  metadata::PartitionImage partition;
  partition.replicas = {{NodeId(1), {}}, {NodeId(2), {}}, {NodeId(3), {}}};
  const BrokerStandings standings = StandingsOf(image, partition);
  ASSERT_EQ(standings.size(), 3u);
  EXPECT_EQ(standings[0], (BrokerStanding{NodeId(1), BrokerEpoch(7), true}));
  EXPECT_EQ(standings[1], (BrokerStanding{NodeId(2), BrokerEpoch(8), false})) << "still fenced";
  EXPECT_EQ(standings[2], (BrokerStanding{NodeId(3), kNoBrokerEpoch, false}));
}

}  // namespace
}  // namespace millrace::broker
