#include "raft/service/raft_service.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "raft/codec/founding_codec.h"
#include "raft/codec/message_format.h"
#include "rpc/parsed_call.h"
#include "rpc/stream_call.h"

namespace millrace::raft {
namespace {

using internal::v1::ExchangeFoundingRequest;
using internal::v1::ExchangeFoundingResponse;
using rpc::CallContext;
using rpc::Reply;

absl::StatusOr<ExchangeFoundingResponse> Answer(const std::weak_ptr<GrpcTransport>& weak,
                                                const FoundingState& caller) {
  const std::shared_ptr<GrpcTransport> transport = weak.lock();
  if (transport == nullptr) {
    return MakeError(ErrorCode::kShuttingDown, "this node's quorum has shut down");
  }
  ASSIGN_OR_RETURN(const FoundingState own, transport->AnswerFounding(caller));
  ExchangeFoundingResponse response;
  *response.mutable_state() = EncodeFoundingState(own);
  return response;
}

}  // namespace

RaftService::RaftService(Executor* owner, const std::shared_ptr<GrpcTransport>& transport)
    : owner_(owner), port_(transport->port()), transport_(transport) {}

rpc::ServerOptions RaftService::Configure(rpc::ServerOptions options) {
  options.receive_message_bytes_max =
      std::max<int64_t>(options.receive_message_bytes_max, kRequestBytesMax);
  // Half of what the peers' keepalive may ask for, and a vanished peer's streams end soon.
  options.client_ping_interval_min =
      std::min(options.client_ping_interval_min, TransportOptions().keepalive_time / 2);
  options.keepalive_time = std::min(options.keepalive_time, absl::Seconds(5));
  options.keepalive_timeout = std::min(options.keepalive_timeout, absl::Seconds(5));
  options.adapts_windows = false;
  return options;
}

void RaftService::Register(rpc::Server* server) {
  server->AddService(&service_, V1::service_full_name());
  for (int i = 0; i < server->queue_count(); ++i) {
    rpc::CompletionQueueExecutor* const queue = server->queue(i);
    rpc::RegisterStream(server, queue, &service_, &Service::RequestReplicate,
                        [port = port_](std::shared_ptr<rpc::ServerStream> stream) {
                          return ServeReplicate(port, std::move(stream));
                        });
    rpc::RegisterParsed<ExchangeFoundingRequest, ExchangeFoundingResponse>(
        server, queue, &service_, &Service::RequestExchangeFounding,
        [owner = owner_, transport = transport_](const CallContext&,
                                                 const ExchangeFoundingRequest& request,
                                                 Reply<ExchangeFoundingResponse> reply) {
          absl::StatusOr<FoundingState> caller = DecodeFoundingState(request.state());
          if (!caller.ok()) return reply(caller.status());
          owner->Post([transport, caller = *std::move(caller), reply = std::move(reply)]() mutable {
            reply(Answer(transport, caller));
          });
        });
  }
}

}  // namespace millrace::raft
