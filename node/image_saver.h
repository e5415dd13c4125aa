// ImageSaver: brings the image store to each committed image, behind the log's back: one batch at a
// time, and what is committed meanwhile joined into the next one.
//
// The store is a cache of the log, and always holds the image at exactly one position of it. A
// batch that cannot be written is not skipped: its changes go with the next one. What still waits
// when this is destroyed is not saved; the next start replays it from the log.
//
// Thread: owner; the store is used on the disk executor only.
#ifndef NODE_IMAGE_SAVER_H_
#define NODE_IMAGE_SAVER_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "base/executor.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/image_store.h"

namespace millrace::node {

class ImageSaver {
 public:
  // The executors outlive this.
  ImageSaver(std::shared_ptr<metadata::ImageStore> store, Executor* owner, Executor* disk);

  // Brings the store to `image` later. REQUIRES: `position` is committed; `delta` begins where the
  // one of the call before ended, the first where the store is.
  void Save(std::shared_ptr<const metadata::Image> image,
            std::shared_ptr<const metadata::Delta> delta, const metadata::LogPosition& position);

 private:
  // From where the store is to `image`.
  struct Step {
    std::shared_ptr<const metadata::Image> image;
    std::shared_ptr<const metadata::Delta> delta;
    metadata::LogPosition position;
  };

  // Both as one.
  static Step Join(const Step& earlier, Step later);
  void Write(Step step);
  void OnWritten(const Step& step, const absl::Status& status);

  const std::shared_ptr<metadata::ImageStore> store_;
  Executor* const owner_;
  Executor* const disk_;
  // On its way to the disk.
  bool writing_ = false;
  // Told once for each time that it begins to fail.
  bool failing_ = false;
  // Comes after what is being written.
  std::optional<Step> waiting_;
  // Held weakly by what comes back from the disk.
  std::shared_ptr<ImageSaver*> alive_;
};

}  // namespace millrace::node

#endif  // NODE_IMAGE_SAVER_H_
