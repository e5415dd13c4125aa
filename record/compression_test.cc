#include "record/compression.h"

#include <limits>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::record {
namespace {

constexpr Compression kCodecs[] = {Compression::kGzip, Compression::kSnappy, Compression::kLz4,
                                   Compression::kZstd};

std::string Compressed(Compressor& compressor, Slice input) {
  std::vector<char> out(compressor.OutputMax(input.size()));
  const absl::StatusOr<size_t> size = compressor.Compress(input, out.data(), out.size());
  EXPECT_OK(size);
  return std::string(out.data(), size.value_or(0));
}

TEST(CompressionTest, OneCompressorAndDecompressorServeManyBatches) {
  Decompressor decompressor;
  for (const Compression codec : kCodecs) {
    Compressor compressor(codec);
    for (int i = 0; i < 5; ++i) {
      const std::string input(1000 * i + 1, static_cast<char>('a' + i));
      ASSERT_OK_AND_ASSIGN(const Bytes back,
                           decompressor.Decompress(codec, Compressed(compressor, input)));
      EXPECT_EQ(back.ToString(), input);
    }
  }
}

// 64 MiB of one byte, by each codec, against a bound of 1 MiB.
TEST(CompressionTest, BombsStopAtTheBound) {
  const std::string bomb(64 << 20, '\0');
  Decompressor decompressor({.bytes_max = 1 << 20});
  for (const Compression codec : kCodecs) {
    Compressor compressor(codec);
    EXPECT_THAT(decompressor.Decompress(codec, Compressed(compressor, bomb)),
                HasCode(ErrorCode::kMessageTooLarge))
        << codec;
  }
}

TEST(CompressionTest, RatioIsBoundedBeyondTheFreeBytes) {
  const std::string constant(1 << 20, '\0');
  Compressor compressor(Compression::kZstd);
  const std::string small = Compressed(compressor, constant);
  ASSERT_LT(small.size(), 200u);
  Decompressor strict({.ratio_max = 1000, .ratio_free_bytes = 1 << 10});
  EXPECT_THAT(strict.Decompress(Compression::kZstd, small), HasCode(ErrorCode::kMessageTooLarge));
  Decompressor lenient({.ratio_max = 1000, .ratio_free_bytes = 1 << 20});
  EXPECT_OK(lenient.Decompress(Compression::kZstd, small));
}

TEST(CompressionTest, OutputMaxIsTheLeastOfItsLimits) {
  const DecompressionLimits limits{.bytes_max = 1000, .ratio_max = 10, .ratio_free_bytes = 50};
  EXPECT_EQ(limits.OutputMax(0), 50u);
  EXPECT_EQ(limits.OutputMax(7), 70u);
  EXPECT_EQ(limits.OutputMax(500), 1000u);
  EXPECT_EQ(limits.OutputMax(std::numeric_limits<size_t>::max()), 1000u);
}

TEST(CompressionTest, UnknownCodecIsAnError) {
  Decompressor decompressor;
  EXPECT_THAT(decompressor.Decompress(static_cast<Compression>(6), "x"),
              HasCode(ErrorCode::kUnsupportedCompressionType));
}

TEST(CompressionTest, LevelsHaveARangePerCodec) {
  EXPECT_OK(CheckCompressionLevel(Compression::kGzip, 9));
  EXPECT_THAT(CheckCompressionLevel(Compression::kGzip, 10), HasCode(ErrorCode::kInvalidConfig));
  EXPECT_OK(CheckCompressionLevel(Compression::kLz4, 12));
  EXPECT_THAT(CheckCompressionLevel(Compression::kLz4, 0), HasCode(ErrorCode::kInvalidConfig));
  EXPECT_OK(CheckCompressionLevel(Compression::kZstd, 22));
  EXPECT_THAT(CheckCompressionLevel(Compression::kZstd, 23),
              IsError(ErrorCode::kInvalidConfig, "1 to 22"));
  EXPECT_THAT(CheckCompressionLevel(Compression::kSnappy, 1),
              IsError(ErrorCode::kInvalidConfig, "no levels"));
}

TEST(CompressionTest, LevelsOutsideTheRangeAreBroughtIntoIt) {
  Compressor extreme(Compression::kGzip, 1000);
  Compressor highest(Compression::kGzip, 9);
  const std::string input = "the same level gives the same bytes";
  EXPECT_EQ(Compressed(extreme, input), Compressed(highest, input));
}

}  // namespace
}  // namespace millrace::record
