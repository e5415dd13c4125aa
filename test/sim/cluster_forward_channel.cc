#include "test/sim/cluster_forward_channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/codec/delete_records_codec.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/offset_for_leader_epoch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "base/status.h"
#include "broker/broker.h"
#include "node/node.h"
#include "test/sim/cluster_broker_stream.h"
#include "test/sim/cluster_calls.h"

namespace millrace::sim {
namespace {

absl::Status NoAnswer(bool may_have_had_effect) {
  return may_have_had_effect
             ? MakeError(ErrorCode::kOutcomeUnknown, "passed on to a leader that was lost")
             : MakeError(ErrorCode::kBrokerNotAvailable, "the leader cannot be reached");
}

broker::Caller AsBroker() {
  broker::Caller caller = ClusterCalls::AsClient();
  caller.forwarded = true;
  return caller;
}

// Nothing of the process that sent it is left in what comes out.
template <class Message, class Encode, class Decode>
Message Wired(const Message& message, Encode encode, Decode decode) {
  absl::StatusOr<Message> read = decode(api::Join(encode(message)));
  CHECK_OK(read);
  return *std::move(read);
}
template <class Message>
Message WiredAsProto(const Message& message) {
  absl::StatusOr<Message> read = api::FromProto(api::ToProto(message));
  CHECK_OK(read);
  return *std::move(read);
}

template <class Response>
struct WaitingFor final : ClusterForwards::Waiting {
  broker::ForwardChannel::Done<Response> done;

  void Drop() override { done = nullptr; }
};

class StreamThere final : public broker::ForwardStream {
 public:
  explicit StreamThere(std::shared_ptr<ClusterProduceStream> stream) : stream_(std::move(stream)) {}
  ~StreamThere() override { stream_->End(); }
  void Send(const api::ProduceStreamRequest& request) override { stream_->Send(request); }

