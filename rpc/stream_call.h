// Streaming methods: RegisterStream (bidirectional) and RegisterServerStream, the StreamHandler
// that serves one stream, and ServerStream, through which it answers.
//
// Streams are served raw: declare the methods with WithRawMethod_X; ParseMessage and
// SerializeMessage turn the bytes of a cold stream into messages. What is hidden here: completion
// tags, gRPC's rule of one read and one write at a time, cancellation, lifetime, and the wait at
// the ReadGate: a stream reads its next message only after the one before was let through. A method
// may say that its messages pass, or small ones do (AtGate).
//
// Thread: all of it runs on the queue that the method is registered for; ServerStream's Write,
// Finish and writable may be called from any thread.
#ifndef RPC_STREAM_CALL_H_
#define RPC_STREAM_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "rpc/message.h"
#include "rpc/method.h"
#include "rpc/operation.h"
#include "rpc/server.h"
#include "rpc/write_queue.h"

namespace millrace::rpc {

// The server's end of one stream.
class ServerStream {
 public:
  virtual ~ServerStream() = default;

  // Queues a message; it shares the pieces' memory. Dropped if the stream has ended. Thread: any.
  virtual void Write(BytesList message) = 0;

  // Whether the writer may go on; after false, OnWritable follows. Thread: any.
  virtual bool writable() const = 0;

  // Ends the stream after what was written before; the first call counts. Thread: any.
  virtual void Finish(absl::Status status) = 0;

  // Reads no further message until ResumeReading: flow control reaches back to the client. A
  // message that was let through already may still be delivered. REQUIRES: on the call's executor.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;

  virtual const CallContext& context() const = 0;
};

// What serves one stream. Lives until OnDone has returned.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;

  // One message, in the order sent. Its memory counts against the budget until the last holder of
  // these bytes is gone. A server stream has exactly one: the request.
  virtual void OnMessage(Bytes message) = 0;
  // The two halves of it, for a handler that takes a message in piece by piece: first it copies
  // what it needs, and the network library's memory goes; then, with the next read under way, it
  // acts on it.
  virtual void TakeIn(ReceivedMessage message) { taken_in_ = std::move(message).Flatten(); }
  virtual void OnTakenIn() { OnMessage(std::exchange(taken_in_, {})); }
  // The client sends no more (never for a server stream). Finishing the stream is up to the
  // handler.
  virtual void OnHalfClose() = 0;
  // writable() has turned true again.
  virtual void OnWritable() {}
  // The server shuts down. False: the handler will call Finish itself, soon; true: it is finished
  // with SHUTTING_DOWN now.
  virtual bool OnDrain() { return true; }
  // The last call: the stream was finished, or the client has gone (`cancelled`).
  virtual void OnDone(bool cancelled) = 0;

 private:
  Bytes taken_in_;
};

// Makes the handler of a stream that has just been opened; it may answer at once.
using StreamHandlerFactory =
    std::function<std::unique_ptr<StreamHandler>(std::shared_ptr<ServerStream>)>;

namespace internal {

class StreamMethod;

// One stream, without the operations that differ between bidirectional and server streams.
class StreamCall : public ServerStream,
                   public QueueCall,
                   public std::enable_shared_from_this<StreamCall> {
 public:
  explicit StreamCall(std::shared_ptr<StreamMethod> method);

  // Makes the call ready for a client: it waits inside gRPC until one opens the stream.
  void Accept();

  void Write(BytesList message) override;
  bool writable() const override { return writable_.load(std::memory_order_relaxed); }
  void Finish(absl::Status status) override;
  void PauseReading() override;
  void ResumeReading() override;
  const CallContext& context() const override { return call_context_; }

  void OnDrain() override;
  void OnCancel() override { grpc_context_.TryCancel(); }

 protected:
  // What the two kinds of stream are made of; each starts one operation with this tag.
  grpc::ServerContext* grpc_context() { return &grpc_context_; }
  CompletionQueueExecutor* queue() const;

  virtual void StartAccept(void* tag) = 0;
  // False if the request has come with the call, and nothing more will be read.
  virtual bool StartRead(grpc::ByteBuffer* into, void* tag) = 0;
  virtual void StartWrite(const grpc::ByteBuffer& message, grpc::WriteOptions options,
                          void* tag) = 0;
  virtual void StartFinish(const grpc::Status& status, void* tag) = 0;
  // The request of a server stream; null for a bidirectional one.
  virtual grpc::ByteBuffer* request() { return nullptr; }

 private:
  // Completions.
  void Accepted(bool ok);
  void HasRead(bool ok);
  void Written(bool ok);
  void Finished(bool ok);
  void Done(bool ok);

  bool open() const { return !closed_ && !done_seen_; }
  // Write and Finish, on the queue.
  void WriteHere(grpc::ByteBuffer message);
  void FinishHere(absl::Status status);
  // Starts a read unless one is under way or none is wanted.
  void ReadNext();
  // Takes inbound_ through the gate.
  void EnterGate();
  // Hands inbound_ to the handler; the reservation goes with its bytes.
  void Deliver(Reservation reservation);
  // Sends the next message, or the final status when there is none left.
  void StartNextWrite();
  // Ends the handler once nothing of gRPC's is under way.
  void CloseIfIdle();

  const std::shared_ptr<StreamMethod> method_;
  grpc::ServerContext grpc_context_;
  CallContext call_context_;
  std::unique_ptr<StreamHandler> handler_;
  // The message being read, or waiting at the gate.
  grpc::ByteBuffer inbound_;
  // Not 0: inbound_ waits at the gate.
  ReadGate::Ticket parked_ = 0;
  WriteQueue writes_;
  // writes_.writable(), for other threads.
  std::atomic<bool> writable_{true};
  bool paused_ = false;
  // The client has half-closed, or the stream is broken.
  bool read_all_ = false;
  // Set by the first Finish; sent once writes_ is empty.
  std::optional<absl::Status> final_status_;
  bool finish_started_ = false;
  // gRPC has said that the call is over; the client may have gone before.
  bool done_seen_ = false;
  bool cancelled_ = false;
  // The handler has gone.
  bool closed_ = false;
  Operation<StreamCall> accepted_{&StreamCall::Accepted};
  Operation<StreamCall> read_{&StreamCall::HasRead};
  Operation<StreamCall> written_{&StreamCall::Written};
  Operation<StreamCall> finished_{&StreamCall::Finished};
  Operation<StreamCall> done_{&StreamCall::Done};
};

// A streaming method on one queue.
class StreamMethod final : public Method, public std::enable_shared_from_this<StreamMethod> {
 public:
  using MakeCall = std::function<std::shared_ptr<StreamCall>(std::shared_ptr<StreamMethod>)>;

