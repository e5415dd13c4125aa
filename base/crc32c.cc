#include "base/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace millrace {
namespace internal {
namespace {

// The polynomial, with its bits in reverse: bit 31 is the coefficient of x^0.
constexpr uint32_t kPolynomial = 0x82f63b78;

using Table = std::array<uint32_t, 256>;

// kTables[k][b]: what byte b, followed by k zero bytes, does to the remainder.
constexpr std::array<Table, 8> MakeTables() {
  std::array<Table, 8> tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t remainder = b;
    for (int bit = 0; bit < 8; ++bit) {
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? kPolynomial : 0);
    }
    tables[0][b] = remainder;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      const uint32_t shorter = tables[k - 1][b];
      tables[k][b] = (shorter >> 8) ^ tables[0][shorter & 0xff];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kTables = MakeTables();

}  // namespace

uint32_t Crc32cExtendPortable(uint32_t crc, Slice data) {
  uint32_t remainder = ~crc;
  const char* at = data.data();
  size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    const uint64_t word = LoadLittle<uint64_t>(at) ^ remainder;
    remainder = 0;
    for (size_t i = 0; i < 8; ++i) remainder ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; ++at, --left) {
    remainder = (remainder >> 8) ^ kTables[0][(remainder ^ static_cast<uint8_t>(*at)) & 0xff];
  }
  return ~remainder;
}

#if defined(__x86_64__)
namespace {

// Lane lengths: long lanes amortise the recombination, short ones serve what is left.
constexpr size_t kLongLane = 4096;
constexpr size_t kShortLane = 256;

// a * b modulo the polynomial, all in reversed bit order.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t mask = 0x80000000; mask != 0; mask >>= 1) {
    if ((a & mask) != 0) product ^= b;
    b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
  }
  return product;
}

// x^(8 * bytes): multiplying a remainder by it appends that many zero bytes.
constexpr uint32_t ZeroBytes(size_t bytes) {
  uint32_t power = 0x80000000;   // x^0.
  uint32_t square = 0x00800000;  // x^8.
  for (; bytes != 0; bytes >>= 1) {
    if ((bytes & 1) != 0) power = Multiply(power, square);
    square = Multiply(square, square);
  }
  return power;
}

// Multiplication by one constant, a byte of the other factor at a time.
struct ShiftTable {
  explicit constexpr ShiftTable(size_t bytes) {
    const uint32_t factor = ZeroBytes(bytes);
    for (size_t k = 0; k < 4; ++k) {
      for (uint32_t b = 0; b < 256; ++b) {
        tables[k][b] = Multiply(factor, b << (8 * k));
      }
    }
  }
  uint32_t operator()(uint32_t remainder) const {
    return tables[0][remainder & 0xff] ^ tables[1][(remainder >> 8) & 0xff] ^
           tables[2][(remainder >> 16) & 0xff] ^ tables[3][remainder >> 24];
  }
  std::array<Table, 4> tables{};
};

// Filled once, at the first use: too much arithmetic for a constant expression.
const ShiftTable& ShiftByLongLane() {
  static const ShiftTable table(kLongLane);
  return table;
}
const ShiftTable& ShiftByShortLane() {
  static const ShiftTable table(kShortLane);
  return table;
}

// Three neighbouring lanes at once: the instruction takes three cycles, but one can begin in each.
__attribute__((target("sse4.2"))) inline uint64_t ThreeLanes(uint64_t crc, const char* at,
                                                             size_t lane, const ShiftTable& shift) {
  uint64_t second = 0;
  uint64_t third = 0;
  for (size_t i = 0; i < lane; i += 8) {
    crc = _mm_crc32_u64(crc, LoadLittle<uint64_t>(at + i));
    second = _mm_crc32_u64(second, LoadLittle<uint64_t>(at + lane + i));
    third = _mm_crc32_u64(third, LoadLittle<uint64_t>(at + 2 * lane + i));
  }
  second ^= shift(static_cast<uint32_t>(crc));
  return third ^ shift(static_cast<uint32_t>(second));
}

}  // namespace

bool Crc32cHasHardware() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) uint32_t Crc32cExtendHardware(uint32_t crc, Slice data) {
  uint64_t remainder = static_cast<uint32_t>(~crc);
  const char* at = data.data();
  size_t left = data.size();
  if (left >= 3 * kLongLane) {
    const ShiftTable& shift = ShiftByLongLane();
    for (; left >= 3 * kLongLane; at += 3 * kLongLane, left -= 3 * kLongLane) {
      remainder = ThreeLanes(remainder, at, kLongLane, shift);
    }
  }
  if (left >= 3 * kShortLane) {
    const ShiftTable& shift = ShiftByShortLane();
    for (; left >= 3 * kShortLane; at += 3 * kShortLane, left -= 3 * kShortLane) {
      remainder = ThreeLanes(remainder, at, kShortLane, shift);
    }
  }
  for (; left >= 8; at += 8, left -= 8) {
    remainder = _mm_crc32_u64(remainder, LoadLittle<uint64_t>(at));
  }
  for (; left > 0; ++at, --left) {
    remainder = _mm_crc32_u8(static_cast<uint32_t>(remainder), static_cast<uint8_t>(*at));
  }
  return ~static_cast<uint32_t>(remainder);
}

#else

bool Crc32cHasHardware() { return false; }
uint32_t Crc32cExtendHardware(uint32_t, Slice) {
  CHECK(false) << "no CRC32C instruction on this kind of processor";
  return 0;
}

#endif

}  // namespace internal

uint32_t Crc32cExtend(uint32_t crc, Slice data) {
  static const bool has_hardware = internal::Crc32cHasHardware();
  return has_hardware ? internal::Crc32cExtendHardware(crc, data)
                      : internal::Crc32cExtendPortable(crc, data);
}

}  // namespace millrace
