// EncodeMessage: writes one protobuf message as a list of pieces: the bytes that are made here, in
// one block of exactly the right size, and between them large fields by reference.
//
// A message is described once, as a function template over a sink. It runs first over a CountSink,
// which learns all lengths, then over a WriteSink. Scalars that equal proto3's default are left
// out, as the generated code does; fields go out in the order in which they are put.
//
// Thread: any (pure functions and stack objects).
#ifndef API_CODEC_WIRE_WRITER_H_
#define API_CODEC_WIRE_WRITER_H_

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "api/codec/wire_reader.h"
#include "base/bytes.h"
#include "base/check.h"

namespace millrace::api {

// One outbound message, as the pieces it is made of, in order: what rpc/ sends without a copy.
using MessagePieces = absl::InlinedVector<Bytes, 4>;

// The pieces as one run of bytes, copied: for tests and for transports that need it so.
Bytes Join(const MessagePieces& pieces);

inline size_t VarintSize(uint64_t value) {
  // Seven bits a byte; 0 takes one byte too.
  return static_cast<size_t>((64 - __builtin_clzll(value | 1) + 6) / 7);
}

// What both sinks offer a message description, in terms of a Sink's Tag, RawVarint, RawFixed32,
// RawBytes, Reference and Nested.
template <class Sink>
class FieldSink {
 public:
  void Varint(uint32_t number, uint64_t value) {
    if (value != 0) PresentVarint(number, value);
  }
  // Sign-extended to 64 bits, as protobuf's int32 and enums are.
  void Int(uint32_t number, int64_t value) { Varint(number, static_cast<uint64_t>(value)); }
  // Fields with presence (`optional`) are written whatever they hold.
  void PresentVarint(uint32_t number, uint64_t value) {
    self().Tag(number, WireType::kVarint);
    self().RawVarint(value);
  }
  void PresentInt(uint32_t number, int64_t value) {
    PresentVarint(number, static_cast<uint64_t>(value));
  }
  void PresentFixed32(uint32_t number, uint32_t value) {
    self().Tag(number, WireType::kFixed32);
    self().RawFixed32(value);
  }
  // Copied into the message.
  void Text(uint32_t number, Slice text) {
    if (!text.empty()) PresentText(number, text);
  }
  void PresentText(uint32_t number, Slice text) {
    self().Tag(number, WireType::kLength);
    self().RawVarint(text.size());
    self().RawBytes(text);
  }
  // One bytes field made of pieces that follow each other, by reference.
  void Pieces(uint32_t number, absl::Span<const Bytes> pieces) {
    size_t total = 0;
    for (const Bytes& piece : pieces) total += piece.size();
    if (total == 0) return;
    self().Tag(number, WireType::kLength);
    self().RawVarint(total);
    for (const Bytes& piece : pieces) self().Reference(piece);
  }
  // Fields that are encoded already, tags included, by reference.
  void Encoded(const Bytes& fields) { self().Reference(fields); }
  // A nested message, described by `describe(auto& sink)`. Written even if it is empty.
  template <class Describe>
  void Message(uint32_t number, const Describe& describe) {
    self().Tag(number, WireType::kLength);
    self().Nested(describe);
  }

 private:
  Sink& self() { return static_cast<Sink&>(*this); }
};

class CountSink : public FieldSink<CountSink> {
 public:
  void Tag(uint32_t number, WireType) { own_ += VarintSize(uint64_t{number} << 3); }
  void RawVarint(uint64_t value) { own_ += VarintSize(value); }
  void RawFixed32(uint32_t) { own_ += 4; }
  void RawBytes(Slice bytes) { own_ += bytes.size(); }
  void Reference(const Bytes& bytes) { referenced_ += bytes.size(); }
  template <class Describe>
  void Nested(const Describe& describe) {
    CountSink inner;
    describe(inner);
    RawVarint(inner.total());
    own_ += inner.own_;
    referenced_ += inner.referenced_;
  }

  // Bytes that are made here; and all bytes.
  size_t own() const { return own_; }
  size_t total() const { return own_ + referenced_; }

 private:
  size_t own_ = 0;
  size_t referenced_ = 0;
};

class WriteSink : public FieldSink<WriteSink> {
 public:
  // `own_bytes`: what a CountSink counted for the same description.
  explicit WriteSink(size_t own_bytes) : buffer_(own_bytes), at_(buffer_.data()) {}

  void Tag(uint32_t number, WireType type) {
    RawVarint(uint64_t{number} << 3 | static_cast<uint64_t>(type));
  }
  void RawVarint(uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<char>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<char>(value);
  }
  void RawFixed32(uint32_t value) {
    for (int i = 0; i < 4; ++i) *at_++ = static_cast<char>(value >> (8 * i));
  }
  void RawBytes(Slice bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void Reference(const Bytes& bytes) {
    if (!bytes.empty()) cuts_.push_back({static_cast<size_t>(at_ - buffer_.data()), bytes});
  }
  template <class Describe>
  void Nested(const Describe& describe) {
    CountSink inner;
    describe(inner);
    RawVarint(inner.total());
    describe(*this);
  }

  // REQUIRES: exactly the counted bytes have been written.
  MessagePieces Finish() &&;

 private:
  // A reference goes out after so many bytes of the buffer.
  struct Cut {
    size_t after;
    Bytes bytes;
  };
  Buffer buffer_;
  char* at_;
  absl::InlinedVector<Cut, 4> cuts_;
};

template <class Describe>
MessagePieces EncodeMessage(const Describe& describe) {
  CountSink count;
  describe(count);
  WriteSink write(count.own());
  describe(write);
  return std::move(write).Finish();
}

}  // namespace millrace::api

#endif  // API_CODEC_WIRE_WRITER_H_
