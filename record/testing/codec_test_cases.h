// What every codec must do, as test cases for the codec_*_test.cc beside each: only they include
// it.
//
// Thread: any.
#ifndef RECORD_TESTING_CODEC_TEST_CASES_H_
#define RECORD_TESTING_CODEC_TEST_CASES_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/codec.h"

namespace millrace::record {

inline std::string Encoded(Encoder& encoder, Slice input) {
  std::string out(encoder.OutputMax(input.size()), '\0');
  const absl::StatusOr<size_t> size = encoder.Encode(input, out.data(), out.size());
  EXPECT_OK(size);
  out.resize(size.value_or(0));
  return out;
}

inline absl::StatusOr<std::string> Decoded(Decoder& decoder, Slice input,
                                           size_t bytes_max = 64 << 20, size_t first_bytes = 100) {
  BoundedOutput out(bytes_max, first_bytes);
  RETURN_IF_ERROR(decoder.Decode(input, &out));
  ASSIGN_OR_RETURN(const Bytes bytes, std::move(out).Finish());
  return bytes.ToString();
}

// Text that compresses about as records do.
inline std::string Compressible(size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) absl::StrAppend(&text, "record ", i, " of a batch;");
  text.resize(bytes);
  return text;
}

inline std::string Incompressible(size_t bytes) {
  sim::SimRandom random(3);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

inline void ExpectEverySizeComesBack(Encoder& encoder, Decoder& decoder) {
  for (const size_t size : {0, 1, 2, 1000, 32767, 32768, 32769, 65536, 65537, 1000000}) {
    for (const std::string& input : {Compressible(size), Incompressible(size)}) {
      ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(decoder, Encoded(encoder, input)));
      EXPECT_EQ(back, input) << size;
    }
  }
}

// Cut anywhere, it is an error, and the decoder is as good as new afterwards.
inline void ExpectTruncationsFail(Encoder& encoder, Decoder& decoder, size_t legal_prefix = 0) {
  const std::string input = Compressible(3000);
  const std::string whole = Encoded(encoder, input);
  for (size_t size = 0; size < whole.size(); ++size) {
    if (size == legal_prefix && size > 0) continue;
    const std::string cut = whole.substr(0, size);
    EXPECT_THAT(Decoded(decoder, cut), HasCode(ErrorCode::kCorruptMessage)) << size;
  }
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(decoder, whole));
  EXPECT_EQ(back, input);
}

// Damage is an error or other bytes, within the bound, and the decoder is as good as new
// afterwards.
inline void ExpectDamageIsHarmless(Encoder& encoder, Decoder& decoder) {
  sim::SimRandom random(5);
  const std::string input = Compressible(3000);
  const std::string whole = Encoded(encoder, input);
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = whole;
    for (size_t n = 1 + random.Below(3); n > 0; --n) {
      damaged[random.Below(damaged.size())] = static_cast<char>(random.Next());
    }
    const absl::StatusOr<std::string> result = Decoded(decoder, damaged, 10000);
    if (result.ok()) {
      EXPECT_LE(result->size(), 10000u);
    }
  }
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(decoder, whole));
  EXPECT_EQ(back, input);
}

inline void ExpectBoundHoldsExactly(Encoder& encoder, Decoder& decoder) {
  const std::string input(100000, 'x');
  const std::string whole = Encoded(encoder, input);
  EXPECT_OK(Decoded(decoder, whole, input.size()));
  EXPECT_THAT(Decoded(decoder, whole, input.size() - 1), HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(Decoded(decoder, whole, 0), HasCode(ErrorCode::kMessageTooLarge));
}

}  // namespace millrace::record

#endif  // RECORD_TESTING_CODEC_TEST_CASES_H_
