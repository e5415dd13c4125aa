#!/usr/bin/python3
"""Reads batches that our BatchBuilder wrote with python-kafka, and compares every record.

Usage: read_batches.py DIRECTORY, as filled by write_sample_batches. Ends with 1 at a difference.
"""

import glob
import os
import sys

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from sample_records import sample_records

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def expect(name, what, actual, expected):
    if actual != expected:
        sys.exit("%s: %s is %r, expected %r" % (name, what, actual, expected))


def check(path):
    # <codec>-<count>.bin
    name = os.path.basename(path)
    codec, count = name[: -len(".bin")].split("-")
    with open(path, "rb") as file:
        data = file.read()

    batch = DefaultRecordBatch(data)
    expect(name, "crc", batch.validate_crc(), True)
    expect(name, "magic", batch.magic, 2)
    expect(name, "base_offset", batch.base_offset, 1000)
    expect(name, "last_offset_delta", batch.last_offset_delta, int(count) - 1)
    expect(name, "compression", batch.compression_type, CODECS[codec])
    expect(name, "timestamp_type", batch.timestamp_type, 0)
    expect(name, "is_transactional", batch.is_transactional, False)
    expect(name, "is_control_batch", batch.is_control_batch, False)
    expected = list(sample_records(int(count)))
    expect(name, "first_timestamp", batch.first_timestamp, expected[0][1])
    expect(name, "max_timestamp", batch.max_timestamp, max(record[1] for record in expected))
    # Producer id, epoch, base sequence and record count, which have no accessor.
    expect(name, "tail of the header", batch._header_data[9:], (77, 5, 123, int(count)))

    records = list(batch)
    expect(name, "number of records", len(records), int(count))
    for record, (delta, timestamp, key, value, headers) in zip(records, expected):
        where = "%s, record %d" % (name, delta)
        expect(where, "offset", record.offset, 1000 + delta)
        expect(where, "timestamp", record.timestamp, timestamp)
        expect(where, "key", record.key, key)
        expect(where, "value", record.value, value)
        expect(where, "headers", record.headers, headers)

    # As the fetcher of a consumer sees it: two batches in one response.
    memory = MemoryRecords(data + data)
    for _ in range(2):
        expect(name, "records in a response", len(list(memory.next_batch())), int(count))
    expect(name, "end of the response", memory.has_next(), False)


def main():
    paths = sorted(glob.glob(os.path.join(sys.argv[1], "*.bin")))
    expect(sys.argv[1], "number of files", len(paths), 10)
    for path in paths:
        check(path)
    print("python-kafka read %d batches of ours" % len(paths))


if __name__ == "__main__":
    main()
