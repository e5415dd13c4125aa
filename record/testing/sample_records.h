// The records that both sides of the format tests agree on: testdata/sample_records.py has the same
// rule for python-kafka.
//
// They have all that a record can have: null, empty and full keys and values, zero to three headers
// with null values, timestamps that go back. Only tests may depend on this.
//
// Thread: any (a value).
#ifndef RECORD_TESTING_SAMPLE_RECORDS_H_
#define RECORD_TESTING_SAMPLE_RECORDS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/bytes.h"
#include "record/batch_builder.h"
#include "record/record.h"

namespace millrace::record {

inline constexpr int64_t kSampleTimestampMs = 1700000000000;

// A record with memory of its own.
struct SampleRecord {
  int64_t timestamp_ms = 0;
  absl::optional<std::string> key;
  absl::optional<std::string> value;
  std::vector<std::pair<std::string, absl::optional<std::string>>> headers;

  friend bool operator==(const SampleRecord&, const SampleRecord&) = default;
};

inline absl::optional<std::string> OwnedOrNull(const absl::optional<Slice>& bytes) {
  if (!bytes.has_value()) return absl::nullopt;
  return std::string(*bytes);
}

inline absl::optional<Slice> BorrowedOrNull(const absl::optional<std::string>& bytes) {
  if (!bytes.has_value()) return absl::nullopt;
  return Slice(*bytes);
}

inline SampleRecord Owned(const RecordView& record) {
  SampleRecord owned{.timestamp_ms = record.timestamp_ms,
                     .key = OwnedOrNull(record.key),
                     .value = OwnedOrNull(record.value),
                     .headers = {}};
  for (const Header& header : record.headers) {
    owned.headers.emplace_back(std::string(header.key), OwnedOrNull(header.value));
  }
  return owned;
}

inline SampleRecord MakeSampleRecord(int i) {
  SampleRecord record;
  record.timestamp_ms = kSampleTimestampMs + (i % 10 == 3 ? -1000 - i : i * 7);
  if (i % 5 == 1) record.key = "";
  if (i % 5 >= 2) record.key = absl::StrCat("key-", i);
  if (i % 7 != 3) {
    record.value = "";
    for (int n = 0; n < i % 9; ++n) absl::StrAppend(&*record.value, "value-", i, ";");
  }
  for (int j = 0; j < i % 4; ++j) {
    absl::optional<std::string> value;
    if (j != 1) value = std::string({static_cast<char>(i % 256), static_cast<char>(j), '\0'});
    record.headers.emplace_back(absl::StrCat("header-", j), value);
  }
  return record;
}

inline std::vector<SampleRecord> SampleRecords(int count) {
  std::vector<SampleRecord> records;
  for (int i = 0; i < count; ++i) records.push_back(MakeSampleRecord(i));
  return records;
}

inline void AddSample(const SampleRecord& record, BatchBuilder* builder) {
  std::vector<Header> headers;
  for (const auto& [key, value] : record.headers) {
    headers.push_back(Header{key, BorrowedOrNull(value)});
  }
  builder->Add(record.timestamp_ms, BorrowedOrNull(record.key), BorrowedOrNull(record.value),
               headers);
}

inline Bytes BuildSampleBatch(int count, const BatchBuilder::Options& options = {}) {
  BatchBuilder builder(options);
  for (const SampleRecord& record : SampleRecords(count)) AddSample(record, &builder);
  return builder.Build();
}

}  // namespace millrace::record

#endif  // RECORD_TESTING_SAMPLE_RECORDS_H_
