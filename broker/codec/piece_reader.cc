#include "broker/codec/piece_reader.h"

#include <algorithm>

namespace millrace::broker {

PieceReader::PieceReader(absl::Span<const Slice> pieces) : piece_(pieces.data()) {
  for (const Slice piece : pieces) left_ += piece.size();
}

template <class Take>
void PieceReader::Advance(size_t size, Take take) {
  left_ -= size;
  position_ += size;
  while (size > 0) {
    const size_t run = std::min(size, piece_->size() - used_);
    if (run > 0) take(piece_->data() + used_, run);  // An empty piece may be no memory at all.
    used_ += run;
    size -= run;
    if (used_ == piece_->size() && left_ + size > 0) {
      ++piece_;
      used_ = 0;
    }
  }
}

bool PieceReader::ReadVarint32(uint32_t* out) {
  uint64_t value = 0;
  for (size_t i = 0; i < kVarint32SizeMax; ++i) {
    uint8_t byte = 0;
    if (!ReadLittle(&byte)) return false;
    value |= uint64_t{byte & 0x7fU} << (7 * i);
    if (byte < 0x80) {
      if (value > 0xffffffffU) return false;
      *out = static_cast<uint32_t>(value);
      return true;
    }
  }
  return false;
}

bool PieceReader::ReadInto(char* to, size_t size) {
  if (size > left_) return false;
  Advance(size, [&to](const char* from, size_t run) {
    std::memcpy(to, from, run);
    to += run;
  });
  return true;
}

bool PieceReader::Skip(size_t size) {
  if (size > left_) return false;
  Advance(size, [](const char*, size_t) {});
  return true;
}

bool PieceReader::Split(size_t size, PieceReader* out) {
  if (size > left_) return false;
  *out = *this;
  out->left_ = size;
  return Skip(size);
}

}  // namespace millrace::broker
