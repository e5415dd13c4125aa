#include <string>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "broker/broker.h"
#include "broker/codec/replication_decoder.h"
#include "broker/codec/replication_encoder.h"
#include "node/node.h"
#include "test/sim/cluster_links.h"

namespace millrace::sim {
namespace {

// Messages down a stream before the leader must wait.
constexpr size_t kUnderWayMax = 32;

// In memory of the network's own: what is under way outlives its sender.
Bytes OnTheWire(const broker::MessagePieces& pieces) {
  std::string bytes;
  for (const Bytes& piece : pieces) bytes.append(piece.data(), piece.size());
  return Bytes::FromString(std::move(bytes));
}

// What the leader's process holds; gone with it.
struct LeaderSide {
  Executor* executor = nullptr;
  std::shared_ptr<broker::LeaderSink> sink;
};

// Both ends of one stream.
struct Stream {
  ClusterNetwork::ConnectionPtr connection;
  // The follower's.
  Executor* follower = nullptr;
  std::weak_ptr<broker::FollowerSink> follower_sink;
  bool greeted = false;
  bool ended = false;
  // The leader's: alive while its end of the connection is open.
  std::weak_ptr<LeaderSide> leader;
  bool waits = false;
  // The closing status of the leader, told before the end.
  absl::Status closed = MakeError(ErrorCode::kBrokerNotAvailable, "the stream broke");
};
using StreamPtr = std::shared_ptr<Stream>;

void ToFollower(const StreamPtr& stream, const Bytes& bytes) {
  stream->follower->Post([stream, bytes] {
    const std::shared_ptr<broker::FollowerSink> sink = stream->follower_sink.lock();
    if (sink == nullptr || stream->ended) return;
    absl::StatusOr<broker::FollowResponse> response = broker::DecodeFollowResponse({bytes.slice()});
    CHECK_OK(response);
    if (!std::exchange(stream->greeted, true)) return sink->OnHello(*response->hello);
    sink->OnMessage(std::move(response->message));
  });
}

void CloseFollower(const StreamPtr& stream) {
  stream->follower->Post([stream] {
    const std::shared_ptr<broker::FollowerSink> sink = stream->follower_sink.lock();
    if (std::exchange(stream->ended, true) || sink == nullptr) return;
    sink->OnClosed(stream->closed);
  });
}

class LeaderEnd final : public broker::LeaderStream {
 public:
  explicit LeaderEnd(const StreamPtr& stream) : stream_(stream) {}

  void Accept(const broker::LeaderHello& hello) override {
    Write(broker::EncodeLeaderHello(hello));
  }
  void Send(broker::LeaderMessage message) override { Write(broker::EncodeLeaderMessage(message)); }
  bool writable() const override {
    const StreamPtr stream = stream_.lock();
    if (stream == nullptr) return false;
    stream->waits = stream->connection->under_way(ClusterConnection::kAcceptor) >= kUnderWayMax;
    return !stream->waits;
  }
  void Close(const absl::Status& status) override {
    const StreamPtr stream = stream_.lock();
    if (stream == nullptr || !stream->connection->open(ClusterConnection::kAcceptor)) return;
    stream->connection->Send(ClusterConnection::kAcceptor, [stream, status] {
      stream->closed =
          status.ok() ? MakeError(ErrorCode::kCancelled, "the leader has ended it") : status;
    });
    const std::shared_ptr<LeaderSide> leader = stream->leader.lock();
    stream->connection->Close(ClusterConnection::kAcceptor);
    TellClosed(leader);
  }
  static void TellClosed(const std::shared_ptr<LeaderSide>& leader) {
    leader->executor->Post([leader] {
      const auto sink = std::exchange(leader->sink, nullptr);
      if (sink != nullptr) sink->OnClosed();
    });
  }

 private:
  void Write(const broker::MessagePieces& pieces) {
    const StreamPtr stream = stream_.lock();
    if (stream == nullptr) return;
    stream->connection->Send(ClusterConnection::kAcceptor, [stream, bytes = OnTheWire(pieces)] {
      ToFollower(stream, bytes);
      const std::shared_ptr<LeaderSide> leader = stream->leader.lock();
      if (leader == nullptr || !std::exchange(stream->waits, false)) return;
      leader->executor->Post([leader] {
        const auto sink = leader->sink;
        if (sink != nullptr) sink->OnWritable();
      });
    });
  }

  const std::weak_ptr<Stream> stream_;
};

class FollowerEnd final : public broker::FollowerStream {
 public:
  explicit FollowerEnd(StreamPtr stream) : stream_(std::move(stream)) {}
  ~FollowerEnd() override {
    stream_->ended = true;
    stream_->connection->Close(ClusterConnection::kOpener);
  }
  void Send(broker::FollowerMessage message) override {
    Write(stream_, broker::EncodeFollowerMessage(message));
  }
  static void Write(const StreamPtr& stream, const broker::MessagePieces& pieces) {
    stream->connection->Send(ClusterConnection::kOpener, [stream, bytes = OnTheWire(pieces)] {
      const std::shared_ptr<LeaderSide> leader = stream->leader.lock();
      if (leader == nullptr) return;
      leader->executor->Post([leader, bytes] {
        absl::StatusOr<broker::FollowRequest> request =
            broker::DecodeFollowRequest({bytes.slice()});
        CHECK_OK(request);
        const auto sink = leader->sink;
        if (sink != nullptr && !request->hello) sink->OnMessage(std::move(request->message));
      });
    });
  }

 private:
  const StreamPtr stream_;
};

// The hello has arrived where the leader may be.
bool TakeIn(SimServer* server, const broker::FollowerHello& hello, const StreamPtr& stream) {
  if (!server->serving()) return false;
  const broker::ReplicaIntake intake = server->node().broker().replica_intake();
  auto leader = std::make_shared<LeaderSide>();
  leader->executor = intake.executor_of(hello);
  if (leader->executor == nullptr) return false;
  stream->leader = leader;
  leader->executor->Post([leader, stream, hello, take_in = intake.take_in] {
    leader->sink = take_in(hello, std::make_shared<LeaderEnd>(stream));
  });
  stream->connection->SetOnClosed(ClusterConnection::kAcceptor,
                                  [leader] { LeaderEnd::TellClosed(leader); });
  return true;
}

}  // namespace

std::unique_ptr<broker::FollowerStream> ClusterReplicaChannel::Open(
    const std::string& address, const broker::FollowerHello& hello, Executor* executor,
    std::weak_ptr<broker::FollowerSink> sink) {
  CHECK(executor->IsCurrent());
  auto stream = std::make_shared<Stream>();
  stream->follower = executor;
  stream->follower_sink = std::move(sink);
  const int host = HostOf(address);
  CHECK(all_.find(host) != nullptr) << address;
  stream->connection = all_.network->Connect(
      self_, host,
      [all = all_, host, hello, stream](const ClusterNetwork::ConnectionPtr& connection) {
        stream->connection = connection;
        return TakeIn(all.find(host)->server, hello, stream);
      },
      [stream] { CloseFollower(stream); });
  return std::make_unique<FollowerEnd>(stream);
}

}  // namespace millrace::sim
