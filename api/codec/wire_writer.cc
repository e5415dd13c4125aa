#include "api/codec/wire_writer.h"

namespace millrace::api {

Bytes Join(const MessagePieces& pieces) {
  size_t total = 0;
  for (const Bytes& piece : pieces) total += piece.size();
  Buffer joined(total);
  char* at = joined.data();
  for (const Bytes& piece : pieces) {
    if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  return std::move(joined).Freeze();
}

MessagePieces WriteSink::Finish() && {
  // Counting and writing run the same description: they can differ only by a bug of this file.
  CHECK_EQ(static_cast<size_t>(at_ - buffer_.data()), buffer_.size());
  const Bytes own = std::move(buffer_).Freeze();
  MessagePieces pieces;
  size_t from = 0;
  for (Cut& cut : cuts_) {
    if (cut.after > from) pieces.push_back(own.Sub(from, cut.after - from));
    pieces.push_back(std::move(cut.bytes));
    from = cut.after;
  }
  if (own.size() > from) pieces.push_back(own.Sub(from, own.size() - from));
  return pieces;
}

}  // namespace millrace::api
