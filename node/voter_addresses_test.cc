#include "node/voter_addresses.h"

#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "node/testing/controller_fixture.h"
#include "node/testing/willing_peers.h"

namespace millrace::node {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const ClusterId kCluster(Uuid(7, 7));

// Who answers at which address.
class Directory final : public raft::FoundingChannel {
 public:
  explicit Directory(Executor* owner) : owner_(owner) {}

  void Exchange(std::string address, raft::FoundingState, Callback callback) override {
    asked.push_back(address);
    const auto there = at.find(address);
    absl::StatusOr<raft::FoundingState> answer =
        MakeError(ErrorCode::kBrokerNotAvailable, "nobody is there");
    if (there != at.end()) answer = there->second;
    owner_->Post([callback = std::move(callback), answer]() mutable {
      std::move(callback)(std::move(answer));
    });
  }

  std::map<std::string, raft::FoundingState> at;
  std::vector<std::string> asked;

 private:
  Executor* const owner_;
};

// Node 1 of three; the others are played by the transport.
class VoterAddressesTest : public ControllerFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Open("one:1", {{Id(2), "two:1"}, {Id(3), "three:1"}}, &peers_));
    Lead();
  }

  static raft::FoundingState StateOf(const raft::VoterId& id, const std::string& address) {
    return {.self = id,
            .address = address,
            .phase = raft::FoundingPhase::kFounded,
            .cluster_id = kCluster};
  }
  // The process of a voter is at an address, and has told this one.
  void Move(const raft::VoterId& id, const std::string& address) {
    channel_.at[address] = StateOf(id, address);
    heard_.push_back({.id = id, .address = address, .connected = true});
  }
  void TellItLeads(const std::string& own_address = "one:1") {
    owner_->RunNow([&] { addresses_.OnLed(&host_->log(), StateOf(Self(), own_address)); });
  }
  std::string AddressOf(const raft::VoterId& id) const {
    const raft::Voter* const voter = voters().Find(id);
    return voter == nullptr ? "" : voter->address;
  }

  WillingPeers peers_{owner_.get()};
  Directory channel_{owner_.get()};
  std::vector<raft::HeardPeer> heard_;
  VoterAddresses addresses_{&clock_, owner_.get(), &channel_, [this] { return heard_; }};
};

TEST_F(VoterAddressesTest, AQuorumThatMovedHasItsNewAddressesInTheLog) {
  Move(Id(2), "two:2");
  Move(Id(3), "three:2");
  channel_.at["one:2"] = StateOf(Self(), "one:2");
  loop_.RunFor(absl::Seconds(20));
  EXPECT_THAT(channel_.asked, IsEmpty()) << "it does not lead";
  TellItLeads("one:2");
  loop_.RunFor(absl::Seconds(20));
  EXPECT_EQ(AddressOf(Self()), "one:2");
  EXPECT_EQ(AddressOf(Id(2)), "two:2");
  EXPECT_EQ(AddressOf(Id(3)), "three:2");
  const size_t asked = channel_.asked.size();
  loop_.RunFor(absl::Minutes(5));
  EXPECT_THAT(channel_.asked, SizeIs(asked)) << "there is nothing to do any more";
}

TEST_F(VoterAddressesTest, AVoterThatMovesWhileThisNodeLeadsIsNoticedByItsHello) {
  TellItLeads();
  loop_.RunFor(absl::Seconds(20));
  Move(Id(2), "two:2");
  owner_->RunNow([&] { addresses_.OnHello(); });
  ASSERT_TRUE(loop_.RunUntil([&] { return AddressOf(Id(2)) == "two:2"; }, absl::Seconds(1)));
  EXPECT_EQ(AddressOf(Id(3)), "three:1");
}

TEST_F(VoterAddressesTest, AnAddressWhereTheVoterIsNotFoundIsNotTaken) {
  LogCapture log;
  Move(Id(2), "nowhere:1");
  channel_.at.clear();
  // Another node, another directory, another cluster.
  heard_.push_back({.id = Id(3), .address = "three:2", .connected = true});
  channel_.at["three:2"] = StateOf(Id(3, 2), "three:2");
  TellItLeads("one:2");
  channel_.at["one:2"] = StateOf(Self(), "one:2");
  channel_.at["one:2"].cluster_id = ClusterId(Uuid(8, 8));
  loop_.RunFor(absl::Minutes(1));
  EXPECT_EQ(AddressOf(Self()), "one:1");
  EXPECT_EQ(AddressOf(Id(2)), "two:1");
  EXPECT_EQ(AddressOf(Id(3)), "three:1");
  std::vector<std::string> told;
  for (const std::string& line : log.lines()) {
    if (line.find("is not found where it says") != std::string::npos) told.push_back(line);
  }
  EXPECT_THAT(told, SizeIs(3)) << "each once";
  EXPECT_THAT(told, Contains(HasSubstr("nobody is there")));
  // It is asked again, and taken when it is there.
  channel_.at["three:2"] = StateOf(Id(3), "three:2");
  ASSERT_TRUE(loop_.RunUntil([&] { return AddressOf(Id(3)) == "three:2"; }, absl::Seconds(5)));
}

TEST_F(VoterAddressesTest, StrangersAndThoseThatAreGoneAreNotAskedFor) {
  Move(Id(2, 2), "two:2");
  heard_.push_back({.id = Id(3), .address = "three:2", .connected = false});
  TellItLeads();
  loop_.RunFor(absl::Minutes(1));
  EXPECT_THAT(channel_.asked, IsEmpty());
}

TEST_F(VoterAddressesTest, WhoNoLongerLeadsChangesNothing) {
  Move(Id(2), "two:2");
  channel_.at.clear();
  TellItLeads();
  loop_.RunFor(absl::Seconds(10));
  owner_->RunNow([&] { addresses_.OnLostLeadership(); });
  channel_.at["two:2"] = StateOf(Id(2), "two:2");
  const size_t asked = channel_.asked.size();
  loop_.RunFor(absl::Minutes(1));
  EXPECT_EQ(AddressOf(Id(2)), "two:1");
  EXPECT_THAT(channel_.asked, SizeIs(asked));
}

}  // namespace
}  // namespace millrace::node
