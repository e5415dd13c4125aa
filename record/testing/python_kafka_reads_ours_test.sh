#!/bin/sh
# python-kafka, a client that is not ours, reads batches that our builder wrote.
# Usage: python_kafka_reads_ours_test.sh WRITER READER
set -eu
"$1" > "$TEST_TMPDIR/batches"
# Debian's interpreter, by its path: python3-kafka is one of its packages.
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$2" "$TEST_TMPDIR/batches"