 private:
  const std::shared_ptr<ClusterProduceStream> stream_;
};

}  // namespace

// ---- What one process waits for ----

void ClusterForwards::Add(const std::shared_ptr<Waiting>& waiting) {
  std::erase_if(all_, [](const auto& weak) { return weak.expired(); });
  all_.push_back(waiting);
}

void ClusterForwards::OnDown() {
  for (const auto& weak : std::exchange(all_, {})) {
    if (const auto waiting = weak.lock(); waiting != nullptr) waiting->Drop();
  }
}

// ---- Calls ----

std::function<SimServer&()> ClusterForwardChannel::Finder(int host) const {
  return [all = all_, host]() -> SimServer& { return *all.find(host)->server; };
}

template <class Response>
Task ClusterForwardChannel::Pass(
    const std::string& address, absl::Duration timeout, bool changes,
    std::function<void(broker::Broker&, std::function<void(Response)>)> serve,
    Done<Response> done) {
  const auto call = std::make_shared<WaitingFor<Response>>();
  call->done = std::move(done);
  forwards_->Add(call);
  const auto tell = [executor = executor_, call](absl::StatusOr<Response> answer) {
    if (call->done == nullptr) return;
    executor->Post([done = std::exchange(call->done, nullptr),
                    answer = std::move(answer)]() mutable { std::move(done)(std::move(answer)); });
  };
  // As with gRPC, nothing is sent before there is a connection.
  const auto may_have_had_effect = std::make_shared<bool>(false);
  const auto connected = std::make_shared<Task>();
  const ClusterNetwork::ConnectionPtr connection = all_.network->Connect(
      self_, HostOf(address),
      [find = Finder(HostOf(address)), connected](const ClusterNetwork::ConnectionPtr& there) {
        if (!find().serving()) return false;
        there->Send(ClusterConnection::kAcceptor, [connected] {
          if (Task send = std::exchange(*connected, nullptr); send != nullptr) std::move(send)();
        });
        return true;
      },
      [tell, may_have_had_effect] { tell(NoAnswer(*may_have_had_effect)); });
  *connected = [find = Finder(HostOf(address)), connection, tell, serve, changes,
                may_have_had_effect, shard = all_.network->random().Next()] {
    *may_have_had_effect = changes;
    connection->Send(ClusterConnection::kOpener, [find, connection, tell, serve, shard] {
      ClusterCalls::AtBroker(find(), shard, [connection, tell, serve](broker::Broker& broker) {
        serve(broker, [connection, tell](Response response) {
          connection->Send(ClusterConnection::kAcceptor,
                           [connection, tell, response = std::move(response)]() mutable {
                             tell(std::move(response));
                             connection->Close(ClusterConnection::kOpener);
                           });
        });
      });
    });
  };
  const auto give_up =
      std::make_shared<std::function<void()>>([connection, tell, connected, may_have_had_effect] {
        *connected = nullptr;
        if (connection->open(ClusterConnection::kOpener)) tell(NoAnswer(*may_have_had_effect));
        connection->Close(ClusterConnection::kOpener);
      });
  all_.network->After(timeout, [give_up] { (*give_up)(); });
  return [weak = std::weak_ptr(give_up)] {
    if (const auto still = weak.lock(); still != nullptr) (*still)();
  };
}

void ClusterForwardChannel::Produce(const std::string& address, const api::ProduceRequest& request,
                                    absl::Duration timeout, Done<api::ProduceResponse> done) {
  Pass<api::ProduceResponse>(
      address, timeout, /*changes=*/true,
      [request = Wired(request, &api::EncodeProduceRequest, &api::DecodeProduceRequest)](
          broker::Broker& broker, std::function<void(api::ProduceResponse)> reply) {
        broker.Produce(request, AsBroker(), [reply](const api::ProduceResponse& response) {
          reply(Wired(response, &api::EncodeProduceResponse, &api::DecodeProduceResponse));
        });
      },
      std::move(done));
}

Task ClusterForwardChannel::Fetch(const std::string& address, const api::FetchRequest& request,
                                  absl::Duration timeout, Done<api::FetchResponse> done) {
  return Pass<api::FetchResponse>(
      address, timeout, /*changes=*/false,
      [request = Wired(request, &api::EncodeFetchRequest, &api::DecodeFetchRequest)](
          broker::Broker& broker, std::function<void(api::FetchResponse)> reply) {
        broker.Fetch(request, AsBroker(), [reply](const api::FetchResponse& response) {
          reply(Wired(response, &api::EncodeFetchResponse, &api::DecodeFetchResponse));
        });
      },
      std::move(done));
}

void ClusterForwardChannel::ListOffsets(const std::string& address,
                                        const api::ListOffsetsRequest& request,
                                        absl::Duration timeout,
                                        Done<api::ListOffsetsResponse> done) {
  Pass<api::ListOffsetsResponse>(
      address, timeout, /*changes=*/false,
      [request = WiredAsProto(request)](broker::Broker& broker,
                                        std::function<void(api::ListOffsetsResponse)> reply) {
        broker.ListOffsets(request, AsBroker(), [reply](const api::ListOffsetsResponse& response) {
          reply(WiredAsProto(response));
        });
      },
      std::move(done));
}

void ClusterForwardChannel::DeleteRecords(const std::string& address,
                                          const api::DeleteRecordsRequest& request,
                                          absl::Duration timeout,
                                          Done<api::DeleteRecordsResponse> done) {
  Pass<api::DeleteRecordsResponse>(
      address, timeout, /*changes=*/true,
      [request = WiredAsProto(request)](broker::Broker& broker,
                                        std::function<void(api::DeleteRecordsResponse)> reply) {
        broker.DeleteRecords(
            request, AsBroker(),
            [reply](const api::DeleteRecordsResponse& response) { reply(WiredAsProto(response)); });
      },
      std::move(done));
}

void ClusterForwardChannel::OffsetForLeaderEpoch(const std::string& address,
                                                 const api::OffsetForLeaderEpochRequest& request,
                                                 absl::Duration timeout,
                                                 Done<api::OffsetForLeaderEpochResponse> done) {
  Pass<api::OffsetForLeaderEpochResponse>(
      address, timeout, /*changes=*/false,
      [request = WiredAsProto(request)](
          broker::Broker& broker, std::function<void(api::OffsetForLeaderEpochResponse)> reply) {
        broker.OffsetForLeaderEpoch(request, AsBroker(),
                                    [reply](const api::OffsetForLeaderEpochResponse& response) {
                                      reply(WiredAsProto(response));
                                    });
      },
      std::move(done));
}

// ---- Streams ----

std::unique_ptr<broker::ForwardStream> ClusterForwardChannel::OpenProduceStream(
    const std::string& address, std::weak_ptr<broker::ForwardSink> sink) {
  const int host = HostOf(address);
  // While the opener's end is open its process lives, and with it the executor.
  return std::make_unique<StreamThere>(ClusterProduceStream::Open(
      all_.network, self_, host, Finder(host), AsBroker(),
      {.answered =
           [executor = executor_, sink](api::ProduceStreamResponse response) {
             executor->Post([sink, response = std::move(response)]() mutable {
               if (const auto to = sink.lock(); to != nullptr) to->OnAnswered(std::move(response));
             });
           },
       .closed =
           [executor = executor_, sink](bool has_sent) {
             executor->Post([sink, has_sent] {
               if (const auto to = sink.lock(); to != nullptr) to->OnClosed(NoAnswer(has_sent));
             });
           }}));
}

}  // namespace millrace::sim
