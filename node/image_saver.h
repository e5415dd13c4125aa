// ImageSaver: brings the image store to what is committed, behind the log's back: one batch at a
// time, a moment after the first change that it holds, and what is committed meanwhile joined into
// it. Nobody waits for it, so a stream of changes costs a few batches a second and not one each.
//
// The store is a cache of the log, and always holds the image at exactly one position of it. A
// batch that cannot be written is not skipped: its changes go with the next one. What still waits
// when this is destroyed is not saved; the next start replays it from the log.
//
// Thread: owner; the store is used on the disk executor only.
#ifndef NODE_IMAGE_SAVER_H_
#define NODE_IMAGE_SAVER_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/image_store.h"

namespace millrace::node {

class ImageSaver {
 public:
  // From a change to the batch it goes with, at most, if no other is being written.
  static constexpr absl::Duration kDelay = absl::Milliseconds(100);

  // The executors and the clock outlive this.
  ImageSaver(std::shared_ptr<metadata::ImageStore> store, const Clock* clock, Executor* owner,
             Executor* disk);

  // Brings the store to `image` later. REQUIRES: `position` is committed; `delta` begins where the
  // one of the call before ended, the first where the store is.
  void Save(std::shared_ptr<const metadata::Image> image, const metadata::Delta& delta,
            const metadata::LogPosition& position);

 private:
  // From where the store is to `image`.
  struct Step {
    std::shared_ptr<const metadata::Image> image;
    metadata::Delta delta;
    metadata::LogPosition position;
  };

  // Adds to what waits.
  void Join(std::shared_ptr<const metadata::Image> image, const metadata::Delta& delta,
            const metadata::LogPosition& position);
  void Write();
  void OnWritten(std::shared_ptr<Step> step, const absl::Status& status);

  const std::shared_ptr<metadata::ImageStore> store_;
  const Clock* const clock_;
  Executor* const owner_;
  Executor* const disk_;
  // On its way to the disk.
  bool writing_ = false;
  // Told once for each time that it begins to fail.
  bool failing_ = false;
  // Comes after what is being written.
  std::shared_ptr<Step> waiting_;
  // When `waiting_` is written.
  DeadlineTimer timer_;
  // Held weakly by what comes back from the disk.
  std::shared_ptr<ImageSaver*> alive_;
};

}  // namespace millrace::node

#endif  // NODE_IMAGE_SAVER_H_
