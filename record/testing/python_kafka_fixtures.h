// PythonKafkaFixture: batches that a client which is not ours wrote, compiled into the test.
//
// The files are record/testdata/python_kafka_NAME.bin, written by make_fixtures.py there, and hold
// the records of sample_records.h.
//
// Thread: any.
#ifndef RECORD_TESTING_PYTHON_KAFKA_FIXTURES_H_
#define RECORD_TESTING_PYTHON_KAFKA_FIXTURES_H_

#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace millrace::record {

// For example "lz4_50": the codec and the number of records. Empty if there is no such file.
Slice PythonKafkaFixture(absl::string_view name);

}  // namespace millrace::record

#endif  // RECORD_TESTING_PYTHON_KAFKA_FIXTURES_H_
