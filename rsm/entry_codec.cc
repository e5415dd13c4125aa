#include "rsm/entry_codec.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::rsm {
namespace {

// The smallest record: two int16, two empty runs. Bounds the count by what is really there.
constexpr size_t kRecordBytesMin = 2 + 2 + 1 + 1;

absl::Status TooLarge(absl::string_view what, size_t value, size_t max) {
  return MakeError(ErrorCode::kEntryTooLarge,
                   absl::StrCat("an atomic change of ", value, " ", what, "; the maximum is ", max,
                                ": split it"),
                   {.name = "entry", .value = absl::StrCat(value)});
}

absl::Status Malformed(const Reader& reader, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("malformed log entry: ", what, " at byte ", reader.position()));
}

// `slice`, a part of `whole`, as Bytes that keep `whole`.
Bytes PartOf(const Bytes& whole, Slice slice) {
  if (slice.empty()) return Bytes();
  return whole.Sub(static_cast<size_t>(slice.data() - whole.data()), slice.size());
}

bool ReadRun(Reader& reader, const Bytes& whole, Bytes* out) {
  uint32_t size = 0;
  Slice slice;
  if (!reader.ReadVarint32(&size) || !reader.ReadBytes(size, &slice)) return false;
  *out = PartOf(whole, slice);
  return true;
}

}  // namespace

absl::StatusOr<Bytes> EncodeEntry(absl::Span<const Record> records) {
  if (records.size() > kEntryRecordsMax) {
    return TooLarge("records", records.size(), kEntryRecordsMax);
  }
  size_t size = 1 + VarintSize(records.size());
  for (const Record& record : records) {
    size += 4 + VarintSize(record.key.size()) + record.key.size() +
            VarintSize(record.payload.size()) + record.payload.size();
  }
  if (size > kEntryBytesMax) return TooLarge("bytes", size, kEntryBytesMax);

  std::string out;
  out.reserve(size);
  out.push_back(static_cast<char>(kEntryCodecVersion));
  AppendVarint(records.size(), &out);
  for (const Record& record : records) {
    AppendLittle<int16_t>(record.type.value(), &out);
    AppendLittle<int16_t>(record.version, &out);
    AppendVarint(record.key.size(), &out);
    out.append(record.key.data(), record.key.size());
    AppendVarint(record.payload.size(), &out);
    out.append(record.payload.data(), record.payload.size());
  }
  return Bytes::FromString(std::move(out));
}

absl::StatusOr<std::vector<Record>> DecodeEntry(const Bytes& payload) {
  if (payload.size() > kEntryBytesMax) return TooLarge("bytes", payload.size(), kEntryBytesMax);
  Reader reader(payload.slice());
  uint8_t version = 0;
  if (!reader.ReadLittle(&version)) return Malformed(reader, "no version");
  if (version != kEntryCodecVersion) {
    return MakeError(
        ErrorCode::kUnsupportedFormatVersion,
        absl::StrCat("log entry of encoding version ", version, "; this program knows version ",
                     kEntryCodecVersion, ": run the newer version"),
        {.name = "version", .value = absl::StrCat(version)});
  }
  uint32_t count = 0;
  if (!reader.ReadVarint32(&count)) return Malformed(reader, "record count");
  if (count > kEntryRecordsMax) return TooLarge("records", count, kEntryRecordsMax);
  if (count > reader.remaining() / kRecordBytesMin) return Malformed(reader, "record count");
  std::vector<Record> records(count);
  for (Record& record : records) {
    int16_t type = 0;
    if (!reader.ReadLittle(&type) || !reader.ReadLittle(&record.version) ||
        !ReadRun(reader, payload, &record.key) || !ReadRun(reader, payload, &record.payload)) {
      return Malformed(reader, "record");
    }
    record.type = RecordType(type);
  }
  if (!reader.empty()) return Malformed(reader, "bytes after the last record");
  return records;
}

}  // namespace millrace::rsm
