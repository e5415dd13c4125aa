#include "api/codec/wire_reader.h"

#include <cstring>

namespace millrace::api {
namespace {

// As deep as the generated parsers go.
constexpr int kGroupDepthMax = 100;

// Length of the valid UTF-8 sequence at the start of `text`; 0 if there is none.
size_t SequenceLength(Slice text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return continues(1) ? 2 : 0;
  if (first < 0xF0) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return 3;
  }
  if (first > 0xF4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (first == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (first == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
  return 4;
}

}  // namespace

bool WireReader::Next() {
  if (at_ == end_) return false;
  field_begin_ = position();
  if (!ReadTag(&number_, &type_) || type_ == WireType::kGroupEnd) {
    Fail();
    return false;
  }
  return true;
}

bool WireReader::ReadTag(uint32_t* number, WireType* type) {
  const char* const start = at_;
  // A tag has at most five bytes; of the fifth the generated parsers drop what exceeds 32 bits.
  const uint32_t tag = static_cast<uint32_t>(Varint());
  if (!ok_ || at_ - start > 5) return false;
  *number = tag >> 3;
  *type = static_cast<WireType>(tag & 7);
  return *number != 0 && (tag & 7) <= 5;
}

uint64_t WireReader::Varint() {
  if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) {
    return static_cast<unsigned char>(*at_++);
  }
  return LongVarint();
}

uint64_t WireReader::LongVarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (at_ == end_) break;
    const uint64_t byte = static_cast<unsigned char>(*at_++);
    // Of the tenth byte only one bit fits; the generated parsers drop the rest.
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  Fail();
  return 0;
}

uint32_t WireReader::Fixed32() {
  if (left() < 4) {
    Fail();
    return 0;
  }
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(at_[i]);
  at_ += 4;
  return value;
}

Slice WireReader::Length() {
  const char* const start = at_;
  const uint64_t length = Varint();
  // As the generated parsers: a length has at most five bytes.
  if (!ok_ || at_ - start > 5 || length > left()) {
    Fail();
    return {};
  }
  const Slice bytes(at_, length);
  at_ += length;
  return bytes;
}

Slice WireReader::Text() {
  const Slice text = Length();
  if (!IsUtf8(text)) Fail();
  return text;
}

void WireReader::SkipField(uint32_t number, WireType type, int depth) {
  switch (type) {
    case WireType::kVarint:
      Varint();
      return;
    case WireType::kFixed64:
      if (left() < 8) return Fail();
      at_ += 8;
      return;
    case WireType::kFixed32:
      if (left() < 4) return Fail();
      at_ += 4;
      return;
    case WireType::kLength:
      Length();
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
    if (at_ == end_ || !ReadTag(&inner, &inner_type)) return Fail();
    if (inner_type == WireType::kGroupEnd) {
      if (inner != number) Fail();
      return;
    }
    SkipField(inner, inner_type, depth + 1);
    if (!ok_) return;
  }
}

bool IsUtf8(Slice text) {
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string ToUtf8(Slice text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (length == 0) {
      out.append("\xEF\xBF\xBD");
      text.remove_prefix(1);
    } else {
      out.append(text.data(), length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace millrace::api
