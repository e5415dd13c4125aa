// Calls to a server, driven by a CompletionQueueExecutor: StartUnary, and ClientStream for streams
// of either kind (a server stream is one where the client writes its request and then WritesDone).
//
// Methods are named by path ("/millrace.v1.LogService/Produce"); messages are raw, with typed forms
// for cold calls. Failures arrive as our statuses (rpc/status_mapping.h).
//
// Thread: starting, Write, WritesDone, Finish and Cancel: any. Callbacks run on the executor; after
// its shutdown they are destroyed uncalled.
#ifndef RPC_CLIENT_CALL_H_
#define RPC_CLIENT_CALL_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/message.h"

namespace millrace::rpc {

struct ClientCallOptions {
  // Every unary call has a deadline; a stream that lives as long as its owner has none.
  absl::Duration timeout = absl::Seconds(30);
  // Wait for the connection instead of failing while the server cannot be reached.
  bool wait_for_ready = false;
  // On behalf of another caller: the server answers, and does not pass it on again.
  bool forwarded = false;
  // Unsent bytes from which a stream is not writable.
  int64_t stream_write_bytes_max = 4 << 20;
};

// How far the request of a unary call got that failed.
enum class Delivery : uint8_t {
  // It never left this process, so nothing can have come of it.
  kNotSent,
  // The connection or the deadline ended before the answer: it may have taken effect.
  kUnknown,
  // The error is the server's answer.
  kAnswered,
};
// REQUIRES: `status` is an error that a callback of StartUnary was given.
Delivery DeliveryOf(const absl::Status& status);

// A unary call under way.
class ClientCall {
 public:
  virtual ~ClientCall() = default;
  // The callback gets CANCELLED, unless the answer is here already. Thread: any.
  virtual void Cancel() = 0;
};

// Calls once; `done` runs exactly once, on `executor`. The handle may be dropped.
std::shared_ptr<ClientCall> StartUnary(CompletionQueueExecutor* executor,
                                       std::shared_ptr<grpc::Channel> channel, std::string method,
                                       const BytesList& request, const ClientCallOptions& options,
                                       absl::AnyInvocable<void(absl::StatusOr<Bytes>) &&> done);

// As StartUnary, for messages.
template <class Response>
std::shared_ptr<ClientCall> StartUnaryTyped(
    CompletionQueueExecutor* executor, std::shared_ptr<grpc::Channel> channel, std::string method,
    const google::protobuf::MessageLite& request, const ClientCallOptions& options,
    absl::AnyInvocable<void(absl::StatusOr<Response>) &&> done) {
  return StartUnary(executor, std::move(channel), std::move(method), SerializeMessage(request),
                    options, [done = std::move(done)](absl::StatusOr<Bytes> response) mutable {
                      if (!response.ok()) return std::move(done)(response.status());
                      std::move(done)(ParseMessage<Response>(*response));
                    });
}

// What hears of one stream. Lives until OnDone has returned.
class ClientStreamHandler {
 public:
  virtual ~ClientStreamHandler() = default;
  // One message, in the order sent; the next is read when this returns.
  virtual void OnMessage(Bytes message) = 0;
  // The same, for a handler that takes a message in piece by piece.
  virtual void TakeIn(ReceivedMessage message) { OnMessage(std::move(message).Flatten()); }
  // writable() has turned true again.
  virtual void OnWritable() {}
  // The last call: the server's status, or why it could not be had.
  virtual void OnDone(absl::Status status) = 0;
};

// The client's end of one stream.
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  // Queues a message; dropped if the stream has ended.
  virtual void Write(BytesList message) = 0;
  virtual bool writable() const = 0;
  // Whether a message was ever given to the network: if not, nothing can have come of any.
  // REQUIRES: on the executor.
  virtual bool has_sent() const = 0;
  // Half-closes after what was written before.
  virtual void WritesDone() = 0;
  // OnDone follows with CANCELLED, unless the stream has ended already.
  virtual void Cancel() = 0;
  // Reads no further message, and hears nothing of the stream's end, until ResumeReading. REQUIRES:
  // on the executor.
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
};

// Opens a stream; messages may be written at once. `make_handler` runs on the executor, before any
// event.
using ClientStreamHandlerFactory =
    std::function<std::unique_ptr<ClientStreamHandler>(std::shared_ptr<ClientStream>)>;
std::shared_ptr<ClientStream> StartStream(CompletionQueueExecutor* executor,
                                          std::shared_ptr<grpc::Channel> channel,
                                          std::string method, const ClientCallOptions& options,
                                          ClientStreamHandlerFactory make_handler);

}  // namespace millrace::rpc

#endif  // RPC_CLIENT_CALL_H_
