// FetchStream: pushes what arrives in the assigned partitions, as far as the client has given
// credit in bytes of batches and the transport can take it.
//
// Fair: partitions that have something are read in turn, a limited number of bytes each; those at
// their end are parked, not polled, and so are those whose disk does not answer, until it does:
// they hold up no others (S-37). A partition that fails is reported and no longer assigned. A push
// may exceed the credit by one batch, since the first batch is always returned.
//
// Thread: its gather's edge, where the sink is called.
#ifndef BROKER_FETCH_STREAM_H_
#define BROKER_FETCH_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "api/fetch.h"
#include "broker/gather.h"

namespace millrace::broker {

class FetchStream {
 public:
  using Sink = std::function<void(api::FetchStreamResponse)>;

  FetchStream(Gather* gather, const Caller& caller, Sink sink);
  ~FetchStream();
  FetchStream(const FetchStream&) = delete;
  FetchStream& operator=(const FetchStream&) = delete;

  // Assigns, unassigns, gives credit. Errors: INVALID_REQUEST for negative credit; the stream
  // should then be ended.
  absl::Status Handle(api::FetchStreamRequest request);

  // Whether the transport takes more; pushes stop while it does not.
  void SetWritable(bool writable);

  // Bytes that may still be pushed; below zero after a batch that was larger than what was left.
  int64_t credit_bytes() const;
  size_t assigned() const;

 private:
  class Pump;
  const std::shared_ptr<Pump> pump_;
};

}  // namespace millrace::broker

#endif  // BROKER_FETCH_STREAM_H_
