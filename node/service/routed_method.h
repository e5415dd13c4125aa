// RegisterRouted: a method that the active controller answers, whichever node is asked. As
// rpc::RegisterParsed, with an AdminForwarder between the wire and the handler.
//
// Thread: as rpc::RegisterUnary.
#ifndef NODE_SERVICE_ROUTED_METHOD_H_
#define NODE_SERVICE_ROUTED_METHOD_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "node/service/admin_forwarder.h"
#include "rpc/message.h"
#include "rpc/unary_call.h"

namespace millrace::node {

// A handler's reply, on its way back to the forwarder.
template <class Response>
class RoutedAnswer final : public rpc::UnaryCallBase<Response> {
 public:
  explicit RoutedAnswer(AdminForwarder::Answered done) : done_(std::move(done)) {}

  void Answer(absl::StatusOr<Response> response) override {
    if (!response.ok()) return std::move(done_)(response.status());
    std::move(done_)(rpc::SerializeMessage(*response));
  }
  // The forwarder hears of it, and ignores what is answered later.
  void SetOnCancel(Task) override {}
  bool cancelled() const override { return false; }

 private:
  AdminForwarder::Answered done_;
};

// What the routed methods of one service have in common. All of it outlives the server.
struct RoutedMethods {
  // "millrace.v1.AdminService"
  std::string service;
  rpc::Server* server = nullptr;
  rpc::CompletionQueueExecutor* queue = nullptr;
  AdminForwarder* forwarder = nullptr;
};

enum class Access { kRead, kChange };

// `handler(context, request, reply)` asks this node's own controller. REQUIRES: as RegisterParsed.
template <class Request, class Response, class Service, class Declaring, class Handler>
void RegisterRouted(const RoutedMethods& methods, Service* service,
                    void (Declaring::*request)(grpc::ServerContext*, grpc::ByteBuffer*,
                                               grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>*,
                                               grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                               void*),
                    const std::string& name, Access access, Handler handler) {
  rpc::RegisterUnary(
      methods.server, methods.queue, service, request,
      [forwarder = methods.forwarder, access, handler = std::move(handler),
       path = absl::StrCat("/", methods.service, "/", name)](
          const rpc::CallContext& context, Bytes bytes, AdminForwarder::Reply reply) {
        auto ask_here = [context, handler](const Bytes& bytes, AdminForwarder::Answered done) {
          absl::StatusOr<Request> message = rpc::ParseMessage<Request>(bytes);
          if (!message.ok()) return std::move(done)(message.status());
          handler(context, *std::move(message),
                  rpc::Reply<Response>(std::make_shared<RoutedAnswer<Response>>(std::move(done))));
        };
        forwarder->Serve(context,
                         {.method = path,
                          .read_only = access == Access::kRead,
                          .request = std::move(bytes),
                          .ask_here = std::move(ask_here)},
                         std::move(reply));
      },
      rpc::AtGate::kSmallPass);
}

}  // namespace millrace::node

#endif  // NODE_SERVICE_ROUTED_METHOD_H_
