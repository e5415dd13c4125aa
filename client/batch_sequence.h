// BatchSequence: the numbers of one partition's batches under a producer id (KIP-98), by which the
// broker knows a batch that is sent again, and refuses one whose predecessor is missing.
//
// A batch keeps its number over all attempts: only so is it recognised. Where the broker has lost
// the thread (a batch before was given up, or it has forgotten the producer), the partition begins
// anew under another id: a refused number is one that the log does not hold.
//
// Thread: its owner's (a value otherwise).
#ifndef CLIENT_BATCH_SEQUENCE_H_
#define CLIENT_BATCH_SEQUENCE_H_

#include <cstdint>

#include "api/produce.h"
#include "base/bytes.h"

namespace millrace::client {

class BatchSequence {
 public:
  // Whether batches can be numbered: an id is there, and the broker has not lost the thread.
  bool ready() const { return identity_.id != kNoProducerId && !lost_; }
  // The number that the broker expected was another one.
  void Lost() { lost_ = true; }
  // Takes up `latest`, from 0 on. False if it is no other id than that of before. REQUIRES:
  // !ready(); no batch is in flight, and all that are kept will be stamped again.
  bool Begin(const api::ProducerIdentity& latest);

  // Gives the batch the next number. The memory is written where nobody else holds it, or else
  // copied. REQUIRES: ready(); a whole batch.
  void Stamp(Bytes* batch);

 private:
  api::ProducerIdentity identity_;
  int32_t next_ = 0;
  bool lost_ = false;
};

}  // namespace millrace::client

#endif  // CLIENT_BATCH_SEQUENCE_H_
