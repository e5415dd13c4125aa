#include "metadata/follower.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/apply.h"
#include "metadata/image_snapshot.h"
#include "rsm/entry_codec.h"

namespace millrace::metadata {
namespace {

absl::Status Broken(const std::string& what) {
  return MakeError(ErrorCode::kCorruptMessage,
                   absl::StrCat("the metadata stream is not in order: ", what));
}

absl::Status Behind(absl::string_view what, LogIndex index, LogIndex applied) {
  return Broken(
      absl::StrCat(what, " at ", index.value(), ", when ", applied.value(), " is applied already"));
}

}  // namespace

absl::Status Follower::OnImageChunk(LogIndex index, Slice data, bool last) {
  if (!image_.has_value()) {
    if (index < applied()) return Behind("an image", index, applied());
    image_ = PartialImage{.index = index, .bytes = {}};
  }
  if (image_->index != index) {
    return Broken(absl::StrCat("a chunk of the image at ", index.value(), " among those at ",
                               image_->index.value()));
  }
  if (data.size() > image_bytes_max_ - image_->bytes.size()) {
    return Broken(absl::StrCat("the image at ", index.value(), " is larger than ", image_bytes_max_,
                               " bytes"));
  }
  image_->bytes.append(data.data(), data.size());
  if (!last) return absl::OkStatus();
  const PartialImage whole = *std::exchange(image_, std::nullopt);
  return PublishImage(whole);
}

absl::Status Follower::PublishImage(const PartialImage& partial) {
  absl::StatusOr<Image> image = DecodeImageSnapshot(partial.bytes);
  if (!image.ok()) {
    return Annotate(image.status(), absl::StrCat("the metadata image at ", partial.index.value()));
  }
  // What it says of itself counts; the log may have gone on without records.
  if (image->index() < applied()) return Behind("an image", image->index(), applied());
  if (image->index() > partial.index) {
    return Broken(absl::StrCat("an image at ", image->index().value(), " sent as one at ",
                               partial.index.value()));
  }
  const ClusterId ours = this->image().cluster_id();
  if (!ours.is_zero() && image->cluster_id() != ours) {
    return MakeError(
        ErrorCode::kInconsistentClusterId,
        absl::StrCat("the controller sent the metadata of cluster ", image->cluster_id().ToString(),
                     ", this is a node of cluster ", ours.ToString()),
        {.name = "cluster_id", .value = image->cluster_id().ToString()});
  }
  if (image->index() == applied()) return absl::OkStatus();
  feed_->PublishWhole(std::make_shared<const Image>(*std::move(image)));
  return absl::OkStatus();
}

absl::Status Follower::OnEntry(LogIndex index, const Bytes& payload) {
  if (image_.has_value()) {
    return Broken(absl::StrCat("the entry at ", index.value(), " before the end of the image at ",
                               image_->index.value()));
  }
  if (index <= applied()) return Behind("an entry", index, applied());
  const std::string what = absl::StrCat("the metadata entry at ", index.value());
  absl::StatusOr<std::vector<rsm::Record>> records = rsm::DecodeEntry(payload);
  if (!records.ok()) return Annotate(records.status(), what);
  if (absl::Status known = CheckKnown(*records); !known.ok()) return Annotate(known, what);
  feed_->Publish(std::make_shared<const Image>(Apply(image(), index, *records)), *records);
  return absl::OkStatus();
}

}  // namespace millrace::metadata
