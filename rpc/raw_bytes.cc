#include "rpc/raw_bytes.h"

#include <cstring>
#include <memory>
#include <utility>

#include "base/status.h"

namespace millrace::rpc {
namespace {

// A slice of this size or less holds its bytes in itself (GRPC_SLICE_INLINED_SIZE).
constexpr size_t kInlineSize = sizeof(void*) * 3 - 1;

void DropReference(void* bytes) { delete static_cast<Bytes*>(bytes); }

grpc::Slice ToSlice(const Bytes& bytes) {
  if (bytes.size() <= kInlineSize) return grpc::Slice(bytes.data(), bytes.size());
  auto* const reference = new Bytes(bytes);
  // gRPC does not write to slices; the API merely lacks the const.
  return grpc::Slice(const_cast<char*>(bytes.data()), bytes.size(), &DropReference, reference);
}

absl::Status DumpError(const grpc::Status& status) {
  return MakeError(
      ErrorCode::kCorruptMessage,
      "the message cannot be unpacked: " + status.error_message() + "; send it uncompressed");
}

}  // namespace

absl::StatusOr<ReceivedMessage> ReceivedMessage::Open(const grpc::ByteBuffer& buffer,
                                                      Reservation reservation) {
  ReceivedMessage message;
  message.reservation_ = std::move(reservation);
  if (const grpc::Status status = buffer.Dump(&message.slices_); !status.ok()) {
    // An empty message may come as an invalid buffer.
    if (!buffer.Valid()) return message;
    return DumpError(status);
  }
  message.pieces_.reserve(message.slices_.size());
  for (const grpc::Slice& slice : message.slices_) {
    message.pieces_.emplace_back(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return message;
}

size_t ReceivedMessage::size() const {
  size_t size = 0;
  for (const Slice& piece : pieces_) size += piece.size();
  return size;
}

Bytes ReceivedMessage::Flatten() && {
  if (pieces_.empty()) return {};
  Buffer block(size(), std::move(reservation_));
  char* to = block.data();
  for (const Slice& piece : pieces_) {
    if (piece.empty()) continue;
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  return std::move(block).Freeze();
}

absl::StatusOr<Bytes> Flatten(const grpc::ByteBuffer& buffer, Reservation reservation) {
  ASSIGN_OR_RETURN(ReceivedMessage message, ReceivedMessage::Open(buffer, std::move(reservation)));
  return std::move(message).Flatten();
}

absl::StatusOr<Bytes> View(const grpc::ByteBuffer& buffer) {
  auto slice = std::make_shared<grpc::Slice>();
  if (!buffer.TrySingleSlice(slice.get()).ok()) return Flatten(buffer);
  const Slice view(reinterpret_cast<const char*>(slice->begin()), slice->size());
  // An inlined slice holds its bytes in itself, so they live as long as the shared one does.
  return Bytes::Share(view, std::move(slice));
}

grpc::ByteBuffer ToByteBuffer(const BytesList& pieces) {
  absl::InlinedVector<grpc::Slice, 4> slices;
  slices.reserve(pieces.size());
  for (const Bytes& piece : pieces) {
    if (!piece.empty()) slices.push_back(ToSlice(piece));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

size_t TotalSize(const BytesList& pieces) {
  size_t size = 0;
  for (const Bytes& piece : pieces) size += piece.size();
  return size;
}

}  // namespace millrace::rpc
