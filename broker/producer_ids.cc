#include "broker/producer_ids.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

// So many are left when the next block is asked for.
constexpr int64_t kLowMark = 100;

}  // namespace

void ProducerIds::OnRegistered(BrokerEpoch epoch) {
  epoch_ = epoch;
  Ask();
}

void ProducerIds::Take(Done done) {
  if (epoch_ == kNoBrokerEpoch) {
    return std::move(done)(MakeError(ErrorCode::kBrokerNotAvailable,
                                     "this broker is not registered yet and has no producer ids; "
                                     "try again"));
  }
  if (next_ == end_) {
    next_ = std::exchange(reserve_next_, 0);
    end_ = std::exchange(reserve_end_, 0);
  }
  if (next_ == end_) {
    if (waiting_.size() >= kWaitersMax) {
      return std::move(done)(MakeError(
          ErrorCode::kResourceExhausted,
          absl::StrCat(waiting_.size(), " producers wait for an id already; try again later")));
    }
    waiting_.push_back(std::move(done));
    return Ask();
  }
  const ProducerId id(next_++);
  if (end_ - next_ < kLowMark && reserve_next_ == reserve_end_) Ask();
  std::move(done)(id);
}

void ProducerIds::Ask() {
  if (asking_) return;
  asking_ = true;
  internal::v1::AllocateProducerIdsRequest request;
  request.set_broker_id(self_.value());
  request.set_broker_epoch(epoch_.value());
  controller_->AllocateProducerIds(
      std::move(request),
      [this](const absl::StatusOr<internal::v1::AllocateProducerIdsResponse>& block) {
        if (!block.ok()) return OnBlock(block.status(), 0, 0);
        OnBlock(absl::OkStatus(), block->first_producer_id(), block->count());
      });
}

void ProducerIds::OnBlock(const absl::Status& status, int64_t first, int32_t count) {
  asking_ = false;
  if (status.ok()) {
    reserve_next_ = first;
    reserve_end_ = first + count;
  }
  // Those who wait were here before: they are served, or told, once. Their callbacks may ask again.
  std::deque<Done> waiting = std::exchange(waiting_, {});
  for (Done& done : waiting) {
    if (status.ok()) {
      Take(std::move(done));
    } else {
      std::move(done)(status);
    }
  }
}

}  // namespace millrace::broker
