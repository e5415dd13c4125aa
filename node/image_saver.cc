#include "node/image_saver.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace millrace::node {

ImageSaver::ImageSaver(std::shared_ptr<metadata::ImageStore> store, const Clock* clock,
                       Executor* owner, Executor* disk)
    : store_(std::move(store)),
      clock_(clock),
      owner_(owner),
      disk_(disk),
      timer_(owner, [this] { Write(); }),
      alive_(std::make_shared<ImageSaver*>(this)) {}

void ImageSaver::Save(std::shared_ptr<const metadata::Image> image, const metadata::Delta& delta,
                      const metadata::LogPosition& position) {
  CHECK(owner_->IsCurrent());
  Join(std::move(image), delta, position);
  if (!writing_ && timer_.deadline() == MonotonicTime::Never()) timer_.Set(clock_->Now() + kDelay);
}

void ImageSaver::Join(std::shared_ptr<const metadata::Image> image, const metadata::Delta& delta,
                      const metadata::LogPosition& position) {
  metadata::Delta both =
      waiting_ == nullptr ? delta : metadata::Joined(std::move(waiting_->delta), delta);
  waiting_ = std::make_shared<Step>(Step{std::move(image), std::move(both), position});
}

void ImageSaver::Write() {
  writing_ = true;
  disk_->Post([store = store_, owner = owner_, step = std::exchange(waiting_, nullptr),
               alive = std::weak_ptr(alive_)]() mutable {
    absl::Status status = store->Save(*step->image, step->delta, step->position);
    owner->Post([alive, step = std::move(step), status = std::move(status)]() mutable {
      if (const auto self = alive.lock()) (*self)->OnWritten(std::move(step), status);
    });
  });
}

void ImageSaver::OnWritten(std::shared_ptr<Step> step, const absl::Status& status) {
  writing_ = false;
  if (status.ok()) {
    failing_ = false;
    if (waiting_ != nullptr) timer_.Set(clock_->Now() + kDelay);
    return;
  }
  // The store is only a cache: without it the next start replays more of the log.
  if (!failing_) {
    LOG_WARN("node", "cannot save the metadata image; trying again with the next change",
             {{"error", status.ToString()}});
  }
  failing_ = true;
  // The store stands where it stood; only with these changes may the next be written.
  const std::shared_ptr<Step> later = std::exchange(waiting_, std::move(step));
  if (later != nullptr) Join(later->image, later->delta, later->position);
}

}  // namespace millrace::node
