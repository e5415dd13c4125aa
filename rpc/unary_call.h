// Unary methods: RegisterUnary, and Reply, with which a handler answers, at once or later and from
// any strand.
//
//   RegisterUnary(&server, server.queue(0), &service, &Service::RequestCreateTopics,
//                 [](const CallContext& context, CreateTopicsRequest request,
//                    Reply<CreateTopicsResponse> reply) { reply(CreateTopicsResponse()); });
//
// A method registered raw (WithRawMethod_X) is handed Bytes and answers with a BytesList; one
// registered through parsed_call.h is raw too, but its handler sees messages. gRPC's own typed
// methods answer a request that cannot be parsed with INTERNAL, so services do not use them.
//
// The call waits at the ReadGate before its handler sees the request; until then its place among
// the calls that are kept ready is not filled again, so parked requests are bounded by their
// number. A method may say that its requests pass, or small ones do (AtGate).
//
// Thread: handlers run on the queue they are registered for. Reply: any.
#ifndef RPC_UNARY_CALL_H_
#define RPC_UNARY_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status.h"
#include "rpc/message.h"
#include "rpc/method.h"
#include "rpc/operation.h"
#include "rpc/server.h"
#include "rpc/status_mapping.h"

namespace millrace::rpc {

// The side of a call that Reply knows: one type per response, whatever the request is.
template <class Response>
class UnaryCallBase {
 public:
  virtual ~UnaryCallBase() = default;
  // The first answer counts. Thread: any.
  virtual void Answer(absl::StatusOr<Response> response) = 0;
  // Runs at once if the call is cancelled already. Thread: the call's executor.
  virtual void SetOnCancel(Task on_cancel) = 0;
  // Thread: any.
  virtual bool cancelled() const = 0;
};

// The right and the duty to answer one call. One that is dropped answers UNKNOWN_SERVER_ERROR.
template <class Response>
class Reply {
 public:
  explicit Reply(std::shared_ptr<UnaryCallBase<Response>> call) : call_(std::move(call)) {}
  Reply(Reply&&) noexcept = default;
  Reply& operator=(Reply&&) noexcept = default;
  ~Reply() {
    if (call_ != nullptr) {
      (*this)(MakeError(ErrorCode::kUnknownServerError, "the request was dropped unanswered"));
    }
  }

  // Answers; this Reply is spent. Nothing happens if the client has gone. Thread: any.
  void operator()(absl::StatusOr<Response> response) {
    std::exchange(call_, nullptr)->Answer(std::move(response));
  }

  // Whether the client has gone or its deadline has passed. Thread: any.
  bool cancelled() const { return call_->cancelled(); }

  // `on_cancel` runs on the call's executor if the call is cancelled before it is answered.
  // REQUIRES: on that executor.
  void SetOnCancel(Task on_cancel) { call_->SetOnCancel(std::move(on_cancel)); }

