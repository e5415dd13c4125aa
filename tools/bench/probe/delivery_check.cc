#include "tools/bench/probe/delivery_check.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace millrace::bench {

std::string DeliveryCheck::Payload(PartitionIndex partition, int64_t number, size_t size) {
  std::string value = absl::StrCat(partition.value(), ":", number, ":");
  if (value.size() < size) value.append(size - value.size(), 'x');
  return value;
}

void DeliveryCheck::Measure(MonotonicTime now, MonotonicTime* last, double* longest_ms) {
  if (*last != MonotonicTime()) {
    *longest_ms = std::max(*longest_ms, absl::ToDoubleMilliseconds(now - *last));
  }
  *last = now;
}

void DeliveryCheck::OnAcknowledged(PartitionIndex index, int64_t number, Offset offset,
                                   MonotonicTime now) {
  Partition& partition = partitions_[static_cast<size_t>(index.value())];
  partition.acknowledged[number] = offset;
  Measure(now, &last_acknowledged_, &so_far_.longest_gap_ms);
  Measure(now, &partition.last_acknowledged, &so_far_.longest_partition_gap_ms);
}

void DeliveryCheck::OnRead(PartitionIndex index, Offset offset, Slice value) {
  ++so_far_.read;
  const std::vector<absl::string_view> parts =
      absl::StrSplit(absl::string_view(value.data(), value.size()), absl::MaxSplits(':', 2));
  int32_t said = -1;
  int64_t number = -1;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &said) ||
      !absl::SimpleAtoi(parts[1], &number) || said != index.value() ||
      parts[2].find_first_not_of('x') != absl::string_view::npos) {
    ++so_far_.foreign;
    return;
  }
  Partition& partition = partitions_[static_cast<size_t>(index.value())];
  if (!partition.read.emplace(number, offset).second) {
    ++so_far_.duplicates;
    return;
  }
  if (number < partition.last_read) ++so_far_.out_of_order;
  partition.last_read = std::max(partition.last_read, number);
}

DeliveryCheck::Verdict DeliveryCheck::Judge() const {
  Verdict verdict = so_far_;
  for (const Partition& partition : partitions_) {
    verdict.acknowledged += static_cast<int64_t>(partition.acknowledged.size());
    for (const auto& [number, offset] : partition.acknowledged) {
      const auto read = partition.read.find(number);
      if (read == partition.read.end()) {
        ++verdict.lost;
      } else if (offset != kNoOffset && read->second != offset) {
        // A duplicate that the broker remembers no offset of is acknowledged without one.
        ++verdict.moved;
      }
    }
  }
  return verdict;
}

}  // namespace millrace::bench
