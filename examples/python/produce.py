"""Sends lines of standard input as records, and says where they went.

    generate_stubs.sh stubs && PYTHONPATH=stubs python3 produce.py HOST:PORT TOPIC PARTITION < FILE

A line "key=value" has a key; one without "=" is a value without a key. Nothing but plain gRPC: the server packs
the records into a batch.
"""

import sys

import grpc
from millrace.v1 import errors_pb2, log_service_pb2, log_service_pb2_grpc

# More in one request is more in one batch on disk.
RECORDS_PER_REQUEST = 500
TIMEOUT_S = 30


def record_of(line):
    key, separator, value = line.partition("=")
    if not separator:
        return log_service_pb2.Record(value=line.encode())
    return log_service_pb2.Record(key=key.encode(), value=value.encode())


def produce(log, topic, partition, records):
    """Returns the offset of the first record; they follow each other."""
    request = log_service_pb2.ProduceRequest(
        acks=log_service_pb2.ACKS_ALL,
        client_id="python-example",
        partitions=[log_service_pb2.ProducePartition(topic=topic, partition=partition, records=records)],
    )
    # One partition was asked for, so there is one result. Errors are per partition.
    result = log.Produce(request, timeout=TIMEOUT_S).partitions[0]
    if result.code != errors_pb2.ERROR_CODE_UNSPECIFIED:
        raise RuntimeError(f"{errors_pb2.ErrorCode.Name(result.code)}: {result.message}")
    return result.base_offset


def main(server, topic, partition):
    records = [record_of(line.rstrip("\n")) for line in sys.stdin]
    with grpc.insecure_channel(server) as channel:
        log = log_service_pb2_grpc.LogServiceStub(channel)
        for first in range(0, len(records), RECORDS_PER_REQUEST):
            batch = records[first:first + RECORDS_PER_REQUEST]
            offset = produce(log, topic, int(partition), batch)
            print(f"{len(batch)} records from offset {offset}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: produce.py HOST:PORT TOPIC PARTITION")
    try:
        main(*sys.argv[1:])
    except (grpc.RpcError, RuntimeError) as error:
        sys.exit(f"produce.py: {error.details() if isinstance(error, grpc.RpcError) else error}")
