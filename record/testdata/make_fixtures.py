#!/usr/bin/python3
"""Writes record batches with python-kafka, as fixtures for record/foreign_batches_test.cc.

Needs Debian's python3-kafka, python3-lz4, python3-snappy and python3-zstandard. The fixtures are
kept in the repository: run this only to add some, since other versions of the codecs compress the
same records to other bytes.
"""

import gzip
import os
import struct
import types

from kafka import codec
from kafka.record import default_records
from kafka.record.default_records import DefaultRecordBatchBuilder

from sample_records import sample_records

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def build(codec_name, count, transactional=False, producer=(-1, -1, -1)):
    producer_id, producer_epoch, base_sequence = producer
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec_name],
        is_transactional=transactional,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        batch_size=1 << 30,
    )
    for offset, timestamp, key, value, headers in sample_records(count):
        if builder.append(offset, timestamp, key, value, headers) is None:
            raise RuntimeError("record %d did not fit" % offset)
    return bytes(builder.build())


def write(name, batch):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "wb") as file:
        file.write(batch)
    print("%6d %s" % (len(batch), name))


def main():
    # gzip's header holds the time of day.
    gzip.time = types.SimpleNamespace(time=lambda: 0)
    for name in CODECS:
        write("python_kafka_%s_50.bin" % name, build(name, 50))
        if name != "none":
            # More than one block of snappy and lz4.
            write("python_kafka_%s_1500.bin" % name, build(name, 1500))
    write("python_kafka_idempotent.bin", build("none", 3, producer=(4711, 3, 2147483646)))
    write("python_kafka_transactional.bin", build("lz4", 50, True, (1 << 40, 32767, 99)))

    # librdkafka's snappy, without xerial's framing.
    framed = default_records.snappy_encode
    default_records.snappy_encode = lambda data: codec.snappy_encode(data, xerial_compatible=False)
    write("python_kafka_raw_snappy_50.bin", build("snappy", 50))
    default_records.snappy_encode = framed

    # What a broker makes of a batch: its offset, its epoch, its time.
    stamped = bytearray(build("none", 5))
    struct.pack_into(">q", stamped, 0, 1 << 33)
    struct.pack_into(">i", stamped, 12, 42)
    attributes = struct.unpack_from(">h", stamped, 21)[0]
    struct.pack_into(">h", stamped, 21, attributes | 8)
    struct.pack_into(">q", stamped, 35, 1800000000000)
    struct.pack_into(">I", stamped, 17, default_records.calc_crc32c(bytes(stamped[21:])))
    write("python_kafka_log_append_time.bin", bytes(stamped))


if __name__ == "__main__":
    main()