  StreamMethod(CompletionQueueExecutor* queue, MakeCall make_call, StreamHandlerFactory factory,
               AtGate at_gate)
      : queue_(queue),
        make_call_(std::move(make_call)),
        factory_(std::move(factory)),
        at_gate_(at_gate) {}

  void Start(std::shared_ptr<const CallHost> host) override;
  CompletionQueueExecutor* queue() const override { return queue_; }
  const CallHost& host() const { return *host_; }
  AtGate at_gate() const { return at_gate_; }

  // Makes one more call ready, unless the queue shuts down.
  void AcceptOne();
  std::unique_ptr<StreamHandler> MakeHandler(std::shared_ptr<ServerStream> stream) const {
    return factory_(std::move(stream));
  }

 private:
  CompletionQueueExecutor* const queue_;
  const MakeCall make_call_;
  const StreamHandlerFactory factory_;
  const AtGate at_gate_;
  std::shared_ptr<const CallHost> host_;
};

// The shapes of the generated Request methods, raw.
using BidiStream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
using OutboundStream = grpc::ServerAsyncWriter<grpc::ByteBuffer>;
using BeginBidi = std::function<void(grpc::ServerContext*, BidiStream*, grpc::CompletionQueue*,
                                     grpc::ServerCompletionQueue*, void*)>;
using BeginServerStream =
    std::function<void(grpc::ServerContext*, grpc::ByteBuffer*, OutboundStream*,
                       grpc::CompletionQueue*, grpc::ServerCompletionQueue*, void*)>;

std::shared_ptr<Method> MakeBidiMethod(CompletionQueueExecutor* queue, BeginBidi begin,
                                       StreamHandlerFactory factory, AtGate at_gate);
std::shared_ptr<Method> MakeServerStreamMethod(CompletionQueueExecutor* queue,
                                               BeginServerStream begin,
                                               StreamHandlerFactory factory, AtGate at_gate);

}  // namespace internal

// Serves a bidirectional method on one queue of the server; register it for each queue that shall
// accept it. `service` was added to the server and outlives it; its method is raw.
// REQUIRES: the server has not started.
template <class Service, class Declaring>
void RegisterStream(Server* server, CompletionQueueExecutor* queue, Service* service,
                    void (Declaring::*request)(grpc::ServerContext*, internal::BidiStream*,
                                               grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                               void*),
                    StreamHandlerFactory factory, AtGate at_gate = AtGate::kWaits) {
  server->AddMethod(internal::MakeBidiMethod(
      queue, [service, request](auto... arguments) { (service->*request)(arguments...); },
      std::move(factory), at_gate));
}

// As RegisterStream, for a method with one request and a stream of responses.
template <class Service, class Declaring>
void RegisterServerStream(Server* server, CompletionQueueExecutor* queue, Service* service,
                          void (Declaring::*request)(grpc::ServerContext*, grpc::ByteBuffer*,
                                                     internal::OutboundStream*,
                                                     grpc::CompletionQueue*,
                                                     grpc::ServerCompletionQueue*, void*),
                          StreamHandlerFactory factory, AtGate at_gate = AtGate::kWaits) {
  server->AddMethod(internal::MakeServerStreamMethod(
      queue, [service, request](auto... arguments) { (service->*request)(arguments...); },
      std::move(factory), at_gate));
}

}  // namespace millrace::rpc

#endif  // RPC_STREAM_CALL_H_
