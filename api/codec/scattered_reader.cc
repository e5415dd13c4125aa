#include "api/codec/scattered_reader.h"

#include <algorithm>
#include <cstring>

namespace millrace::api {
namespace {

// As deep as the generated parsers go.
constexpr int kGroupDepthMax = 100;

size_t LeftInPiece(const ScatteredReader::Place& place) {
  return static_cast<size_t>(place.piece->data() + place.piece->size() - place.at);
}

void ToNextPiece(ScatteredReader::Place* place) {
  ++place->piece;
  place->at = place->piece->data();
}

}  // namespace

void CopyOut(ScatteredReader::Place place, size_t bytes, char* to) {
  while (bytes > 0) {
    const size_t here = std::min(bytes, LeftInPiece(place));
    if (here > 0) std::memcpy(to, place.at, here);
    to += here;
    bytes -= here;
    place.at += here;
    if (bytes > 0) ToNextPiece(&place);
  }
}

ScatteredReader::ScatteredReader(absl::Span<const Slice> pieces) {
  for (const Slice& piece : pieces) left_ += piece.size();
  if (!pieces.empty()) place_ = {pieces.data(), pieces.front().data()};
}

unsigned char ScatteredReader::Byte() {
  while (LeftInPiece(place_) == 0) ToNextPiece(&place_);
  --left_;
  return static_cast<unsigned char>(*place_.at++);
}

void ScatteredReader::Advance(size_t bytes) {
  left_ -= bytes;
  while (bytes > LeftInPiece(place_)) {
    bytes -= LeftInPiece(place_);
    ToNextPiece(&place_);
  }
  place_.at += bytes;
}

bool ScatteredReader::Next() {
  if (left_ == 0) return false;
  field_begin_ = place_;
  left_at_field_ = left_;
  if (!ReadTag(&number_, &type_) || type_ == WireType::kGroupEnd) {
    Fail();
    return false;
  }
  return true;
}

bool ScatteredReader::ReadTag(uint32_t* number, WireType* type) {
  const size_t before = left_;
  const uint32_t tag = static_cast<uint32_t>(Varint());
  if (!ok_ || before - left_ > 5) return false;
  *number = tag >> 3;
  *type = static_cast<WireType>(tag & 7);
  return *number != 0 && (tag & 7) <= 5;
}

uint64_t ScatteredReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70 && left_ != 0; shift += 7) {
    const uint64_t byte = Byte();
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  Fail();
  return 0;
}

uint32_t ScatteredReader::Fixed32() {
  if (left_ < 4) {
    Fail();
    return 0;
  }
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= uint32_t{Byte()} << (8 * i);
  return value;
}

size_t ScatteredReader::ReadLength() {
  const size_t before = left_;
  const uint64_t length = Varint();
  if (!ok_ || before - left_ > 5 || length > left_) {
    Fail();
    return 0;
  }
  return static_cast<size_t>(length);
}

size_t ScatteredReader::Locate(Place* place) {
  const size_t length = ReadLength();
  *place = place_;
  if (ok_) Advance(length);
  return length;
}

Slice ScatteredReader::Length() {
  Place place;
  const size_t length = Locate(&place);
  if (length == 0) return {};
  while (LeftInPiece(place) == 0) ToNextPiece(&place);
  if (length <= LeftInPiece(place)) return {place.at, length};
  scratch_.resize(length);
  CopyOut(place, length, scratch_.data());
  return scratch_;
}

Slice ScatteredReader::Text() {
  const Slice text = Length();
  if (!IsUtf8(text)) Fail();
  return text;
}

ScatteredReader ScatteredReader::Message() {
  Place place;
  const size_t length = Locate(&place);
  return {place, length};
}

void ScatteredReader::SkipField(uint32_t number, WireType type, int depth) {
  Place place;
  switch (type) {
    case WireType::kVarint:
      Varint();
      return;
    case WireType::kFixed64:
      return left_ < 8 ? Fail() : Advance(8);
    case WireType::kFixed32:
      return left_ < 4 ? Fail() : Advance(4);
    case WireType::kLength:
      Locate(&place);
      return;
    case WireType::kGroupEnd:
      return Fail();
    case WireType::kGroupStart:
      break;
  }
  if (depth == kGroupDepthMax) return Fail();
  while (true) {
    uint32_t inner = 0;
    WireType inner_type = WireType::kVarint;
    if (left_ == 0 || !ReadTag(&inner, &inner_type)) return Fail();
    if (inner_type == WireType::kGroupEnd) {
      if (inner != number) Fail();
      return;
    }
    SkipField(inner, inner_type, depth + 1);
    if (!ok_) return;
  }
}

}  // namespace millrace::api
