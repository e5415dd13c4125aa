// Entry: the records of one decision while they are gathered, with their size, so that no decision
// is larger than the log takes (S-41).
//
// Thread: one owner.
#ifndef CONTROLLER_ENTRY_H_
#define CONTROLLER_ENTRY_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "metadata/record_types.h"
#include "rsm/record.h"

namespace millrace::controller {

class Entry {
 public:
  // Part of a decision over several resources: stays inside the limits whole or not at all.
  using Part = std::vector<metadata::AnyRecord>;

  // Takes all of `part`, or refuses it with nothing taken. Errors: ENTRY_TOO_LARGE, saying that
  // `what` goes beyond the limit.
  absl::Status Add(const Part& part, absl::string_view what);

  bool empty() const { return records_.empty(); }
  const std::vector<rsm::Record>& records() const { return records_; }
  std::vector<rsm::Record> Take() && { return std::move(records_); }

 private:
  std::vector<rsm::Record> records_;
  size_t bytes_ = 0;
};

// Appends what turns `before` into `after`, if they differ; raises the partition epoch by one. Who
// has no seat any more is none of the impaired ones.
void AddPartitionChange(const TopicPartition& id, const metadata::PartitionImage& before,
                        metadata::PartitionImage after, Entry::Part* part);

}  // namespace millrace::controller

#endif  // CONTROLLER_ENTRY_H_
