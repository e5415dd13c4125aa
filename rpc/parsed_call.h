// RegisterParsed: a unary method whose handler sees messages, over a raw one (WithRawMethod_X), so
// that a request which cannot be parsed is answered as every other bad request is:
// INVALID_ARGUMENT with an ErrorInfo. gRPC's typed methods answer it with INTERNAL and no detail.
//
//   RegisterParsed<v1::ListTopicsRequest, v1::ListTopicsResponse>(
//       &server, queue, &service, &Service::RequestListTopics,
//       [](const CallContext&, v1::ListTopicsRequest request,
//          Reply<v1::ListTopicsResponse> reply) { ... });
//
// For cold calls: the messages are copies, and small requests do not wait at the gate. Thread: as
// RegisterUnary.
#ifndef RPC_PARSED_CALL_H_
#define RPC_PARSED_CALL_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "rpc/message.h"
#include "rpc/unary_call.h"

namespace millrace::rpc {
namespace internal {

// Turns the answer into bytes, and keeps the request's share of the memory budget until then.
template <class Response>
class SerializingCall final : public UnaryCallBase<Response> {
 public:
  SerializingCall(Bytes request, Reply<BytesList> reply)
      : request_(std::move(request)), reply_(std::move(reply)) {}

  void Answer(absl::StatusOr<Response> response) override {
    if (response.ok()) return reply_(SerializeMessage(*response));
    reply_(response.status());
  }
  void SetOnCancel(Task on_cancel) override { reply_.SetOnCancel(std::move(on_cancel)); }
  bool cancelled() const override { return reply_.cancelled(); }

 private:
  const Bytes request_;
  Reply<BytesList> reply_;
};

}  // namespace internal

// As RegisterUnary, for a method that the generated service declares raw.
template <class Request, class Response, class Service, class Declaring, class Handler>
void RegisterParsed(Server* server, CompletionQueueExecutor* queue, Service* service,
                    void (Declaring::*request)(grpc::ServerContext*, grpc::ByteBuffer*,
                                               grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>*,
                                               grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                               void*),
                    Handler handler) {
  RegisterUnary(
      server, queue, service, request,
      [handler = std::move(handler)](const CallContext& context, Bytes bytes,
                                     Reply<BytesList> reply) {
        absl::StatusOr<Request> message = ParseMessage<Request>(bytes);
        if (!message.ok()) return reply(message.status());
        handler(context, *std::move(message),
                Reply<Response>(std::make_shared<internal::SerializingCall<Response>>(
                    std::move(bytes), std::move(reply))));
      },
      AtGate::kSmallPass);
}

}  // namespace millrace::rpc

#endif  // RPC_PARSED_CALL_H_
