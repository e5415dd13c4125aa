#include "metadata/feed.h"

#include <utility>

#include "base/check.h"

namespace millrace::metadata {

Feed::Feed(std::shared_ptr<const Image> image) : image_(std::move(image)) {
  CHECK(image_ != nullptr);
}

Feed::SubscriptionId Feed::Subscribe(Executor* executor, Observer observer) {
  const SubscriptionId id = next_id_;
  ++next_id_;
  Subscription subscription{executor, std::make_shared<const Observer>(std::move(observer))};
  Deliver(subscription, {image_, std::make_shared<const Delta>(DeltaBetween(Image(), *image_))});
  subscriptions_.emplace(id, std::move(subscription));
  return id;
}

void Feed::Unsubscribe(SubscriptionId id) { subscriptions_.erase(id); }

void Feed::Publish(std::shared_ptr<const Image> image, absl::Span<const rsm::Record> records) {
  CHECK_GT(image->index(), image_->index());
  auto delta = std::make_shared<const Delta>(DeltaOf(*image_, *image, records));
  image_ = std::move(image);
  Send({image_, std::move(delta)});
}

void Feed::PublishWhole(std::shared_ptr<const Image> image) {
  CHECK_GT(image->index(), image_->index());
  auto delta = std::make_shared<const Delta>(DeltaBetween(*image_, *image));
  image_ = std::move(image);
  Send({image_, std::move(delta)});
}

void Feed::Send(const Update& update) {
  // An observer called directly may unsubscribe itself or another one.
  const std::map<SubscriptionId, Subscription> subscriptions = subscriptions_;
  for (const auto& [id, subscription] : subscriptions) {
    if (subscriptions_.contains(id)) Deliver(subscription, update);
  }
}

void Feed::Deliver(const Subscription& subscription, const Update& update) {
  if (subscription.executor == nullptr) {
    (*subscription.observer)(update);
    return;
  }
  subscription.executor->Post([observer = subscription.observer, update] { (*observer)(update); });
}

}  // namespace millrace::metadata
