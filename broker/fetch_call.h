// FetchCall: one Fetch over any number of partitions: reads them within the byte limits, and if
// that gives less than bytes_min, parks at all of them until there is more, a partition fails, or
// max_wait has passed.
//
// Fair: each call begins one partition later than the one before, so that with limits smaller than
// what there is every partition gets its turn. At least one batch is returned, if there is one,
// even if it is larger than every limit. A failed partition is reported at once, and so is what was
// read when a limit, not the end of the log, kept it below bytes_min. One whose disk does not
// answer is waited for as one without records is, and REQUEST_TIMED_OUT when the call is answered.
//
// Waking: parked with bytes_min/P at each of P partitions, since among them one has that share when
// the sum is there. Then everything is read again: batches are by reference, from the tail.
//
// Keeps itself alive until it has answered. Thread: its gather's edge.
#ifndef BROKER_FETCH_CALL_H_
#define BROKER_FETCH_CALL_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "api/fetch.h"
#include "broker/gather.h"
#include "broker/ongoing_fetch.h"

namespace millrace::broker {

class FetchCall final : public OngoingFetch, public std::enable_shared_from_this<FetchCall> {
 public:
  using Done = absl::AnyInvocable<void(api::FetchResponse) &&>;

  // `rotation`: how many calls the edge has had.
  FetchCall(Gather* gather, api::FetchRequest request, const Caller& caller, uint64_t rotation,
            Done done);

  void Start();
  void Cancel() override;

 private:
  struct Asked {
    // Not OK: answered with that.
    absl::StatusOr<TopicPartition> resolved = absl::UnknownError("");
    size_t bytes_max = 0;
    Offset next_offset;
    // Its disk has not answered in time.
    bool late = false;
  };
  // Consecutive partitions of one shard.
  struct Group {
    std::shared_ptr<Shard> shard;
    std::vector<ShardFetchItem> items;
  };

  void ReadAll();
  void ReadGroup();
  void OnGroup(std::vector<ShardFetchResult> results, FetchBudget budget);
  void AfterPass();
  void Park();
  void OnWake();
  void LeaveParks();
  void Answer();

  Gather* const gather_;
  api::FetchRequest request_;
  const Caller caller_;
  const uint64_t rotation_;
  Done done_;
  MonotonicTime deadline_;
  size_t bytes_max_ = 0;
  int64_t bytes_min_ = 0;
  std::vector<Asked> asked_;
  api::FetchResponse response_;
  // The pass under way.
  std::vector<Group> groups_;
  size_t next_group_ = 0;
  FetchBudget budget_;
  const std::shared_ptr<FetchReader> reader_ = std::make_shared<FetchReader>();
  int64_t bytes_read_ = 0;
  bool any_failed_ = false;
  // Of some partition there is more than the pass could take.
  bool limits_reached_ = false;
  // Parked under this id at these shards.
  static constexpr ParkId kNotParked{0};
  ParkId park_ = kNotParked;
  MonotonicTime parked_since_;
  bool timer_set_ = false;
  std::vector<std::shared_ptr<Shard>> parked_at_;
};

}  // namespace millrace::broker

#endif  // BROKER_FETCH_CALL_H_
