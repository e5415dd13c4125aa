#include "rpc/client_call.h"

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <atomic>
#include <chrono>
#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/types/optional.h"
#include "base/status.h"
#include "rpc/call_context.h"
#include "rpc/operation.h"
#include "rpc/status_mapping.h"
#include "rpc/write_queue.h"

namespace millrace::rpc {
namespace {

// The payload that says so for a call that failed without an answer; its value is a Delivery.
constexpr char kDeliveryPayload[] = "millrace.rpc.Delivery";

absl::Status WithDelivery(absl::Status status, Delivery delivery) {
  status.SetPayload(kDeliveryPayload, absl::Cord(delivery == Delivery::kNotSent ? "0" : "1"));
  return status;
}

absl::Status Stopped() {
  return WithDelivery(
      MakeError(ErrorCode::kShuttingDown, "this process is shutting down: the call was not made"),
      Delivery::kNotSent);
}

// gRPC's deadlines are by the wall clock.
void Prepare(const ClientCallOptions& options, grpc::ClientContext* context) {
  context->set_wait_for_ready(options.wait_for_ready);
  if (options.forwarded) context->AddMetadata(kForwardedKey, "1");
  if (options.timeout == absl::InfiniteDuration()) return;
  context->set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoNanoseconds(options.timeout));
}

// One unary call; its one operation keeps it alive until the answer is here.
class UnaryClientCall final : public ClientCall,
                              public QueueCall,
                              public std::enable_shared_from_this<UnaryClientCall> {
 public:
  UnaryClientCall(CompletionQueueExecutor* executor, std::shared_ptr<grpc::Channel> channel,
                  std::string method, const ClientCallOptions& options,
                  absl::AnyInvocable<void(absl::StatusOr<Bytes>) &&> done)
      : executor_(executor),
        channel_(std::move(channel)),
        method_(std::move(method)),
        done_(std::move(done)) {
    Prepare(options, &context_);
  }

  void Start(const grpc::ByteBuffer& request) {
    if (!executor_->AcceptsOperations()) return std::move(done_)(Stopped());
    executor_->AddCall(this);
    grpc::GenericStub stub(channel_);
    reader_ = stub.PrepareUnaryCall(&context_, method_, request, executor_->queue());
    reader_->StartCall();
    reader_->Finish(&response_, &status_, finished_.Start(shared_from_this()));
  }

  void Cancel() override { context_.TryCancel(); }
  void OnDrain() override {}
  void OnCancel() override { Cancel(); }

 private:
  void Finished(bool) {
    executor_->RemoveCall(this);
    absl::Status status = FromGrpcStatus(status_);
    // A server's answer carries details, a failure of the network does not.
    const bool answered =
        !status_.error_details().empty() || status_.error_code() == grpc::StatusCode::UNIMPLEMENTED;
    if (!status.ok() && !answered) {
      status = WithDelivery(std::move(status), WasSent() ? Delivery::kUnknown : Delivery::kNotSent);
    }
    absl::StatusOr<Bytes> result =
        status.ok() ? Flatten(response_) : absl::StatusOr<Bytes>(std::move(status));
    response_.Clear();
    std::move(done_)(std::move(result));
    done_ = nullptr;
  }

  // gRPC names a peer with its scheme once the call was given to a connection, and the channel's
  // target before that.
  bool WasSent() const {
    const std::string peer = context_.peer();
    return absl::StartsWith(peer, "ipv4:") || absl::StartsWith(peer, "ipv6:") ||
           absl::StartsWith(peer, "unix:");
  }

  CompletionQueueExecutor* const executor_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string method_;
  absl::AnyInvocable<void(absl::StatusOr<Bytes>) &&> done_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
  Operation<UnaryClientCall> finished_{&UnaryClientCall::Finished};
};

// One stream. Its life: StartCall, then reads and writes side by side, until a read fails; then
// Finish, which brings the status; then, when no operation is under way, OnDone.
class BidiClientStream final : public ClientStream,
                               public QueueCall,
                               public std::enable_shared_from_this<BidiClientStream> {
 public:
  BidiClientStream(CompletionQueueExecutor* executor, std::shared_ptr<grpc::Channel> channel,
                   std::string method, const ClientCallOptions& options)
      : executor_(executor),
        channel_(std::move(channel)),
        method_(std::move(method)),
        writes_(options.stream_write_bytes_max) {
    Prepare(options, &context_);
  }

  void Start(const ClientStreamHandlerFactory& make_handler) {
    handler_ = make_handler(shared_from_this());
    if (!executor_->AcceptsOperations()) return Close(Stopped());
    executor_->AddCall(this);
    grpc::GenericStub stub(channel_);
    stream_ = stub.PrepareCall(&context_, method_, executor_->queue());
    stream_->StartCall(started_.Start(shared_from_this()));
  }

  void Write(BytesList message) override {
    grpc::ByteBuffer buffer = ToByteBuffer(message);
    OnExecutor([self = shared_from_this(), buffer = std::move(buffer)]() mutable {
      if (self->closed_ || self->writes_done_) return;
      self->writes_.Push(std::move(buffer));
      self->writable_.store(self->writes_.writable(), std::memory_order_relaxed);
      self->StartNextWrite();
    });
  }
  bool writable() const override { return writable_.load(std::memory_order_relaxed); }
  bool has_sent() const override { return has_sent_; }
  void WritesDone() override {
    OnExecutor([self = shared_from_this()] {
      self->writes_done_ = true;
      self->StartNextWrite();
    });
  }
  void Cancel() override {
    context_.TryCancel();
    // The end is learned from a read, so there must be one.
    OnExecutor([self = shared_from_this()] { self->ResumeReading(); });
  }
  void PauseReading() override { paused_ = true; }
  void ResumeReading() override {
    paused_ = false;
    ReadNext();
  }

  void OnDrain() override {}
  void OnCancel() override { Cancel(); }

 private:
  template <class F>
  void OnExecutor(F f) {
    if (executor_->IsCurrent()) return f();
    executor_->Post(std::move(f));
  }

  void Started(bool ok) {
    if (!ok) return StartFinish();
    running_ = true;
    ReadNext();
    StartNextWrite();
  }

  // At most one read is under way.
  void ReadNext() {
    if (!running_ || paused_ || read_all_ || read_.pending()) return;
    if (!executor_->AcceptsOperations()) return;
    stream_->Read(&inbound_, read_.Start(shared_from_this()));
  }

  void HasRead(bool ok) {
    if (!ok) {
      read_all_ = true;
      return StartFinish();
    }
    absl::StatusOr<ReceivedMessage> message = ReceivedMessage::Open(inbound_);
    inbound_.Clear();
    if (!message.ok()) {
      Cancel();
    } else {
      handler_->TakeIn(*std::move(message));
    }
    // Also after a failure: the read that fails tells the end.
    ReadNext();
  }

  // The one place that starts writes and, when nothing is left to write, the half-close.
  void StartNextWrite() {
    if (!running_ || broken_ || written_.pending() || half_closed_) return;
    if (!executor_->AcceptsOperations()) return;
    if (!writes_.empty()) {
      grpc::WriteOptions options;
      // More follows at once: gRPC may gather small messages into one system call.
      if (writes_.size() > 1) options.set_buffer_hint();
      has_sent_ = true;
      stream_->Write(writes_.front(), options, written_.Start(shared_from_this()));
    } else if (writes_done_) {
      half_closed_ = true;
      stream_->WritesDone(half_closing_.Start(shared_from_this()));
    }
  }

  void Written(bool ok) {
    if (!ok) {
      // The call is over; the failing read tells why.
      broken_ = true;
      writes_.Clear();
      if (paused_) ResumeReading();
      return CloseIfIdle();
    }
    const bool turned_writable = writes_.Sent();
    writable_.store(writes_.writable(), std::memory_order_relaxed);
    StartNextWrite();
    if (turned_writable && !finish_started_) handler_->OnWritable();
    CloseIfIdle();
  }
  void HalfClosed(bool) { CloseIfIdle(); }

  // Asks for the status; only once nothing more will be read.
  void StartFinish() {
    finish_started_ = true;
    running_ = false;
    // A queue that shuts down takes no operation, and the call was cancelled by that.
    if (!executor_->AcceptsOperations()) {
      status_ = Stopped();
      return CloseIfIdle();
    }
    stream_->Finish(&grpc_status_, finished_.Start(shared_from_this()));
  }
  void Finished(bool) {
    status_ = FromGrpcStatus(grpc_status_);
    CloseIfIdle();
  }

  // gRPC still uses the buffers of operations that are under way, so the end waits for them.
  void CloseIfIdle() {
    if (!status_.has_value() || closed_) return;
    if (written_.pending() || half_closing_.pending() || finished_.pending()) return;
    executor_->RemoveCall(this);
    writes_.Clear();
    Close(*status_);
  }
  void Close(const absl::Status& status) {
    // The handler owns a reference to this stream, and goes now.
    closed_ = true;
    const std::unique_ptr<ClientStreamHandler> handler = std::move(handler_);
    handler->OnDone(status);
  }

  CompletionQueueExecutor* const executor_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string method_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  std::unique_ptr<ClientStreamHandler> handler_;
  WriteQueue writes_;
  std::atomic<bool> writable_{true};
  grpc::ByteBuffer inbound_;
  grpc::Status grpc_status_;
  std::optional<absl::Status> status_;
  // The handler has gone.
  bool closed_ = false;
  // A write was started.
  bool has_sent_ = false;
  // Between the start of the call and the failing read.
  bool running_ = false;
  bool paused_ = false;
  bool read_all_ = false;
  // A write failed: no further one is tried.
  bool broken_ = false;
  // WritesDone was called; it was passed on to gRPC.
  bool writes_done_ = false;
  bool half_closed_ = false;
  bool finish_started_ = false;
  Operation<BidiClientStream> started_{&BidiClientStream::Started};
  Operation<BidiClientStream> read_{&BidiClientStream::HasRead};
  Operation<BidiClientStream> written_{&BidiClientStream::Written};
  Operation<BidiClientStream> half_closing_{&BidiClientStream::HalfClosed};
  Operation<BidiClientStream> finished_{&BidiClientStream::Finished};
};

}  // namespace

