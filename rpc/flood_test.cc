// Clients that flood a server whose handlers hold what they get: memory stays within the budget
// plus one message per parked call, and other clients still get through.
#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoServer;
using testdata::EchoText;
using testdata::OpenLogged;
using testdata::StreamLog;
using testdata::Watched;

constexpr int64_t kBudget = 4 << 20;
constexpr size_t kMessage = 256 << 10;
constexpr int kFloods = 20;
constexpr int kMessagesPerFlood = 40;

// Holds every message until the test takes it.
struct Held {
  std::vector<Bytes> messages;
  int64_t received = 0;
};

class HoldingHandler final : public StreamHandler {
 public:
  HoldingHandler(std::shared_ptr<ServerStream> stream, Watched<Held>* held)
      : stream_(std::move(stream)), held_(held) {}
  void OnMessage(Bytes message) override {
    held_->Change([&](Held& h) {
      ++h.received;
      h.messages.push_back(std::move(message));
    });
  }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnDone(bool) override {}

 private:
  const std::shared_ptr<ServerStream> stream_;
  Watched<Held>* const held_;
};

TEST(Flood, MemoryStaysInTheBudgetAndOthersProgress) {
  MemoryBudget budget(kBudget);
  auto gate = ReadGate::Create(&budget);
  Watched<Held> held;
  std::vector<Watched<StreamLog>> logs(kFloods);
  EchoServer server({.queue_count = 2}, gate, [&](std::shared_ptr<ServerStream> stream) {
    return std::make_unique<HoldingHandler>(std::move(stream), &held);
  });
  std::vector<std::shared_ptr<ClientStream>> floods;
  for (int i = 0; i < kFloods; ++i) {
    floods.push_back(OpenLogged(&server, "Chat", &logs[i], {.timeout = absl::InfiniteDuration()},
                                "flood" + std::to_string(i)));
    for (int m = 0; m < kMessagesPerFlood; ++m) {
      floods.back()->Write(EchoText(std::string(kMessage, 'x')));
    }
    floods.back()->WritesDone();
  }
  // The budget is full and every flood is parked with one message.
  ASSERT_TRUE(held.Wait(
      [](const Held& h) { return h.received >= kBudget / static_cast<int64_t>(kMessage + 16); }));
  const auto patience = std::chrono::steady_clock::now() + testdata::kPatience;
  while (gate->parked_count() < kFloods && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  EXPECT_EQ(gate->parked_count(), kFloods);
  EXPECT_LE(budget.used_bytes(), kBudget);

  // Another client's calls go through one after the other while the handler gives memory back
  // slowly: each waits for at most one message of every flood, not for the floods' ends.
  auto other = std::async(std::launch::async, [&] {
    int answered = 0;
    for (int i = 0; i < 5; ++i) {
      answered += server.Echo("RawEcho", std::string(1000, 'y')).ok() ? 1 : 0;
    }
    return answered;
  });
  int64_t freed = 0;
  while (other.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience);
    EXPECT_LE(budget.used_bytes(), kBudget);
    Bytes one;
    held.Change([&](Held& h) {
      if (h.messages.empty()) return;
      one = std::move(h.messages.front());
      h.messages.erase(h.messages.begin());
      ++freed;
    });
  }
  EXPECT_EQ(other.get(), 5);
  EXPECT_LT(freed, kFloods * kMessagesPerFlood) << "the other client waited for the floods' end";

  // And all of the flood arrives in the end.
  std::atomic<bool> stop = false;
  std::thread release([&] {
    while (!stop) {
      std::vector<Bytes> taken;
      held.Change([&](Held& h) { taken.swap(h.messages); });
      std::this_thread::yield();
    }
  });
  EXPECT_TRUE(held.Wait([](const Held& h) { return h.received == kFloods * kMessagesPerFlood; }));
  for (Watched<StreamLog>& log : logs) {
    EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.done && l.status.ok(); }));
  }
  stop = true;
  release.join();
  held.Change([](Held& h) { h.messages.clear(); });
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(Flood, ClientThatVanishesWhileParkedGivesItsPlaceBack) {
  MemoryBudget budget(1000);
  auto gate = ReadGate::Create(&budget);
  Watched<StreamLog> log;
  EchoServer server({}, gate);
  Reservation all = budget.ReserveAlways(1000);
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText(std::string(500, 'x')));
  const auto patience = std::chrono::steady_clock::now() + testdata::kPatience;
  while (gate->parked_count() != 1 && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  ASSERT_EQ(gate->parked_count(), 1);
  stream->Cancel();
  EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  while (gate->parked_count() != 0 && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  EXPECT_EQ(gate->parked_count(), 0);
  all.Release();
  EXPECT_EQ(budget.used_bytes(), 0);
  EXPECT_OK(server.Echo("Echo", "x").status());
}

// What was produced to a disk that hangs keeps its memory: nobody but producers may wait for it.
TEST(Flood, S37_WithoutAnyMemoryLeftProducersAloneWait) {
  MemoryBudget budget(1 << 20);
  auto gate = ReadGate::Create(&budget);
  Watched<StreamLog> log;
  EchoServer server({}, gate, nullptr, AtGate::kPasses);
  Reservation hung = budget.ReserveAlways(budget.limit_bytes());
  // Of a stream like that of a follower; larger than what is small.
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText(std::string(2 * kSmallMessageBytes, 'x')));
  EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 1; }));
  // A small request that brings no records; a large one; one that does bring records.
  EXPECT_EQ(server.Echo("Echo", "small").value_or("failed"), "small");
  const std::string large(kSmallMessageBytes + 1, 'x');
  auto question =
      std::async(std::launch::async, [&] { return server.Echo("Echo", large).value_or("failed"); });
  auto produce = std::async(std::launch::async,
                            [&] { return server.Echo("RawEcho", "batch").value_or("failed"); });
  const auto patience = std::chrono::steady_clock::now() + testdata::kPatience;
  while (gate->parked_count() < 2 && std::chrono::steady_clock::now() < patience) {
    std::this_thread::yield();
  }
  EXPECT_EQ(gate->parked_count(), 2);
  // Also behind those that wait, whom nobody else overtakes.
  EXPECT_EQ(server.Echo("Echo", "small").value_or("failed"), "small");
  EXPECT_EQ(gate->parked_count(), 2);
  hung.Release();
  EXPECT_EQ(question.get(), large);
  EXPECT_EQ(produce.get(), "batch");
}

}  // namespace
}  // namespace millrace::rpc
