// WriteQueue: the messages that a stream still has to send, bounded by bytes. It hides gRPC's rule
// of one write at a time: the stream asks for the next message when the one before has gone out.
//
// The limit is a signal, not a wall: a message is always taken, and writable() says whether the
// writer should hold back. It turns false at the limit and true again at half of it, so that a
// writer is not woken for every message.
//
// Thread: the owner stream's.
#ifndef RPC_WRITE_QUEUE_H_
#define RPC_WRITE_QUEUE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <utility>

namespace millrace::rpc {

class WriteQueue {
 public:
  // REQUIRES: limit_bytes > 0.
  explicit WriteQueue(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  void Push(grpc::ByteBuffer message);

  // REQUIRES: !empty(). The message stays accounted until Sent().
  const grpc::ByteBuffer& front() const { return messages_.front(); }

  // Drops the front, which has gone out. True if the queue turned writable by this.
  bool Sent();

  void Clear();

  bool empty() const { return messages_.empty(); }
  size_t size() const { return messages_.size(); }
  int64_t bytes() const { return bytes_; }
  bool writable() const { return writable_; }

 private:
  const int64_t limit_bytes_;
  int64_t bytes_ = 0;
  bool writable_ = true;
  std::deque<grpc::ByteBuffer> messages_;
};

}  // namespace millrace::rpc

#endif  // RPC_WRITE_QUEUE_H_
