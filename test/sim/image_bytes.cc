#include "test/sim/image_bytes.h"

#include <optional>
#include <utility>

#include "base/coding.h"
#include "base/status.h"
#include "metadata/image_store.h"
#include "storage/fake_kv_store.h"

namespace millrace::sim {

absl::StatusOr<std::string> EncodeImage(const metadata::Image& image) {
  storage::FakeKvStore store;
  RETURN_IF_ERROR(metadata::ImageStore(&store).SaveWhole(image, {.index = image.index()}));
  std::string bytes;
  for (const auto& [key, value] : store.content()) {
    for (const std::string& part : {key, value}) {
      AppendVarint(part.size(), &bytes);
      bytes += part;
    }
  }
  return bytes;
}

absl::StatusOr<metadata::Image> DecodeImage(absl::string_view bytes) {
  storage::WriteBatch batch;
  Reader reader(bytes);
  while (!reader.empty()) {
    Slice parts[2];
    for (Slice& part : parts) {
      uint64_t size = 0;
      if (!reader.ReadVarint64(&size) || !reader.ReadBytes(size, &part)) {
        return MakeError(ErrorCode::kCorruptLog, "a malformed image");
      }
    }
    batch.Put(parts[0], parts[1]);
  }
  storage::FakeKvStore store;
  RETURN_IF_ERROR(store.Write(batch));
  ASSIGN_OR_RETURN(
      std::optional<metadata::StoredImage> stored,
      metadata::ImageStore(&store).Load([](const metadata::LogPosition&) { return true; }));
  if (!stored.has_value()) return MakeError(ErrorCode::kCorruptLog, "a malformed image");
  return std::move(stored->image);
}

}  // namespace millrace::sim