Delivery DeliveryOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kDeliveryPayload);
  if (!payload.has_value()) return Delivery::kAnswered;
  return *payload == "0" ? Delivery::kNotSent : Delivery::kUnknown;
}

std::shared_ptr<ClientCall> StartUnary(CompletionQueueExecutor* executor,
                                       std::shared_ptr<grpc::Channel> channel, std::string method,
                                       const BytesList& request, const ClientCallOptions& options,
                                       absl::AnyInvocable<void(absl::StatusOr<Bytes>) &&> done) {
  auto call = std::make_shared<UnaryClientCall>(executor, std::move(channel), std::move(method),
                                                options, std::move(done));
  // The request shares the caller's pieces from here on.
  auto start = [call, request = ToByteBuffer(request)] { call->Start(request); };
  if (executor->IsCurrent()) {
    start();
  } else {
    executor->Post(std::move(start));
  }
  return call;
}

std::shared_ptr<ClientStream> StartStream(CompletionQueueExecutor* executor,
                                          std::shared_ptr<grpc::Channel> channel,
                                          std::string method, const ClientCallOptions& options,
                                          ClientStreamHandlerFactory make_handler) {
  auto stream =
      std::make_shared<BidiClientStream>(executor, std::move(channel), std::move(method), options);
  auto start = [stream, make_handler = std::move(make_handler)] { stream->Start(make_handler); };
  if (executor->IsCurrent()) {
    start();
  } else {
    executor->Post(std::move(start));
  }
  return stream;
}

}  // namespace millrace::rpc
