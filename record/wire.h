// The two number encodings of a record batch: big-endian integers in its header, zig-zag varints in
// its records.
//
// Varints are those of Protocol Buffers' sint32 and sint64: seven bits per byte, low bits first,
// and the sign in the lowest bit. Readers never pass `end` and refuse numbers that do not fit.
//
// Thread: any (pure functions).
#ifndef RECORD_WIRE_H_
#define RECORD_WIRE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace millrace::record {

static_assert(std::endian::native == std::endian::little, "byte order of the host is assumed");

// The same bits with their bytes in reverse.
template <class T>
T ReverseBytes(T value) {
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(value));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(value));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(value));
  static_assert(sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
}

// Reads a T (16, 32 or 64 bits) at `from`, which need not be aligned.
template <class T>
T LoadBigEndian(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return ReverseBytes(value);
}

// Writes a T at `to`; the type must be named, since the layout depends on it.
template <class T>
void StoreBigEndian(char* to, std::type_identity_t<T> value) {
  const T reversed = ReverseBytes<T>(value);
  std::memcpy(to, &reversed, sizeof(T));
}

// Most bytes that a varint of 32 and of 64 bits takes.
inline constexpr size_t kVarint32BytesMax = 5;
inline constexpr size_t kVarint64BytesMax = 10;

// 0, -1, 1, -2 ... become 0, 1, 2, 3 ...
inline constexpr uint64_t ZigZag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
inline constexpr int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>((value >> 1) ^ (0 - (value & 1)));
}

// How many bytes `value` takes as a varint; the same for 32 and 64 bits.
inline constexpr size_t VarintBytes(int64_t value) {
  const int bits = std::bit_width(ZigZag(value) | 1);
  return static_cast<size_t>(bits + 6) / 7;
}

// Writes `value` at `to` and returns the position after it. REQUIRES: room for VarintBytes(value).
inline char* PutVarint(char* to, int64_t value) {
  uint64_t rest = ZigZag(value);
  while (rest >= 0x80) {
    *to++ = static_cast<char>(rest | 0x80);
    rest >>= 7;
  }
  *to++ = static_cast<char>(rest);
  return to;
}

// Reads a varint of 64 bits from [from, end) and returns the position after it; nullptr if it is
// cut off or does not fit.
inline const char* GetVarint64(const char* from, const char* end, int64_t* value) {
  uint64_t raw = 0;
  for (int shift = 0; shift < 70 && from < end; shift += 7) {
    const uint64_t byte = static_cast<unsigned char>(*from++);
    // The tenth byte has room for one bit.
    if (shift == 63 && byte > 1) return nullptr;
    raw |= (byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = UnZigZag(raw);
      return from;
    }
  }
  return nullptr;
}

// Likewise for 32 bits.
inline const char* GetVarint32(const char* from, const char* end, int32_t* value) {
  uint64_t raw = 0;
  for (int shift = 0; shift < 35 && from < end; shift += 7) {
    const uint64_t byte = static_cast<unsigned char>(*from++);
    // The fifth byte has room for four bits.
    if (shift == 28 && byte > 0x0F) return nullptr;
    raw |= (byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = static_cast<int32_t>(UnZigZag(raw));
      return from;
    }
  }
  return nullptr;
}

}  // namespace millrace::record

#endif  // RECORD_WIRE_H_
