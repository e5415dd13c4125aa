// Writes sample batches of every codec into a directory, for testdata/read_batches.py: the half of
// the interoperability test that is ours. Usage: write_sample_batches DIRECTORY
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "record/batch_view.h"
#include "record/sample_records.h"

namespace millrace::record {
namespace {

void WriteSamples(const std::string& directory) {
  for (const Compression compression : kAllCompressions) {
    // The larger one needs several blocks of snappy and lz4.
    for (const int count : {50, 5000}) {
      const Bytes batch = BuildSampleBatch(count, {.compression = compression,
                                                   .producer_id = ProducerId(77),
                                                   .producer_epoch = ProducerEpoch(5),
                                                   .base_sequence = 123,
                                                   .base_offset = Offset(1000)});
      CHECK(BatchView::Parse(batch)->compression() == compression) << "stored uncompressed";
      const std::string path =
          absl::StrCat(directory, "/", CompressionName(compression), "-", count, ".bin");
      std::ofstream file(path, std::ios::binary);
      file.write(batch.data(), static_cast<std::streamsize>(batch.size()));
      file.close();
      CHECK(file.good()) << path;
    }
  }
}

}  // namespace
}  // namespace millrace::record

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  millrace::record::WriteSamples(argv[1]);
  return 0;
}