 private:
  std::shared_ptr<UnaryCallBase<Response>> call_;
};

namespace internal {

template <class Request, class Response>
using UnaryHandler =
    std::function<void(const CallContext&, typename MessageTraits<Request>::Inbound,
                       Reply<typename MessageTraits<Response>::Outbound>)>;

template <class Request, class Response>
class UnaryCall;

// A unary method on one queue, with its handler.
template <class Request, class Response>
class UnaryMethod final : public Method,
                          public std::enable_shared_from_this<UnaryMethod<Request, Response>> {
 public:
  // The generated Request method, bound to its service.
  using Begin =
      std::function<void(grpc::ServerContext*, Request*, grpc::ServerAsyncResponseWriter<Response>*,
                         grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*)>;

  UnaryMethod(CompletionQueueExecutor* queue, Begin begin, UnaryHandler<Request, Response> handler,
              AtGate at_gate)
      : queue_(queue), begin_(std::move(begin)), handler_(std::move(handler)), at_gate_(at_gate) {}

  void Start(std::shared_ptr<const CallHost> host) override {
    host_ = std::move(host);
    for (int i = 0; i < host_->ready_calls_per_method; ++i) AcceptOne();
  }
  CompletionQueueExecutor* queue() const override { return queue_; }

 private:
  friend class UnaryCall<Request, Response>;
  // Makes one more call ready, unless the queue shuts down.
  void AcceptOne();

  CompletionQueueExecutor* const queue_;
  const Begin begin_;
  const UnaryHandler<Request, Response> handler_;
  const AtGate at_gate_;
  std::shared_ptr<const CallHost> host_;
};

// One call, from the moment it is made ready for a client until its last event.
template <class Request, class Response>
class UnaryCall final : public UnaryCallBase<typename MessageTraits<Response>::Outbound>,
                        public QueueCall,
                        public std::enable_shared_from_this<UnaryCall<Request, Response>> {
 public:
  using Outbound = typename MessageTraits<Response>::Outbound;

  explicit UnaryCall(std::shared_ptr<UnaryMethod<Request, Response>> method)
      : method_(std::move(method)) {}

  // Waits inside gRPC for a client. The calls under way keep themselves alive through their tags.
  void Accept() {
    context_.AsyncNotifyWhenDone(done_.Start(this->shared_from_this()));
    method_->begin_(&context_, &request_, &writer_, queue()->queue(), queue()->server_queue(),
                    accepted_.Start(this->shared_from_this()));
  }

  void Answer(absl::StatusOr<Outbound> response) override {
    if (queue()->IsCurrent()) return AnswerHere(std::move(response));
    queue()->Post([self = this->shared_from_this(), response = std::move(response)]() mutable {
      self->AnswerHere(std::move(response));
    });
  }
  void SetOnCancel(Task on_cancel) override {
    if (cancelled()) return std::move(on_cancel)();
    on_cancel_ = std::move(on_cancel);
  }
  bool cancelled() const override { return cancelled_.load(std::memory_order_relaxed); }

  // A unary call ends by itself; the server's grace is for it.
  void OnDrain() override {}
  void OnCancel() override { context_.TryCancel(); }

 private:
  CompletionQueueExecutor* queue() const { return method_->queue_; }

  void Accepted(bool ok) {
    // The server shuts down. gRPC never completes the notification of a call that did not start.
    if (!ok) return done_.Abandon();
    queue()->AddCall(this);
    call_context_ = MakeCallContext(context_, *method_->host_, queue());
    ReadGate* gate = method_->host_->gate.get();
    // gRPC has read the request with the call, so it is counted after the fact.
    const int64_t size = MessageTraits<Request>::Size(request_);
    Reservation reservation;
    if (gate == nullptr || gate->TryEnter(size, method_->at_gate_, &reservation)) {
      return Run(std::move(reservation));
    }
    parked_ = gate->Park(call_context_.peer, size, queue(),
                         [self = this->shared_from_this()](Reservation admitted) mutable {
                           if (std::exchange(self->parked_, 0) != 0) self->Run(std::move(admitted));
                         });
  }

  // The request is counted: the place among the ready calls is filled again, and the handler runs.
  void Run(Reservation reservation) {
    method_->AcceptOne();
    if (const absl::Status let_in = method_->host_->policy.Check(call_context_); !let_in.ok()) {
      reservation_ = std::move(reservation);
      return AnswerHere(let_in);
    }
    auto request = MessageTraits<Request>::Receive(&request_, &reservation);
    // Empty if the bytes took it with them.
    reservation_ = std::move(reservation);
    if (!request.ok()) return AnswerHere(request.status());
    method_->handler_(call_context_, *std::move(request),
                      Reply<Outbound>(this->shared_from_this()));
  }

  // The first answer counts, and none after the client has gone.
  void AnswerHere(absl::StatusOr<Outbound> response) {
    if (answered_ || cancelled() || !queue()->AcceptsOperations()) return;
    answered_ = true;
    on_cancel_ = nullptr;
    void* tag = finished_.Start(this->shared_from_this());
    if (response.ok()) {
      writer_.Finish(MessageTraits<Response>::Send(*std::move(response)), grpc::Status::OK, tag);
    } else {
      writer_.FinishWithError(ToGrpcStatus(response.status()), tag);
    }
  }

  void Finished(bool) { reservation_.Release(); }

  // Comes once for every accepted call, whether it was answered or cancelled.
  void Done(bool) {
    queue()->RemoveCall(this);
    if (answered_) return;
    cancelled_.store(true, std::memory_order_relaxed);
    if (const ReadGate::Ticket ticket = std::exchange(parked_, 0); ticket != 0) {
      method_->host_->gate->Cancel(call_context_.peer, ticket);
      method_->AcceptOne();
    }
    if (on_cancel_ != nullptr) std::exchange(on_cancel_, nullptr)();
  }

  const std::shared_ptr<UnaryMethod<Request, Response>> method_;
  grpc::ServerContext context_;
  // gRPC reads into it; empty once it was handed on.
  Request request_;
  grpc::ServerAsyncResponseWriter<Response> writer_{&context_};
  CallContext call_context_;
  // Of a typed request, until it is answered.
  Reservation reservation_;
  // Not 0: the request waits at the gate.
  ReadGate::Ticket parked_ = 0;
  bool answered_ = false;
  std::atomic<bool> cancelled_{false};
  Task on_cancel_;
  Operation<UnaryCall> accepted_{&UnaryCall::Accepted};
  Operation<UnaryCall> finished_{&UnaryCall::Finished};
  Operation<UnaryCall> done_{&UnaryCall::Done};
};

template <class Request, class Response>
void UnaryMethod<Request, Response>::AcceptOne() {
  if (!queue_->AcceptsOperations()) return;
  std::make_shared<UnaryCall<Request, Response>>(this->shared_from_this())->Accept();
}

}  // namespace internal

// Serves a unary method on one queue of the server; register it for each queue that shall accept
// it. `service` was added to the server and outlives it. REQUIRES: the server has not started.
template <class Service, class Declaring, class Request, class Response, class Handler>
void RegisterUnary(Server* server, CompletionQueueExecutor* queue, Service* service,
                   void (Declaring::*request)(grpc::ServerContext*, Request*,
                                              grpc::ServerAsyncResponseWriter<Response>*,
                                              grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                              void*),
                   Handler handler, AtGate at_gate = AtGate::kWaits) {
  auto begin = [service, request](grpc::ServerContext* context, Request* message,
                                  grpc::ServerAsyncResponseWriter<Response>* writer,
                                  grpc::CompletionQueue* call_queue,
                                  grpc::ServerCompletionQueue* accept_queue, void* tag) {
    (service->*request)(context, message, writer, call_queue, accept_queue, tag);
  };
  server->AddMethod(std::make_shared<internal::UnaryMethod<Request, Response>>(
      queue, std::move(begin), std::move(handler), at_gate));
}

}  // namespace millrace::rpc

#endif  // RPC_UNARY_CALL_H_
