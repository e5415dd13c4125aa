// ForeignFixture: batches that clients which are not ours wrote, compiled into the test.
//
// The files are record/testdata/*.bin: python_kafka_*, written by make_fixtures.py there, and
// java_kafka_*, written by JavaKafkaFixtures.java with Kafka's own client. Where the name ends with
// a number, they hold so many records of sample_records.h.
//
// Thread: any.
#ifndef RECORD_TESTING_FOREIGN_FIXTURES_H_
#define RECORD_TESTING_FOREIGN_FIXTURES_H_

#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace millrace::record {

// The contents of the file `name`.bin, for example "java_kafka_lz4_50". Empty if there is none.
Slice ForeignFixture(absl::string_view name);

}  // namespace millrace::record

#endif  // RECORD_TESTING_FOREIGN_FIXTURES_H_
