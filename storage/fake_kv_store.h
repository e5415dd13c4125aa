// FakeKvStore: a KvStore in memory, for tests and the simulator.
//
// It keeps the contract: a batch is applied whole, iteration is in order of bytes. What a crash
// does is up to its owner: LoseLatest takes back the newest batches, as an unsynced store may.
//
// Thread: one owner.
#ifndef STORAGE_FAKE_KV_STORE_H_
#define STORAGE_FAKE_KV_STORE_H_

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/kv_store.h"

namespace millrace::storage {

class FakeKvStore final : public KvStore {
 public:
  absl::Status Write(const WriteBatch& batch) override;
  absl::StatusOr<std::optional<std::string>> Get(Slice key) const override;
  absl::Status ForEach(Slice prefix, const Visitor& visit) const override;
  absl::Status Clear() override;

  // A crash in which the newest `batches` had not reached the disk (Clear counts as one); at most
  // kUndoable of them.
  void LoseLatest(int batches);
  // Every call returns `error` from now on; OK ends it.
  void FailWith(absl::Status error) { failure_ = std::move(error); }

  const std::map<std::string, std::string>& content() const { return content_; }
  // Batches written so far.
  int64_t writes() const { return writes_; }
  // For tests that damage a value.
  std::map<std::string, std::string>* mutable_content() { return &content_; }

 private:
  static constexpr size_t kUndoable = 16;
  void Remember();

  std::map<std::string, std::string> content_;
  // Contents before the newest batches, the oldest first.
  std::deque<std::map<std::string, std::string>> earlier_;
  absl::Status failure_;
  int64_t writes_ = 0;
};

}  // namespace millrace::storage

#endif  // STORAGE_FAKE_KV_STORE_H_
