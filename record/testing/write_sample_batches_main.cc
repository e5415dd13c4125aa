// Writes sample batches of every codec to its output, one after another as in a segment, for
// testdata/read_batches.py: the half of the interoperability test that is ours.
#include <cstdio>

#include "base/check.h"
#include "record/batch_view.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

void WriteSamples() {
  for (const Compression compression : kAllCompressions) {
    // The larger one needs several blocks of snappy and lz4.
    for (const int count : {50, 5000}) {
      const Bytes batch = BuildSampleBatch(count, {.compression = compression,
                                                   .producer_id = ProducerId(77),
                                                   .producer_epoch = ProducerEpoch(5),
                                                   .base_sequence = 123,
                                                   .base_offset = Offset(1000)});
      CHECK(BatchView::Parse(batch)->compression() == compression) << "stored uncompressed";
      CHECK_EQ(std::fwrite(batch.data(), 1, batch.size(), stdout), batch.size());
    }
  }
}

}  // namespace
}  // namespace millrace::record

int main() {
  millrace::record::WriteSamples();
  return 0;
}
