// ImageStore: the committed image in a KvStore, so that a start need not replay the whole log.
//
// It is a cache of the log and never ahead of commit: only committed entries are written, each with
// the position it brings the store to, in one batch. A start uses it only if that position lies on
// the log's own history (S-36), and otherwise throws it away and replays.
//
// Thread: one owner; calls may block on a disk.
// Format: docs/formats/image_store.md.
#ifndef METADATA_IMAGE_STORE_H_
#define METADATA_IMAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "storage/kv_store.h"

namespace millrace::metadata {

// A place in the log's history: the entry and the log's chained checksum up to it.
struct LogPosition {
  LogIndex index;
  Term term;
  uint64_t hash = 0;

  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

struct StoredImage {
  Image image;
  LogPosition position;
};

class ImageStore {
 public:
  // `store` is borrowed and outlives this. Nobody else writes it.
  explicit ImageStore(storage::KvStore* store) : store_(store) {}

  // Says whether a position lies on the log's history (its index not above the last committed, its
  // term and hash those of the log's own entry).
  using HistoryCheck = std::function<bool(const LogPosition&)>;

  // The stored image, or nothing if there is none, it is of another format, damaged, or not on the
  // history; then the store is cleared, and the caller replays its log from the start (or from its
  // snapshot). Errors: only those of the store itself.
  absl::StatusOr<std::optional<StoredImage>> Load(const HistoryCheck& on_history);

  // Brings the store from the image before `delta` to `image`, at `position`. REQUIRES: the entry
  // is committed; calls follow each other without a gap in `delta.from`, `delta.to`.
  absl::Status Save(const Image& image, const Delta& delta, const LogPosition& position);

  // Replaces all there is by `image`.
  absl::Status SaveWhole(const Image& image, const LogPosition& position);

 private:
  absl::Status DeleteTopic(TopicId id, storage::WriteBatch* batch);
  // Adds a deletion of every key there is that starts with `prefix`.
  absl::Status DeletePrefix(const std::string& prefix, storage::WriteBatch* batch);

  storage::KvStore* store_;
};

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_STORE_H_
