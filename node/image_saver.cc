#include "node/image_saver.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace millrace::node {

ImageSaver::ImageSaver(std::shared_ptr<metadata::ImageStore> store, Executor* owner, Executor* disk)
    : store_(std::move(store)),
      owner_(owner),
      disk_(disk),
      alive_(std::make_shared<ImageSaver*>(this)) {}

void ImageSaver::Save(std::shared_ptr<const metadata::Image> image,
                      std::shared_ptr<const metadata::Delta> delta,
                      const metadata::LogPosition& position) {
  CHECK(owner_->IsCurrent());
  Step step{std::move(image), std::move(delta), position};
  if (waiting_.has_value()) step = Join(*std::exchange(waiting_, std::nullopt), std::move(step));
  if (writing_) {
    waiting_ = std::move(step);
  } else {
    Write(std::move(step));
  }
}

ImageSaver::Step ImageSaver::Join(const Step& earlier, Step later) {
  later.delta =
      std::make_shared<const metadata::Delta>(metadata::Joined(*earlier.delta, *later.delta));
  return later;
}

void ImageSaver::Write(Step step) {
  writing_ = true;
  disk_->Post([store = store_, owner = owner_, step = std::move(step),
               alive = std::weak_ptr(alive_)]() mutable {
    absl::Status status = store->Save(*step.image, *step.delta, step.position);
    owner->Post([alive, step = std::move(step), status = std::move(status)] {
      if (const auto self = alive.lock()) (*self)->OnWritten(step, status);
    });
  });
}

void ImageSaver::OnWritten(const Step& step, const absl::Status& status) {
  writing_ = false;
  if (!status.ok()) {
    // The store is only a cache: without it the next start replays more of the log.
    if (!failing_) {
      LOG_WARN("node", "cannot save the metadata image; trying again with the next change",
               {{"error", status.ToString()}});
    }
    failing_ = true;
    // The store stands where it stood; only with these changes may the next be written.
    waiting_ = waiting_.has_value() ? Join(step, *std::move(waiting_)) : step;
    return;
  }
  failing_ = false;
  if (waiting_.has_value()) Write(*std::exchange(waiting_, std::nullopt));
}

}  // namespace millrace::node
