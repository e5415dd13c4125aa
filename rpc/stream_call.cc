#include "rpc/stream_call.h"

#include <grpcpp/support/byte_buffer.h>

#include "base/status.h"
#include "rpc/status_mapping.h"

namespace millrace::rpc::internal {
namespace {

// The operations of a bidirectional stream.
class BidiCall final : public StreamCall {
 public:
  BidiCall(std::shared_ptr<StreamMethod> method, const BeginBidi* begin)
      : StreamCall(std::move(method)), begin_(begin), stream_(grpc_context()) {}

 private:
  void StartAccept(void* tag) override {
    (*begin_)(grpc_context(), &stream_, queue()->queue(), queue()->server_queue(), tag);
  }
  bool StartRead(grpc::ByteBuffer* into, void* tag) override {
    stream_.Read(into, tag);
    return true;
  }
  void StartWrite(const grpc::ByteBuffer& message, grpc::WriteOptions options, void* tag) override {
    stream_.Write(message, options, tag);
  }
  void StartFinish(const grpc::Status& status, void* tag) override { stream_.Finish(status, tag); }

  const BeginBidi* const begin_;  // Owned by the method.
  BidiStream stream_;
};

// The operations of a stream with one request, which gRPC reads together with the call itself.
class ServerStreamCall final : public StreamCall {
 public:
  ServerStreamCall(std::shared_ptr<StreamMethod> method, const BeginServerStream* begin)
      : StreamCall(std::move(method)), begin_(begin), stream_(grpc_context()) {}

 private:
  void StartAccept(void* tag) override {
    (*begin_)(grpc_context(), &request_, &stream_, queue()->queue(), queue()->server_queue(), tag);
  }
  bool StartRead(grpc::ByteBuffer*, void*) override { return false; }
  void StartWrite(const grpc::ByteBuffer& message, grpc::WriteOptions options, void* tag) override {
    stream_.Write(message, options, tag);
  }
  void StartFinish(const grpc::Status& status, void* tag) override { stream_.Finish(status, tag); }
  grpc::ByteBuffer* request() override { return &request_; }

