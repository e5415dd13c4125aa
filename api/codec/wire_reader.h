// WireReader: walks the fields of one encoded protobuf message where they lie.
//
// It is the hot path's own parser: nothing is copied, nothing allocated, and length-delimited
// fields come back as slices of the input. It accepts what the generated parsers accept (unknown
// fields are skipped, the last of a repeated scalar wins, a known field of another wire type is
// unknown).
//
// Errors are sticky: after the first malformed byte Next() is false and ok() is false, so that a
// decoder checks once, at its end.
//
//   WireReader reader(bytes);
//   while (reader.Next()) {
//     if (reader.Is(1, WireType::kVarint)) x = reader.Varint();
//     else if (reader.Is(2, WireType::kLength)) name = reader.Length();
//     else reader.Skip();
//   }
//   if (!reader.ok()) ...
//
// Thread: one at a time (a cursor). Format: protobuf's "Encoding" page.
#ifndef API_CODEC_WIRE_READER_H_
#define API_CODEC_WIRE_READER_H_

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace millrace::api {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kLength = 2,
  kGroupStart = 3,
  kGroupEnd = 4,
  kFixed32 = 5,
};

class WireReader {
 public:
  // `message` outlives the reader and what it returns.
  explicit WireReader(Slice message)
      : begin_(message.data()), at_(begin_), end_(begin_ + message.size()) {}

  // Steps to the next field. False at the end of the message and after an error. After true,
  // exactly one of the readers below (the one of the field's type), or Skip, must be called.
  bool Next();

  bool Is(uint32_t number, WireType type) const { return number == number_ && type == type_; }
  uint32_t number() const { return number_; }

  uint64_t Varint();
  uint32_t Fixed32();
  // The bytes of a string, bytes or message field.
  Slice Length();
  // A string field: like Length, and an error if it is not UTF-8, as proto3 demands.
  Slice Text();
  void Skip() { SkipField(number_, type_, 0); }

  // Conversions of a varint to what its declared type says; too large values are cut off, as the
  // generated parsers do.
  int32_t Int32() { return static_cast<int32_t>(Varint()); }
  int64_t Int64() { return static_cast<int64_t>(Varint()); }
  uint32_t Uint32() { return static_cast<uint32_t>(Varint()); }

  bool ok() const { return ok_; }
  // For decoders that find a value wrong which the wire format allows.
  void Fail() {
    ok_ = false;
    at_ = end_;
  }

  // Where the current field's tag began, and where the next field begins: positions in the message.
  size_t field_begin() const { return field_begin_; }
  size_t position() const { return static_cast<size_t>(at_ - begin_); }

 private:
  void SkipField(uint32_t number, WireType type, int depth);
  // The tag at the cursor.
  bool ReadTag(uint32_t* number, WireType* type);
  uint64_t LongVarint();
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  const char* begin_;
  const char* at_;
  const char* end_;
  size_t field_begin_ = 0;
  uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  bool ok_ = true;
};

// Whether `text` is structurally valid UTF-8 (no surrogates, no overlong forms, up to U+10FFFF).
bool IsUtf8(Slice text);
// `text` with each invalid byte replaced by U+FFFD.
std::string ToUtf8(Slice text);

}  // namespace millrace::api

#endif  // API_CODEC_WIRE_READER_H_
