// MetadataSender: what one observer of the metadata log is sent next: the committed entries above
// what it has, as long as they are at hand, else the whole image in chunks and then what came
// after. It keeps a position and no queue: an observer that reads slowly costs no memory, and falls
// back to the image when it is too far behind.
//
// Thread: the controller executor.
#ifndef NODE_METADATA_SENDER_H_
#define NODE_METADATA_SENDER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "metadata/recent_entries.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::node {

class MetadataSender {
 public:
  // An image in the layout of docs/formats/metadata_image.md.
  struct EncodedImage {
    LogIndex index;
    std::string bytes;
  };
  // Gives the newest one.
  using GetImage = std::function<std::shared_ptr<const EncodedImage>()>;

  // Of entries, and of a chunk; one entry may be larger.
  static constexpr size_t kMessageBytesMax = size_t{1} << 20;

  // `has`: what the observer has applied already.
  explicit MetadataSender(LogIndex has) : sent_(has) {}

  // The next message, if there is anything to send; it counts as sent.
  std::optional<internal::v1::BrokerSessionResponse> Next(const metadata::RecentEntries& entries,
                                                          const GetImage& get_image);

  // Everything up to here was sent, but for an image under way.
  LogIndex sent() const { return sent_; }

 private:
  internal::v1::BrokerSessionResponse NextChunk();

  LogIndex sent_;
  // Under way, and how much of it has gone.
  std::shared_ptr<const EncodedImage> image_;
  size_t image_sent_bytes_ = 0;
};

}  // namespace millrace::node

#endif  // NODE_METADATA_SENDER_H_
