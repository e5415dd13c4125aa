// Batches for tests of the produce path: good ones, to be damaged by the test.
//
// Thread: any (pure functions).
#ifndef TEST_CLUSTER_BATCHES_H_
#define TEST_CLUSTER_BATCHES_H_

#include <string>
#include <vector>

#include "record/format.h"

namespace millrace::test {

// One batch of records with null keys; timestamps are now.
std::string MakeBatch(const std::vector<std::string>& values,
                      record::Compression compression = record::Compression::kNone);

// Makes the CRC of a batch fit what was changed in it.
void FixCrc(std::string* batch);

}  // namespace millrace::test

#endif  // TEST_CLUSTER_BATCHES_H_
