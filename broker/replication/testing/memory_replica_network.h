// MemoryReplicaNetwork: ReplicaChannels between brokers of one simulated world: messages are tasks
// on the receiver's executor, in order; streams can be cut, and followers made to hear nothing.
//
// Thread: the test's one.
#ifndef BROKER_REPLICATION_TESTING_MEMORY_REPLICA_NETWORK_H_
#define BROKER_REPLICATION_TESTING_MEMORY_REPLICA_NETWORK_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/status.h"
#include "broker/replica_channel.h"

namespace millrace::broker {

class MemoryReplicaNetwork {
 public:
  MemoryReplicaNetwork() = default;
  // What a deaf follower never heard holds its stream.
  ~MemoryReplicaNetwork() {
    for (const auto& weak : links_) {
      if (const auto link = weak.lock(); link != nullptr) link->held.clear();
    }
  }
  void Listen(const std::string& address, ReplicaIntake intake) {
    acceptors_[address] = std::move(intake);
  }
  // Its streams break.
  void StopListening(const std::string& address) {
    acceptors_.erase(address);
    Break([&](const Link& link) { return link.address == address; });
  }
  // All streams of a follower break.
  void BreakStreamsOf(NodeId follower) {
    Break([&](const Link& link) { return link.hello.follower.broker == follower; });
  }
  // What is sent to `follower` stays where it is until it hears again.
  void SetDeaf(NodeId follower, bool deaf) {
    deaf_[follower] = deaf;
    if (deaf) return;
    for (const auto& link : links_) {
      if (const auto held = link.lock(); held != nullptr) Deliver(held);
    }
  }
  // As its sender sees it: what is sent meanwhile stays with the network.
  void SetWritable(NodeId follower, bool writable) {
    unwritable_[follower] = !writable;
    if (!writable) return;
    for (const auto& weak : links_) {
      const auto link = weak.lock();
      if (link == nullptr || link->hello.follower.broker != follower) continue;
      link->leader->Post([link] {
        if (link->sink != nullptr) link->sink->OnWritable();
      });
    }
  }
  std::unique_ptr<ReplicaChannel> MakeChannel() { return std::make_unique<Channel>(this); }
  std::unique_ptr<RepairChannel> MakeRepairChannel() { return std::make_unique<Repairs>(this); }

  int opened = 0;
  int messages_down = 0;
  int messages_up = 0;
  int64_t bytes_down = 0;
  int ranges_asked = 0;

 private:
  // One stream.
  struct Link {
    MemoryReplicaNetwork* network;
    std::string address;
    FollowerHello hello;
    Executor* follower = nullptr;
    std::weak_ptr<FollowerSink> follower_sink;
    Executor* leader = nullptr;
    // Null before it was taken in, and at its end.
    std::shared_ptr<LeaderSink> sink;
    bool ended = false;
    // For a follower that hears nothing.
    std::vector<std::function<void()>> held;
  };
  using LinkPtr = std::shared_ptr<Link>;

  class LeaderEnd : public LeaderStream {
   public:
    explicit LeaderEnd(std::weak_ptr<Link> link) : link_(std::move(link)) {}
    void Accept(const LeaderHello& hello) override {
      ToFollower([hello](FollowerSink* sink) { sink->OnHello(hello); });
    }
    void Send(LeaderMessage message) override {
      ReceivedLeaderMessage received;
      received.replies = std::move(message.replies);
      received.detaches = std::move(message.detaches);
      received.asks = message.asks;
      const LinkPtr link = link_.lock();
      for (const OutgoingPush& out : message.pushes) {
        ReplicaPush& push = received.pushes.emplace_back(out.push);
        std::string batches;
        for (const Bytes& piece : out.pieces) batches += piece.ToString();
        if (!batches.empty()) push.batches = Bytes::Copy(batches);
        if (link != nullptr) link->network->bytes_down += static_cast<int64_t>(batches.size());
      }
      if (link != nullptr) ++link->network->messages_down;
      ToFollower([received](FollowerSink* sink) { sink->OnMessage(received); });
    }
    bool writable() const override {
      const LinkPtr link = link_.lock();
      return link == nullptr || !link->network->unwritable_[link->hello.follower.broker];
    }
    void Close(const absl::Status& status) override {
      if (const LinkPtr link = link_.lock(); link != nullptr) End(link, status);
    }

