#!/usr/bin/python3
"""Reads batches that our BatchBuilder wrote with python-kafka, and compares every record.

Usage: read_batches.py FILE, as written by write_sample_batches. Ends with 1 at a difference.
"""

import sys

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecords

from sample_records import sample_records

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def expect(name, what, actual, expected):
    if actual != expected:
        sys.exit("%s: %s is %r, expected %r" % (name, what, actual, expected))


def check(data, codec, count):
    name = "%s, %d records" % (codec, count)
    batch = DefaultRecordBatch(data)
    expect(name, "crc", batch.validate_crc(), True)
    expect(name, "magic", batch.magic, 2)
    expect(name, "base_offset", batch.base_offset, 1000)
    expect(name, "last_offset_delta", batch.last_offset_delta, count - 1)
    expect(name, "compression", batch.compression_type, CODECS[codec])
    expect(name, "timestamp_type", batch.timestamp_type, 0)
    expect(name, "is_transactional", batch.is_transactional, False)
    expect(name, "is_control_batch", batch.is_control_batch, False)
    expected = list(sample_records(count))
    expect(name, "first_timestamp", batch.first_timestamp, expected[0][1])
    expect(name, "max_timestamp", batch.max_timestamp, max(record[1] for record in expected))
    # Producer id, epoch, base sequence and record count, which have no accessor.
    expect(name, "tail of the header", batch._header_data[9:], (77, 5, 123, count))

    records = list(batch)
    expect(name, "number of records", len(records), count)
    for record, (delta, timestamp, key, value, headers) in zip(records, expected):
        where = "%s, record %d" % (name, delta)
        expect(where, "offset", record.offset, 1000 + delta)
        expect(where, "timestamp", record.timestamp, timestamp)
        expect(where, "key", record.key, key)
        expect(where, "value", record.value, value)
        expect(where, "headers", record.headers, headers)


def main():
    with open(sys.argv[1], "rb") as file:
        response = file.read()
    # As the fetcher of a consumer takes a response apart.
    batches = MemoryRecords(response)
    sizes = [(codec, count) for codec in CODECS for count in (50, 5000)]
    position = 0
    for codec, count in sizes:
        expect(codec, "has_next", batches.has_next(), True)
        batch = batches.next_batch()
        expect(codec, "records in the response", len(list(batch)), count)
        size = 12 + int.from_bytes(response[position + 8 : position + 12], "big")
        check(response[position : position + size], codec, count)
        position += size
    expect(sys.argv[1], "bytes", position, len(response))
    expect(sys.argv[1], "has_next", batches.has_next(), False)
    print("python-kafka read %d batches of ours" % len(sizes))


if __name__ == "__main__":
    main()
