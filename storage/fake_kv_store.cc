#include "storage/fake_kv_store.h"

#include <utility>

#include "absl/strings/match.h"

namespace millrace::storage {

absl::Status FakeKvStore::Write(const WriteBatch& batch) {
  if (!failure_.ok()) return failure_;
  Remember();
  ++writes_;
  for (const WriteBatch::Change& change : batch.changes()) {
    if (change.value.has_value()) {
      content_[change.key] = *change.value;
    } else {
      content_.erase(change.key);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> FakeKvStore::Get(Slice key) const {
  if (!failure_.ok()) return failure_;
  auto it = content_.find(std::string(key));
  if (it == content_.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::Status FakeKvStore::ForEach(Slice prefix, const Visitor& visit) const {
  if (!failure_.ok()) return failure_;
  for (auto it = content_.lower_bound(std::string(prefix));
       it != content_.end() && absl::StartsWith(it->first, prefix); ++it) {
    absl::Status status = visit(it->first, it->second);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status FakeKvStore::Clear() {
  if (!failure_.ok()) return failure_;
  Remember();
  content_.clear();
  return absl::OkStatus();
}

void FakeKvStore::LoseLatest(int batches) {
  while (batches-- > 0 && !earlier_.empty()) {
    content_ = std::move(earlier_.back());
    earlier_.pop_back();
  }
}

void FakeKvStore::Remember() {
  earlier_.push_back(content_);
  if (earlier_.size() > kUndoable) earlier_.pop_front();
}

}  // namespace millrace::storage
