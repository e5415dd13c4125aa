// DeliveryCheck: what a producer was told of numbered records, held against what is read back: none
// that was acknowledged is lost, moved or there twice, and the order of sending is kept.
//
// A record says its own partition and number (Payload). Records that failed, or whose fate is not
// known, may be there or not, but not twice and not out of order.
//
// Thread: one at a time.
#ifndef TOOLS_BENCH_PROBE_DELIVERY_CHECK_H_
#define TOOLS_BENCH_PROBE_DELIVERY_CHECK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"

namespace millrace::bench {

class DeliveryCheck {
 public:
  // Of all partitions together.
  struct Verdict {
    int64_t acknowledged = 0;
    int64_t read = 0;
    // Acknowledged and not read.
    int64_t lost = 0;
    // Read at another offset than was acknowledged.
    int64_t moved = 0;
    int64_t duplicates = 0;
    // Read after a record that was sent later.
    int64_t out_of_order = 0;
    // Not of this check, or damaged.
    int64_t foreign = 0;
    // The longest time between two acknowledgements of a partition, or any of them.
    double longest_gap_ms = 0;
    double longest_partition_gap_ms = 0;

    bool ok() const {
      return lost == 0 && moved == 0 && duplicates == 0 && out_of_order == 0 && foreign == 0;
    }
  };

  explicit DeliveryCheck(int partitions) : partitions_(static_cast<size_t>(partitions)) {}

  // The value of record `number` of a partition, `size` bytes or a little more.
  static std::string Payload(PartitionIndex partition, int64_t number, size_t size);

  void OnAcknowledged(PartitionIndex partition, int64_t number, Offset offset, MonotonicTime now);
  // In the order of the log.
  void OnRead(PartitionIndex partition, Offset offset, Slice value);

  Verdict Judge() const;

 private:
  struct Partition {
    // By number.
    std::map<int64_t, Offset> acknowledged;
    std::map<int64_t, Offset> read;
    int64_t last_read = -1;
    MonotonicTime last_acknowledged;
  };

  static void Measure(MonotonicTime now, MonotonicTime* last, double* longest_ms);

  std::vector<Partition> partitions_;
  MonotonicTime last_acknowledged_;
  Verdict so_far_;
};

}  // namespace millrace::bench

#endif  // TOOLS_BENCH_PROBE_DELIVERY_CHECK_H_
