#include "node/metadata_sender.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace millrace::node {

using internal::v1::BrokerSessionResponse;

std::optional<BrokerSessionResponse> MetadataSender::Next(const metadata::RecentEntries& entries,
                                                          const GetImage& get_image) {
  if (image_ == nullptr && !entries.Covers(sent_)) {
    image_ = get_image();
    image_sent_bytes_ = 0;
  }
  if (image_ != nullptr) return NextChunk();
  const std::vector<metadata::RecentEntries::Entry> next = entries.After(sent_, kMessageBytesMax);
  if (next.empty()) return std::nullopt;
  BrokerSessionResponse response;
  for (const metadata::RecentEntries::Entry& entry : next) {
    internal::v1::MetadataEntry* out = response.mutable_entries()->add_entries();
    out->set_index(entry.index.value());
    out->set_payload(entry.payload.data(), entry.payload.size());
  }
  sent_ = next.back().index;
  return response;
}

BrokerSessionResponse MetadataSender::NextChunk() {
  const size_t size = std::min(kMessageBytesMax, image_->bytes.size() - image_sent_bytes_);
  BrokerSessionResponse response;
  internal::v1::MetadataImageChunk* chunk = response.mutable_image();
  chunk->set_index(image_->index.value());
  chunk->set_data(image_->bytes.data() + image_sent_bytes_, size);
  image_sent_bytes_ += size;
  if (image_sent_bytes_ == image_->bytes.size()) {
    chunk->set_last(true);
    sent_ = image_->index;
    image_ = nullptr;
  }
  return response;
}

}  // namespace millrace::node
