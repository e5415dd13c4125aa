#include "node/quorum_settings_schema.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "raft/host/wal.h"

namespace millrace::node {
namespace {

TEST(QuorumSettingsSchema, DeclaresTheKeysOfTheQuorumItsFoundingAndItsLogAlone) {
  ConfigSchema<NodeSettings> schema;
  DeclareQuorum(&schema);
  EXPECT_GE(schema.keys().size(), 7u);
  for (const ConfigKey& key : schema.keys()) {
    EXPECT_TRUE(key.name.rfind("controller.quorum.", 0) == 0 ||
                key.name.rfind("metadata.log.", 0) == 0 || key.name == "initial.feature.level")
        << key.name;
  }
}

TEST(QuorumSettingsSchema, ASegmentOfTheMetadataLogHoldsItsLargestEntry) {
  ConfigSchema<NodeSettings> schema;
  DeclareQuorum(&schema);
  const raft::WalOptions wal;
  const ConfigKey* const key = schema.Find("metadata.log.segment.bytes");
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->default_value, std::to_string(wal.segment_bytes));
  EXPECT_GE(static_cast<uint64_t>(key->min), wal.entry_bytes_max + (68 << 10));
}

}  // namespace
}  // namespace millrace::node