   private:
    template <class F>
    void ToFollower(F call) {
      const LinkPtr link = link_.lock();
      if (link == nullptr || link->ended) return;
      link->held.push_back([link, call] {
        const auto sink = link->follower_sink.lock();
        if (sink != nullptr && !link->ended) call(sink.get());
      });
      Deliver(link);
    }
    const std::weak_ptr<Link> link_;
  };

  class FollowerEnd : public FollowerStream {
   public:
    explicit FollowerEnd(LinkPtr link) : link_(std::move(link)) {}
    ~FollowerEnd() override {
      link_->follower_sink.reset();
      End(link_, absl::OkStatus());
    }
    void Send(FollowerMessage message) override {
      ++link_->network->messages_up;
      if (link_->leader == nullptr || link_->ended) return;
      link_->leader->Post([link = link_, message = std::move(message)]() mutable {
        if (link->sink != nullptr && !link->ended) link->sink->OnMessage(std::move(message));
      });
    }

   private:
    const LinkPtr link_;
  };

  class Channel : public ReplicaChannel {
   public:
    explicit Channel(MemoryReplicaNetwork* network) : network_(network) {}
    std::unique_ptr<FollowerStream> Open(const std::string& address, const FollowerHello& hello,
                                         Executor* executor,
                                         std::weak_ptr<FollowerSink> sink) override {
      ++network_->opened;
      auto link = std::make_shared<Link>();
      link->network = network_;
      link->address = address;
      link->hello = hello;
      link->follower = executor;
      link->follower_sink = std::move(sink);
      network_->links_.push_back(link);
      const auto acceptor = network_->acceptors_.find(address);
      if (acceptor == network_->acceptors_.end()) {
        End(link, MakeError(ErrorCode::kBrokerNotAvailable, "nobody listens there"));
        return std::make_unique<FollowerEnd>(link);
      }
      link->leader = acceptor->second.executor_of(hello);
      link->leader->Post([link, take_in = acceptor->second.take_in] {
        if (link->ended) return;
        link->sink = take_in(link->hello, std::make_shared<LeaderEnd>(link));
      });
      return std::make_unique<FollowerEnd>(link);
    }

   private:
    MemoryReplicaNetwork* const network_;
  };

  class Repairs : public RepairChannel {
   public:
    explicit Repairs(MemoryReplicaNetwork* network) : network_(network) {}
    void ReadRange(const std::string& address, const RangeQuery& query, absl::Duration,
                   Executor* executor, RangeDone done) override {
      ++network_->ranges_asked;
      auto answer = [executor, done = std::move(done)](absl::StatusOr<Bytes> batches) mutable {
        executor->Post([batches = std::move(batches), done = std::move(done)]() mutable {
          std::move(done)(std::move(batches));
        });
      };
      const auto acceptor = network_->acceptors_.find(address);
      if (acceptor == network_->acceptors_.end()) {
        return answer(MakeError(ErrorCode::kBrokerNotAvailable, "nobody listens there"));
      }
      acceptor->second.read_range(query, std::move(answer));
    }

   private:
    MemoryReplicaNetwork* const network_;
  };

  static void Deliver(const LinkPtr& link) {
    if (link->network->deaf_[link->hello.follower.broker]) return;
    for (auto& call : std::exchange(link->held, {})) link->follower->Post(std::move(call));
  }
  static void End(const LinkPtr& link, const absl::Status& status) {
    if (std::exchange(link->ended, true)) return;
    link->follower->Post([link, status] {
      if (const auto sink = link->follower_sink.lock(); sink != nullptr) sink->OnClosed(status);
    });
    if (link->leader == nullptr) return;
    link->leader->Post([link] {
      if (const auto sink = std::exchange(link->sink, nullptr); sink != nullptr) sink->OnClosed();
    });
  }
  template <class Which>
  void Break(Which which) {
    for (const auto& weak : links_) {
      const LinkPtr link = weak.lock();
      if (link != nullptr && which(*link)) {
        End(link, MakeError(ErrorCode::kBrokerNotAvailable, "the stream broke"));
      }
    }
    std::erase_if(links_, [](const auto& link) { return link.expired(); });
  }

  std::map<std::string, ReplicaIntake> acceptors_;
  std::vector<std::weak_ptr<Link>> links_;
  std::map<NodeId, bool> deaf_;
  std::map<NodeId, bool> unwritable_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_TESTING_MEMORY_REPLICA_NETWORK_H_
