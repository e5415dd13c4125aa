#include "node/service/grpc_controller_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/client_call.h"

namespace millrace::node {
namespace {

constexpr char kService[] = "/millrace.internal.v1.ControllerService/";

// The most that a connection for one question may take.
constexpr absl::Duration kConnectMax = absl::Seconds(10);

// Never failed before: no back-off of gRPC's stands before the session's own.
std::shared_ptr<grpc::Channel> FreshChannel(
    const std::string& address, absl::Duration connect_max,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  rpc::ChannelOptions options;
  // What is left is for the answer.
  options.connect_timeout =
      std::max(options.connect_timeout, connect_max - options.connect_timeout);
  options.credentials = credentials;
  return rpc::ChannelPool(std::move(options)).Get("controller", address);
}

// What a stream's handler and its owner share. The function stays as it is while it runs, whatever
// it does to the stream.
struct Receiver {
  ControllerLink::Received received;
  bool ended = false;
};

class Handler final : public rpc::ClientStreamHandler {
 public:
  explicit Handler(std::shared_ptr<Receiver> receiver) : receiver_(std::move(receiver)) {}

  void OnMessage(Bytes message) override {
    if (receiver_->ended) return;
    absl::StatusOr<internal::v1::BrokerSessionResponse> response =
        rpc::ParseMessage<internal::v1::BrokerSessionResponse>(message);
    if (!response.ok()) receiver_->ended = true;
    receiver_->received(std::move(response));
  }
  void OnDone(absl::Status status) override {
    if (std::exchange(receiver_->ended, true)) return;
    receiver_->received(status.ok() ? MakeError(ErrorCode::kBrokerNotAvailable,
                                                "the controller has ended the session")
                                    : std::move(status));
  }

 private:
  const std::shared_ptr<Receiver> receiver_;
};

}  // namespace

class GrpcControllerLink::SessionStream final : public Stream {
 public:
  SessionStream(std::shared_ptr<rpc::ClientStream> stream, std::shared_ptr<Receiver> receiver)
      : stream_(std::move(stream)), receiver_(std::move(receiver)) {}
  ~SessionStream() override {
    receiver_->ended = true;
    stream_->Cancel();
  }
  void Send(const internal::v1::BrokerSessionRequest& request) override {
    stream_->Write(rpc::SerializeMessage(request));
  }

 private:
  const std::shared_ptr<rpc::ClientStream> stream_;
  const std::shared_ptr<Receiver> receiver_;
};

std::unique_ptr<ControllerLink::Stream> GrpcControllerLink::OpenSession(
    const std::string& address, const internal::v1::BrokerSessionRequest& first,
    absl::Duration connect_max, Received received) {
  CHECK(queue_->IsCurrent());
  session_address_ = address;
  session_channel_ = FreshChannel(address, connect_max, credentials_);
  auto receiver = std::make_shared<Receiver>(Receiver{.received = std::move(received)});
  rpc::ClientCallOptions options;
  options.timeout = absl::InfiniteDuration();
  std::shared_ptr<rpc::ClientStream> stream =
      rpc::StartStream(queue_, session_channel_, absl::StrCat(kService, "BrokerSession"), options,
                       [receiver](const std::shared_ptr<rpc::ClientStream>&) {
                         return std::make_unique<Handler>(receiver);
                       });
  stream->Write(rpc::SerializeMessage(first));
  return std::make_unique<SessionStream>(std::move(stream), std::move(receiver));
}

template <class Response>
void GrpcControllerLink::Ask(const char* method, const std::string& address,
                             const google::protobuf::MessageLite& request, absl::Duration timeout,
                             Done<Response> done) {
  rpc::StartUnaryTyped<Response>(
      queue_, ChannelTo(address, timeout), absl::StrCat(kService, method), request,
      {.timeout = timeout},
      [queue = queue_, done = std::move(done)](absl::StatusOr<Response> response) mutable {
        // What fails at once does so inside the call.
        queue->Post([done = std::move(done), response = std::move(response)]() mutable {
          std::move(done)(std::move(response));
        });
      });
}

std::shared_ptr<grpc::Channel> GrpcControllerLink::ChannelTo(const std::string& address,
                                                             absl::Duration timeout) {
  if (address == session_address_) return session_channel_;
  return FreshChannel(address, std::min(timeout, kConnectMax), credentials_);
}

void GrpcControllerLink::RegisterBroker(const std::string& address,
                                        const internal::v1::RegisterBrokerRequest& request,
                                        absl::Duration timeout,
                                        Done<internal::v1::RegisterBrokerResponse> done) {
  Ask("RegisterBroker", address, request, timeout, std::move(done));
}

void GrpcControllerLink::AlterPartition(const std::string& address,
                                        const internal::v1::AlterPartitionRequest& request,
                                        absl::Duration timeout,
                                        Done<internal::v1::AlterPartitionResponse> done) {
  Ask("AlterPartition", address, request, timeout, std::move(done));
}

void GrpcControllerLink::ReportLastCopies(const std::string& address,
                                          const internal::v1::ReportLastCopiesRequest& request,
                                          absl::Duration timeout,
                                          Done<internal::v1::ReportLastCopiesResponse> done) {
  Ask("ReportLastCopies", address, request, timeout, std::move(done));
}

void GrpcControllerLink::AssignReplicasToDirs(
    const std::string& address, const internal::v1::AssignReplicasToDirsRequest& request,
    absl::Duration timeout, Done<internal::v1::AssignReplicasToDirsResponse> done) {
  Ask("AssignReplicasToDirs", address, request, timeout, std::move(done));
}

void GrpcControllerLink::AllocateProducerIds(
    const std::string& address, const internal::v1::AllocateProducerIdsRequest& request,
    absl::Duration timeout, Done<internal::v1::AllocateProducerIdsResponse> done) {
  Ask("AllocateProducerIds", address, request, timeout, std::move(done));
}

}  // namespace millrace::node
