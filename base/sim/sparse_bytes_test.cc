#include "base/sim/sparse_bytes.h"

#include <string>

#include "base/sim/sim_random.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

std::string All(const SparseBytes& bytes) {
  std::string out(bytes.size(), 'x');
  EXPECT_EQ(bytes.Read(0, absl::MakeSpan(out)), bytes.size());
  return out;
}

TEST(SparseBytesTest, BehavesLikeAString) {
  SimRandom random(1);
  SparseBytes bytes;
  std::string model;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t offset = random.Below(20'000);
    const uint64_t length = random.Below(OneIn(random, 10) ? 10'000 : 100);
    switch (random.Below(4)) {
      case 0: {
        const std::string data(length, static_cast<char>('a' + i % 26));
        bytes.Write(offset, data);
        if (length > 0 && model.size() < offset + length) model.resize(offset + length);
        model.replace(std::min<size_t>(offset, model.size()), length, data);
        break;
      }
      case 1:
        bytes.Zero(offset, length);
        if (length > 0 && model.size() < offset + length) model.resize(offset + length);
        if (length > 0) model.replace(offset, length, std::string(length, '\0'));
        break;
      case 2:
        if (OneIn(random, 5)) {
          bytes.Resize(offset);
          model.resize(offset);
        }
        break;
      default: {
        std::string out(length, 'x');
        const size_t read = bytes.Read(offset, absl::MakeSpan(out));
        const std::string expected =
            offset < model.size() ? model.substr(offset, length) : std::string();
        ASSERT_EQ(out.substr(0, read), expected);
      }
    }
    ASSERT_EQ(bytes.size(), model.size());
  }
  EXPECT_EQ(All(bytes), model);
}

TEST(SparseBytesTest, CopiesDoNotSeeLaterWrites) {
  SparseBytes one;
  one.Write(0, std::string(10'000, 'a'));
  const SparseBytes two = one;
  one.Write(5000, "b");
  one.Resize(6000);
  EXPECT_EQ(All(two), std::string(10'000, 'a'));
}

TEST(SparseBytesTest, WhatWasCutDoesNotComeBack) {
  SparseBytes bytes;
  bytes.Write(0, "abcdef");
  bytes.Resize(2);
  bytes.Resize(6);
  EXPECT_EQ(All(bytes), std::string("ab\0\0\0\0", 6));
}

TEST(SparseBytesTest, SharedPagesAreCopiedOnWrite) {
  SparseBytes one;
  one.Write(0, std::string(8192, 'a'));
  SparseBytes two;
  two.Resize(8192);
  two.SharePage(one, 1);
  one.Write(4096, "b");
  EXPECT_EQ(All(two), std::string(4096, '\0') + std::string(4096, 'a'));
}

TEST(SparseBytesTest, FlipBitChangesOneBit) {
  SparseBytes bytes;
  bytes.Resize(5000);
  bytes.FlipBit(4097 * 8 + 3);
  std::string expected(5000, '\0');
  expected[4097] = 8;
  EXPECT_EQ(All(bytes), expected);
}

}  // namespace
}  // namespace millrace::sim
