"""The records that both sides of the format tests agree on.

record/testing/sample_records.h has the same rule in C++; a change here is a change there.
"""

BASE_TIMESTAMP_MS = 1700000000000


def sample_records(count):
    """Yields (offset delta, timestamp, key, value, headers) of each record."""
    for i in range(count):
        # Timestamps need not rise: every tenth lies before the first.
        timestamp = BASE_TIMESTAMP_MS + (-1000 - i if i % 10 == 3 else i * 7)
        key = [None, b"", b"key-%d" % i][min(i % 5, 2)]
        value = None if i % 7 == 3 else b"value-%d;" % i * (i % 9)
        headers = [
            ("header-%d" % j, None if j == 1 else bytes([i % 256, j, 0])) for j in range(i % 4)
        ]
        yield i, timestamp, key, value, headers
