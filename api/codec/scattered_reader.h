// ScatteredReader: a WireReader over a message that lies in pieces, as the network library received
// it, for messages whose large fields are copied once, each into memory of its own.
//
// Accepts exactly what WireReader accepts. Small fields are seen where they lie, unless a piece
// ends within them; those are put together in scratch memory.
//
// Thread: one at a time (a cursor). Format: protobuf's "Encoding" page.
#ifndef API_CODEC_SCATTERED_READER_H_
#define API_CODEC_SCATTERED_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "api/codec/wire_reader.h"
#include "base/bytes.h"

namespace millrace::api {

class ScatteredReader {
 public:
  // A place in the message, from which bytes can be copied later.
  struct Place {
    const Slice* piece = nullptr;
    const char* at = nullptr;
  };

  // The pieces outlive the reader and what it returns.
  explicit ScatteredReader(absl::Span<const Slice> pieces);

  // As WireReader::Next.
  bool Next();
  bool Is(uint32_t number, WireType type) const { return number == number_ && type == type_; }

  uint64_t Varint();
  uint32_t Fixed32();
  // The bytes of the field, valid until the next call of Length or Text.
  Slice Length();
  Slice Text();
  // The bytes of the field as a message of its own, valid as long as the pieces.
  ScatteredReader Message();
  // Steps over a field of type kLength; its bytes begin at `place`. Returns how many they are.
  size_t Locate(Place* place);
  void Skip() { SkipField(number_, type_, 0); }

  int32_t Int32() { return static_cast<int32_t>(Varint()); }
  uint32_t Uint32() { return static_cast<uint32_t>(Varint()); }

  bool ok() const { return ok_; }
  void Fail() {
    ok_ = false;
    left_ = 0;
  }

  // Where the current field's tag began, and the bytes that were left there.
  const Place& field_begin() const { return field_begin_; }
  size_t left_at_field() const { return left_at_field_; }
  // Bytes of the message that were not read yet.
  size_t left() const { return left_; }

 private:
  ScatteredReader(Place place, size_t left) : place_(place), left_(left) {}

  unsigned char Byte();
  bool ReadTag(uint32_t* number, WireType* type);
  // The length before a field of type kLength; no more than what is left.
  size_t ReadLength();
  // Moves on by `bytes`. REQUIRES: bytes <= left().
  void Advance(size_t bytes);
  void SkipField(uint32_t number, WireType type, int depth);

  Place place_;
  size_t left_ = 0;
  Place field_begin_;
  size_t left_at_field_ = 0;
  uint32_t number_ = 0;
  WireType type_ = WireType::kVarint;
  bool ok_ = true;
  // Of fields in which a piece ends.
  std::string scratch_;
};

// Copies `bytes` from `place` on. REQUIRES: the message has as many.
void CopyOut(ScatteredReader::Place place, size_t bytes, char* to);

}  // namespace millrace::api

#endif  // API_CODEC_SCATTERED_READER_H_
