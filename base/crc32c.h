// CRC32C (Castagnoli): the checksum of record batches and of every file of ours.
//
// Uses the processor's instruction where it has one (SSE 4.2: three interleaved lanes, recombined
// by multiplication with powers of x), else tables, eight bytes at a time. Which, is decided once,
// at run time. Values are those of RFC 3720, appendix B.4, and of Kafka.
//
// Source: V. Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction"
// (Intel, 2011), for the lanes; S. Sarwate's and Intel's slicing-by-8 for the tables.
//
// Thread: any.
#ifndef BASE_CRC32C_H_
#define BASE_CRC32C_H_

#include <cstdint>

#include "base/bytes.h"

namespace millrace {

// The CRC of what `crc` is the CRC of, followed by `data`. The CRC of nothing is 0.
uint32_t Crc32cExtend(uint32_t crc, Slice data);

inline uint32_t Crc32c(Slice data) { return Crc32cExtend(0, data); }

namespace internal {

// The two ways, for the test that holds them against each other.
uint32_t Crc32cExtendPortable(uint32_t crc, Slice data);
// REQUIRES: Crc32cHasHardware().
uint32_t Crc32cExtendHardware(uint32_t crc, Slice data);
bool Crc32cHasHardware();

}  // namespace internal
}  // namespace millrace

#endif  // BASE_CRC32C_H_
