"""Prints the first records of a partition from an offset on, and waits for those that are not there yet.

    generate_stubs.sh stubs && PYTHONPATH=stubs python3 consume.py HOST:PORT TOPIC PARTITION OFFSET COUNT

Each fetch is a long poll: the server answers as soon as there is a record, or after a second without one.
"""

import sys

import grpc
from millrace.v1 import errors_pb2, log_service_pb2, log_service_pb2_grpc

WAIT_MS = 1000
TIMEOUT_S = 30


def fetch(log, topic, partition, offset):
    """Returns the records from `offset` on that one answer holds; none if none came in time."""
    request = log_service_pb2.FetchRequest(
        partitions=[log_service_pb2.FetchPartition(topic=topic, partition=partition, offset=offset)],
        max_wait_ms=WAIT_MS,
        format=log_service_pb2.RECORD_FORMAT_RECORDS,
        client_id="python-example",
    )
    result = log.Fetch(request, timeout=TIMEOUT_S).partitions[0]
    if result.code != errors_pb2.ERROR_CODE_UNSPECIFIED:
        raise RuntimeError(f"{errors_pb2.ErrorCode.Name(result.code)}: {result.message}")
    return result.records


def text_of(record, field):
    # A missing key or value is null, which differs from an empty one.
    return getattr(record, field).decode(errors="replace") if record.HasField(field) else "(null)"


def main(server, topic, partition, offset, count):
    offset, left = int(offset), int(count)
    with grpc.insecure_channel(server) as channel:
        log = log_service_pb2_grpc.LogServiceStub(channel)
        while left > 0:
            for record in fetch(log, topic, int(partition), offset)[:left]:
                print(f"{record.offset} {text_of(record, 'key')}: {text_of(record, 'value')}", flush=True)
                # What to ask for next; kept somewhere, it is where a program goes on after a restart.
                offset = record.offset + 1
                left -= 1


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: consume.py HOST:PORT TOPIC PARTITION OFFSET COUNT")
    try:
        main(*sys.argv[1:])
    except (grpc.RpcError, RuntimeError) as error:
        sys.exit(f"consume.py: {error.details() if isinstance(error, grpc.RpcError) else error}")