  const BeginServerStream* const begin_;  // Owned by the method.
  grpc::ByteBuffer request_;
  OutboundStream stream_;
};

// Of a stream that is not let in.
class RefusedHandler final : public StreamHandler {
 public:
  void OnMessage(Bytes) override {}
  void OnHalfClose() override {}
  void OnDone(bool) override {}
};

}  // namespace

StreamCall::StreamCall(std::shared_ptr<StreamMethod> method)
    : method_(std::move(method)), writes_(method_->host().stream_write_bytes_max) {}

CompletionQueueExecutor* StreamCall::queue() const { return method_->queue(); }

void StreamCall::Accept() {
  // gRPC wants the notification to be asked for before the call is requested.
  grpc_context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
  StartAccept(accepted_.Start(shared_from_this()));
}

void StreamCall::Accepted(bool ok) {
  // The server shuts down. gRPC never completes the notification of a call that did not start.
  if (!ok) return done_.Abandon();
  // The place among the calls kept ready is filled again at once: an open stream costs nothing that
  // a parked message would not count.
  method_->AcceptOne();
  queue()->AddCall(this);
  call_context_ = MakeCallContext(grpc_context_, method_->host(), queue());
  if (absl::Status let_in = method_->host().policy.Check(call_context_); !let_in.ok()) {
    handler_ = std::make_unique<RefusedHandler>();
    return FinishHere(std::move(let_in));
  }
  handler_ = method_->MakeHandler(shared_from_this());
  if (request() == nullptr) return ReadNext();
  inbound_.Swap(request());
  EnterGate();
}

// At most one read is under way, and none while a message waits at the gate (inbound_ is valid
// then): so a stream holds one message beyond the budget and no more.
void StreamCall::ReadNext() {
  if (!open() || paused_ || read_all_ || finish_started_ || final_status_.has_value()) return;
  if (read_.pending() || inbound_.Valid() || !queue()->AcceptsOperations()) return;
  void* tag = read_.Start(shared_from_this());
  if (!StartRead(&inbound_, tag)) {
    read_all_ = true;
    read_.Abandon();
  }
}

void StreamCall::HasRead(bool ok) {
  if (ok && open()) return EnterGate();
  inbound_.Clear();
  read_all_ = true;
  // A broken stream is told by Done; this is the client's half-close.
  if (open() && !finish_started_ && !final_status_.has_value() && !ok) handler_->OnHalfClose();
  CloseIfIdle();
}

// inbound_ exists already, so the budget is asked after the fact; while it has no room the stream
// does not read on, and HTTP/2 flow control holds the client back.
void StreamCall::EnterGate() {
  ReadGate* gate = method_->host().gate.get();
  const auto size = static_cast<int64_t>(inbound_.Length());
  Reservation reservation;
  if (gate == nullptr || gate->TryEnter(size, method_->at_gate(), &reservation)) {
    return Deliver(std::move(reservation));
  }
  parked_ = gate->Park(call_context_.peer, size, queue(),
                       [self = shared_from_this()](Reservation admitted) {
                         if (std::exchange(self->parked_, 0) != 0) {
                           self->Deliver(std::move(admitted));
                         }
                       });
}

void StreamCall::Deliver(Reservation reservation) {
  if (!open() || final_status_.has_value()) return inbound_.Clear();
  {
    absl::StatusOr<ReceivedMessage> message =
        ReceivedMessage::Open(inbound_, std::move(reservation));
    inbound_.Clear();
    if (!message.ok()) return FinishHere(message.status());
    handler_->TakeIn(*std::move(message));
  }
  // The next read is under way while the handler works on this message.
  ReadNext();
  handler_->OnTakenIn();
}

void StreamCall::PauseReading() { paused_ = true; }

void StreamCall::ResumeReading() {
  paused_ = false;
  ReadNext();
}

// The slices are made on the caller's thread; only the queue is the stream's.
void StreamCall::Write(BytesList message) {
  grpc::ByteBuffer buffer = ToByteBuffer(message);
  if (queue()->IsCurrent()) return WriteHere(std::move(buffer));
  queue()->Post([self = shared_from_this(), buffer = std::move(buffer)]() mutable {
    self->WriteHere(std::move(buffer));
  });
}

void StreamCall::WriteHere(grpc::ByteBuffer message) {
  if (!open() || final_status_.has_value()) return;
  writes_.Push(std::move(message));
  writable_.store(writes_.writable(), std::memory_order_relaxed);
  StartNextWrite();
}

// The one place that starts writes and, when nothing is left to write, the finish.
void StreamCall::StartNextWrite() {
  if (written_.pending() || finish_started_ || done_seen_ || !queue()->AcceptsOperations()) return;
  if (!writes_.empty()) {
    grpc::WriteOptions options;
    // More follows at once: gRPC may gather small messages into one system call.
    if (writes_.size() > 1) options.set_buffer_hint();
    return StartWrite(writes_.front(), options, written_.Start(shared_from_this()));
  }
  if (final_status_.has_value()) {
    finish_started_ = true;
    StartFinish(ToGrpcStatus(*final_status_), finished_.Start(shared_from_this()));
  }
}

void StreamCall::Written(bool ok) {
  if (!ok) {
    // The call is dead; Done follows or was here.
    writes_.Clear();
    return CloseIfIdle();
  }
  const bool turned_writable = writes_.Sent();
  writable_.store(writes_.writable(), std::memory_order_relaxed);
  StartNextWrite();
  if (turned_writable && open() && !final_status_.has_value()) handler_->OnWritable();
  CloseIfIdle();
}

void StreamCall::Finish(absl::Status status) {
  if (queue()->IsCurrent()) return FinishHere(std::move(status));
  queue()->Post([self = shared_from_this(), status = std::move(status)]() mutable {
    self->FinishHere(std::move(status));
  });
}

void StreamCall::FinishHere(absl::Status status) {
  if (!open() || final_status_.has_value()) return;
  final_status_ = std::move(status);
  StartNextWrite();
}

// Whether the status got through does not matter: Done comes in any case.
void StreamCall::Finished(bool) { CloseIfIdle(); }

void StreamCall::Done(bool) {
  done_seen_ = true;
  // Asked only now: gRPC allows the question once the notification has come.
  cancelled_ = grpc_context_.IsCancelled();
  if (const ReadGate::Ticket ticket = std::exchange(parked_, 0); ticket != 0) {
    method_->host().gate->Cancel(call_context_.peer, ticket);
    inbound_.Clear();
  }
  CloseIfIdle();
}

// The handler may go only when the notification has come and no operation can call back any more:
// gRPC still uses the buffers of those that are under way.
void StreamCall::CloseIfIdle() {
  if (!done_seen_ || closed_) return;
  if (read_.pending() || written_.pending() || finished_.pending()) return;
  queue()->RemoveCall(this);
  writes_.Clear();
  // The handler owns a reference to this stream, and goes now.
  closed_ = true;
  const std::unique_ptr<StreamHandler> handler = std::move(handler_);
  handler->OnDone(cancelled_);
}

void StreamCall::OnDrain() {
  if (!open() || final_status_.has_value()) return;
  if (handler_->OnDrain()) {
    FinishHere(MakeError(ErrorCode::kShuttingDown,
                         "this server is shutting down: connect to another one, or later"));
  }
}

void StreamMethod::Start(std::shared_ptr<const CallHost> host) {
  host_ = std::move(host);
  for (int i = 0; i < host_->ready_calls_per_method; ++i) AcceptOne();
}

void StreamMethod::AcceptOne() {
  if (!queue_->AcceptsOperations()) return;
  make_call_(shared_from_this())->Accept();
}

std::shared_ptr<Method> MakeBidiMethod(CompletionQueueExecutor* queue, BeginBidi begin,
                                       StreamHandlerFactory factory, AtGate at_gate) {
  return std::make_shared<StreamMethod>(
      queue,
      [begin = std::move(begin)](std::shared_ptr<StreamMethod> method) {
        return std::make_shared<BidiCall>(std::move(method), &begin);
      },
      std::move(factory), at_gate);
}

std::shared_ptr<Method> MakeServerStreamMethod(CompletionQueueExecutor* queue,
                                               BeginServerStream begin,
                                               StreamHandlerFactory factory, AtGate at_gate) {
  return std::make_shared<StreamMethod>(
      queue,
      [begin = std::move(begin)](std::shared_ptr<StreamMethod> method) {
        return std::make_shared<ServerStreamCall>(std::move(method), &begin);
      },
      std::move(factory), at_gate);
}

}  // namespace millrace::rpc::internal
