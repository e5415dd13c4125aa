// InboundStream: one stream of Raft messages from a peer: its bytes are decoded on the queue that
// took it, and go from there to the transport, in order.
//
// Bounded: while more bytes than the limit wait for the owner, the stream is not read, and flow
// control holds the peer back. Not here: whether the peer may speak (the sink decides by its
// hello).
//
// Thread: made and fed on the stream's queue; the sink hears on the owner's executor.
#ifndef RAFT_SERVICE_INBOUND_STREAM_H_
#define RAFT_SERVICE_INBOUND_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "raft/host/hello.h"
#include "raft/messages.h"
#include "rpc/stream_call.h"

namespace millrace::raft {

// A stream as its transport knows it.
class InboundStream {
 public:
  InboundStream(std::weak_ptr<rpc::ServerStream> stream, int64_t waiting_max)
      : stream_(std::move(stream)), waiting_max_(waiting_max) {}

  // Thread: any. Nothing happens if the stream has ended.
  void Answer(const Hello& hello);
  void Finish(const absl::Status& status);

  // Whether the speaker's certificate is that of the node which its hello names. Set before the
  // sink hears of the stream.
  void SetClaim(absl::Status claim) { claim_ = std::move(claim); }
  const absl::Status& claim() const { return claim_; }

  // So many bytes wait for the owner, or no longer do. True if the stream must not be read now.
  // Thread: the queue's.
  bool Waits(int64_t bytes);
  // Thread: owner's.
  void Taken(int64_t bytes);

 private:
  // Gone once the stream has ended.
  const std::weak_ptr<rpc::ServerStream> stream_;
  const int64_t waiting_max_;
  std::atomic<int64_t> waiting_{0};
  absl::Status claim_;
};

// Who hears of inbound streams, on the owner's executor.
class InboundSink {
 public:
  virtual ~InboundSink() = default;
  // The first message of a stream; the sink answers or finishes it.
  virtual void OnOpened(const std::shared_ptr<InboundStream>& stream, const Hello& hello) = 0;
  virtual void OnMessages(const std::shared_ptr<InboundStream>& stream,
                          const std::vector<Message>& messages, int64_t bytes) = 0;
  // What came cannot be read; the stream is finished already.
  virtual void OnMalformed(const std::shared_ptr<InboundStream>& stream,
                           const absl::Status& why) = 0;
  virtual void OnEnded(const std::shared_ptr<InboundStream>& stream) = 0;
};

// Where a sink lives. `owner` outlives the streams; the sink is asked for on it only.
struct InboundPort {
  Executor* owner = nullptr;
  std::weak_ptr<InboundSink> sink;
  int64_t waiting_bytes_max = 0;
};

// The handler of a stream that was just opened.
std::unique_ptr<rpc::StreamHandler> ServeReplicate(const InboundPort& port,
                                                   std::shared_ptr<rpc::ServerStream> stream);

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_INBOUND_STREAM_H_
