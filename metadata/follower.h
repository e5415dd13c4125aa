// Follower: makes images of what an observer of the metadata log is sent: a whole image in chunks
// when it is far behind, and committed entries after that; and publishes them to a Feed.
//
// It believes nothing that contradicts what it has: an image below the one published is refused
// (S-20), and so are entries out of order, damaged bytes and another cluster's image. A
// record of a feature level that this program does not know is an error that its owner must stop
// for: never a skip, because a skipped fact makes another state.
//
// Not here: the stream itself, and where to get another when this one brought an error (node/).
//
// Thread: the feed's.
// Format: docs/formats/metadata_image.md (chunks together), docs/formats/wal.md (an entry).
#ifndef METADATA_FOLLOWER_H_
#define METADATA_FOLLOWER_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "metadata/feed.h"
#include "metadata/image.h"

namespace millrace::metadata {

class Follower {
 public:
  // `feed` outlives this. `image_bytes_max`: of all chunks of one image together.
  explicit Follower(Feed* feed, size_t image_bytes_max = size_t{1} << 30)
      : feed_(feed), image_bytes_max_(image_bytes_max) {}

  // A new stream: what the one before left unfinished is forgotten. It must go on above applied().
  void BeginStream() { image_.reset(); }

  // The next chunk of the image at `index`; the last one publishes it, unless it is the one at
  // applied(), which changes nothing. Errors: CORRUPT_MESSAGE for chunks of two images mixed, an
  // image that is too large, or one below applied(); CORRUPT_LOG for damage;
  // INCONSISTENT_CLUSTER_ID; UNSUPPORTED_VERSION for a format or feature level of the future. After
  // an error nothing more of this stream may be given.
  absl::Status OnImageChunk(LogIndex index, Slice data, bool last);

  // The next committed entry that has records. Errors: as above; CORRUPT_MESSAGE unless its index
  // is above that of the entry before.
  absl::Status OnEntry(LogIndex index, const Bytes& payload);

  // The index of what was published last. 0: nothing.
  LogIndex applied() const { return feed_->current()->index(); }
  const Image& image() const { return *feed_->current(); }

 private:
  struct PartialImage {
    LogIndex index;
    std::string bytes;
  };

  absl::Status PublishImage(const PartialImage& partial);

  Feed* const feed_;
  const size_t image_bytes_max_;
  // Whose last chunk has not come.
  std::optional<PartialImage> image_;
};

}  // namespace millrace::metadata

#endif  // METADATA_FOLLOWER_H_
