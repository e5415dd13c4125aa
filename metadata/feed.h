// Feed: hands committed images, one after the other, to those who act on them.
//
// The owner publishes each committed entry once, in log order; every observer is told on its own
// executor, in that order, with nothing left out. A new observer first gets the current image with
// the whole of it as delta, so that it needs no second way of starting.
//
// Thread: Publish and Subscribe belong to the owner's executor; observers run on theirs.
#ifndef METADATA_FEED_H_
#define METADATA_FEED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/types/span.h"
#include "base/executor.h"
#include "base/ids.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "rsm/record.h"

namespace millrace::metadata {

// An image and how it differs from the one this observer saw before.
struct Update {
  std::shared_ptr<const Image> image;
  std::shared_ptr<const Delta> delta;
};

class Feed {
 public:
  using Observer = std::function<void(const Update&)>;
  using SubscriptionId = StrongId<struct SubscriptionIdTag, uint64_t>;

  // Starts at `image`, for example the one loaded from the store.
  explicit Feed(std::shared_ptr<const Image> image);

  // `observer` is called on `executor`, first with the current image. A null executor calls it
  // directly, on the publisher's.
  SubscriptionId Subscribe(Executor* executor, Observer observer);
  // Updates already posted may still arrive.
  void Unsubscribe(SubscriptionId id);

  // A committed entry: `records` turned the current image into `image`. REQUIRES: its index is
  // above the current one; a lower image is refused by whoever receives it from outside (S-20).
  void Publish(std::shared_ptr<const Image> image, absl::Span<const rsm::Record> records);
  // An image that came whole (from a snapshot). Same REQUIRES.
  void PublishWhole(std::shared_ptr<const Image> image);

  const std::shared_ptr<const Image>& current() const { return image_; }

 private:
  struct Subscription {
    Executor* executor;
    std::shared_ptr<const Observer> observer;
  };

  void Send(const Update& update);
  static void Deliver(const Subscription& subscription, const Update& update);

  std::shared_ptr<const Image> image_;
  std::map<SubscriptionId, Subscription> subscriptions_;
  SubscriptionId next_id_{1};
};

}  // namespace millrace::metadata

#endif  // METADATA_FEED_H_
