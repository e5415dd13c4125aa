#include "controller/entry.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/limits.h"
#include "metadata/image_records.h"

namespace millrace::controller {

namespace {

// Type, version, and two lengths around each payload.
constexpr size_t kRecordOverhead = 16;

}  // namespace

absl::Status Entry::Add(const Part& part, absl::string_view what) {
  std::vector<rsm::Record> encoded;
  encoded.reserve(part.size());
  size_t bytes = 0;
  for (const metadata::AnyRecord& record : part) {
    encoded.push_back(metadata::Encode(record));
    bytes += encoded.back().payload.size() + kRecordOverhead;
  }
  if (bytes_ + bytes > kDecisionBytesMax ||
      records_.size() + encoded.size() > kDecisionRecordsMax) {
    return MakeError(ErrorCode::kEntryTooLarge,
                     absl::StrCat(what, ": the change takes ", bytes, " bytes in ", encoded.size(),
                                  " records beside ", bytes_,
                                  " bytes of the same request; one decision may "
                                  "have ",
                                  kDecisionBytesMax, " bytes and ", kDecisionRecordsMax,
                                  " records: ask for less at once"),
                     {.name = std::string(what), .value = absl::StrCat(bytes)});
  }
  bytes_ += bytes;
  records_.insert(records_.end(), std::make_move_iterator(encoded.begin()),
                  std::make_move_iterator(encoded.end()));
  return absl::OkStatus();
}

void AddPartitionChange(const TopicPartition& id, const metadata::PartitionImage& before,
                        metadata::PartitionImage after, Entry::Part* part) {
  const auto has_no_seat = [&](NodeId broker) {
    return !after.InIsr(broker) && !after.InElr(broker);
  };
  after.impaired.erase(std::remove_if(after.impaired.begin(), after.impaired.end(), has_no_seat),
                       after.impaired.end());
  if (after == before) return;
  ++after.partition_epoch;
  part->emplace_back(metadata::PartitionChangeOf(id, before, after));
}

}  // namespace millrace::controller
