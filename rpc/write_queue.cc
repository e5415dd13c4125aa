#include "rpc/write_queue.h"

#include "base/check.h"

namespace millrace::rpc {

void WriteQueue::Push(grpc::ByteBuffer message) {
  bytes_ += static_cast<int64_t>(message.Length());
  messages_.push_back(std::move(message));
  if (bytes_ >= limit_bytes_) writable_ = false;
}

bool WriteQueue::Sent() {
  CHECK(!messages_.empty());
  bytes_ -= static_cast<int64_t>(messages_.front().Length());
  messages_.pop_front();
  if (writable_ || bytes_ > limit_bytes_ / 2) return false;
  writable_ = true;
  return true;
}

void WriteQueue::Clear() {
  messages_.clear();
  bytes_ = 0;
  writable_ = true;
}

}  // namespace millrace::rpc
