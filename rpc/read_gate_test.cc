#include "rpc/read_gate.h"

#include <functional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::rpc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Runs tasks when told.
class ManualExecutor final : public Executor {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  void PostAt(MonotonicTime, Task task) override { tasks_.push_back(std::move(task)); }
  bool IsCurrent() const override { return true; }
  void Run() {
    while (!tasks_.empty()) {
      std::vector<Task> tasks = std::exchange(tasks_, {});
      for (Task& task : tasks) std::move(task)();
    }
  }
  // Destroys what is posted now, unrun.
  void Drop() { std::exchange(tasks_, {}).clear(); }
  bool idle() const { return tasks_.empty(); }

 private:
  std::vector<Task> tasks_;
};

class ReadGateTest : public testing::Test {
 protected:
  // Each message that goes lets the next one through, until none is left.
  ~ReadGateTest() override {
    held_.clear();
    while (!executor_.idle()) executor_.Drop();
  }

  Reservation Enter(int64_t bytes) {
    Reservation reservation;
    EXPECT_TRUE(gate_->TryEnter(bytes, AtGate::kWaits, &reservation));
    return reservation;
  }
  // Parks a message; when let through it is named in order_, and keeps its reservation.
  ReadGate::Ticket Park(const std::string& connection, int64_t bytes, const std::string& name) {
    return gate_->Park(connection, bytes, &executor_, [this, name](Reservation reservation) {
      order_.push_back(name);
      held_.push_back(std::move(reservation));
    });
  }

  MemoryBudget budget_{100};
  std::shared_ptr<ReadGate> gate_ = ReadGate::Create(&budget_);
  ManualExecutor executor_;
  std::vector<std::string> order_;
  std::vector<Reservation> held_;
};

TEST_F(ReadGateTest, LetsThroughWhatFits) {
  const Reservation a = Enter(60);
  Reservation b;
  EXPECT_FALSE(gate_->TryEnter(50, AtGate::kWaits, &b));
  EXPECT_TRUE(gate_->TryEnter(40, AtGate::kWaits, &b));
  EXPECT_EQ(budget_.used_bytes(), 100);
}

TEST_F(ReadGateTest, ReleaseWakesTheParked) {
  Reservation a = Enter(80);
  Park("c1", 50, "m");
  executor_.Run();
  EXPECT_THAT(order_, IsEmpty());
  a.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("m"));
  EXPECT_EQ(budget_.used_bytes(), 50);
  EXPECT_EQ(gate_->parked_count(), 0);
}

TEST_F(ReadGateTest, NobodyOvertakesTheParked) {
  Reservation a = Enter(60);
  Park("c1", 90, "large");
  Reservation b;
  EXPECT_FALSE(gate_->TryEnter(1, AtGate::kWaits, &b)) << "small ones would starve the large one";
  a.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("large"));
}

TEST_F(ReadGateTest, S37_WhatPassesIsCountedAndTheOthersWaitForIt) {
  Reservation all = Enter(100);
  Park("c1", 10, "m");
  Reservation small;
  Reservation any;
  EXPECT_TRUE(gate_->TryEnter(kSmallMessageBytes, AtGate::kSmallPass, &small));
  EXPECT_FALSE(gate_->TryEnter(kSmallMessageBytes + 1, AtGate::kSmallPass, &any));
  EXPECT_TRUE(gate_->TryEnter(kSmallMessageBytes + 1, AtGate::kPasses, &any));
  EXPECT_EQ(budget_.used_bytes(), 100 + 2 * kSmallMessageBytes + 1);
  all.Release();
  small.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre()) << "what has passed still has the memory";
  any.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("m"));
}

TEST_F(ReadGateTest, ConnectionsTakeTurns) {
  Reservation all = Enter(100);
  for (const char* name : {"a1", "a2", "a3", "a4"}) Park("a", 10, name);
  Park("b", 10, "b1");
  Park("c", 10, "c1");
  Park("c", 10, "c2");
  all.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("a1", "b1", "c1", "a2", "c2", "a3", "a4"));
}

TEST_F(ReadGateTest, FloodOfOneConnectionDelaysAnotherByOneMessage) {
  Reservation all = Enter(100);
  for (int i = 0; i < 1000; ++i) Park("flood", 100, "flood");
  Park("other", 100, "other");
  all.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("flood"));
  held_.clear();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("flood", "other"));
}

TEST_F(ReadGateTest, MessageOverTheWholeBudgetPassesAlone) {
  Reservation a = Enter(10);
  Park("c1", 1000, "huge");
  executor_.Run();
  EXPECT_THAT(order_, IsEmpty());
  a.Release();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("huge"));
}

TEST_F(ReadGateTest, CancelledMessageFreesThoseBehindIt) {
  const Reservation a = Enter(50);
  const ReadGate::Ticket large = Park("c1", 90, "large");
  Park("c1", 20, "small");
  executor_.Run();
  EXPECT_TRUE(gate_->Cancel("c1", large));
  EXPECT_FALSE(gate_->Cancel("c1", large));
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("small"));
  EXPECT_EQ(gate_->parked_count(), 0);
}

TEST_F(ReadGateTest, ParkingWhenThereIsRoomPassesAtOnce) {
  Park("c1", 10, "m");
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("m"));
}

TEST_F(ReadGateTest, AdmissionThatIsDroppedGivesItsBytesToTheNext) {
  Reservation all = Enter(100);
  Park("c1", 100, "dropped");
  Park("c2", 100, "next");
  all.Release();
  executor_.Drop();
  executor_.Run();
  EXPECT_THAT(order_, ElementsAre("next"));
}

}  // namespace
}  // namespace millrace::rpc
