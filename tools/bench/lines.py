"""The lines of "How fast, how big": for each, which figures are compared, and what ratio is asked for.

Every line is a ratio within one run. Throughputs are the best of the run's rounds on both sides, times and
costs the least of them: all sides are treated alike, and noise only ever takes away. Beside it stands the
ratio of the medians, which tells how much the best ones say.
"""

import dataclasses
import operator
from typing import Callable, Optional

AT_LEAST = "at least"
AT_MOST = "at most"
_HOLDS = {AT_LEAST: operator.ge, AT_MOST: operator.le}


class Figures:
    """Reads measurements by best value or by median; remembers what was asked for and not there."""

    def __init__(self, measurements, by_median=False):
        self._measurements = measurements
        self._by_median = by_median
        self.missing = []

    def high(self, name):
        """A figure of which more is better."""
        return self._get(name, self._measurements.most)

    def low(self, name):
        """A figure of which less is better."""
        return self._get(name, self._measurements.least)

    def _get(self, name, best):
        if not self._measurements.has(name):
            self.missing.append(name)
            raise KeyError(name)
        return self._measurements.median(name) if self._by_median else best(name)


@dataclasses.dataclass(frozen=True)
class Demand:
    """One comparison: ours by theirs, at least or at most a limit."""

    against: str
    ratio: Callable[[Figures], float]
    sense: str
    limit: float
    unit: str = "x"
    # Shown beside the others, but neither meets a line nor fails it.
    for_information: bool = False


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table. It is met if any of its demands is."""

    key: str
    text: str
    ours: Callable[[Figures], str]
    demands: tuple


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one demand."""

    demand: Demand
    ratio: Optional[float] = None
    median_ratio: Optional[float] = None
    reason: str = ""

    @property
    def met(self):
        return self.ratio is not None and not self.demand.for_information and _HOLDS[self.demand.sense](self.ratio, self.demand.limit)


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a line."""

    line: Line
    ours: str
    outcomes: tuple

    @property
    def verdict(self):
        if any(outcome.met for outcome in self.outcomes):
            return "met"
        if all(outcome.ratio is None for outcome in self.outcomes if not outcome.demand.for_information):
            return "not measured"
        return "not met"


def judge(line, measurements):
    outcomes = []
    for demand in line.demands:
        best = Figures(measurements)
        try:
            ratio = demand.ratio(best)
            median = demand.ratio(Figures(measurements, by_median=True))
        except KeyError:
            reason = measurements.why_missing(best.missing[0])
            outcomes.append(Outcome(demand, reason=f"`{best.missing[0]}` was not measured: {reason}"))
        except ZeroDivisionError:
            outcomes.append(Outcome(demand, reason="the figure to compare with is 0: too small to measure"))
        else:
            outcomes.append(Outcome(demand, ratio, median))
    try:
        ours = line.ours(Figures(measurements))
    except KeyError:
        ours = "not measured"
    return Result(line, ours, tuple(outcomes))


def judge_all(measurements, chosen=None):
    """Of `chosen` lines; without, of all lines of this file."""
    return [judge(line, measurements) for line in (LINES if chosen is None else chosen)]


# ---- How figures are compared and shown. ----


def _higher(name, other, factor=1.0):
    return lambda f: f.high(name) * factor / f.high(other)


def _lower(name, other):
    return lambda f: f.low(name) / f.low(other)


def _show_high(name, form, scale=1.0):
    return lambda f: form.format(f.high(name) * scale)


def _show_low(name, form, scale=1.0):
    return lambda f: form.format(f.low(name) * scale)


_MIB = 1 << 20
_CACHE = "probe.disk.page_cache_write_bytes_per_s"
_STREAM = "probe.network.grpc_one_way_1m_bytes_per_s"


def _of_slower_probe(name):
    """MiB/s of ours by the lower of the page-cache write and the one-way gRPC stream."""
    return lambda f: f.high(name) * _MIB / min(f.high(_CACHE), f.high(_STREAM))


def _of_stream(name):
    return lambda f: f.high(name) * _MIB / f.high(_STREAM)


def _durable_budget(f):
    return f.low("millrace.one.durable.p50_us") / (
        f.low("millrace.one.replicated.p50_us") + 1.2 * f.low("probe.disk.append.p50_us"))


def _absolute(name):
    return lambda f: f.low(name)


def _lean(ours, theirs, sense, limit):
    """The same against a client that makes no payload: Kafka at the best that its server and protocol can do."""
    ratio = _higher(ours, theirs) if sense == AT_LEAST else _lower(ours, theirs)
    return Demand("a Kafka client that sends one value again and again", ratio, sense, limit, for_information=True)


_RATE = "{:,.0f} records/s"
_SPEED = "{:,.0f} MiB/s"

LINES = [
    Line("produce-100", "Produce 100 B, 6 partitions, acks=all, durable",
         _show_high("millrace.produce.100.records_per_s", _RATE),
         (Demand("Kafka's ProducerPerformance, page cache, records/s",
                 _higher("millrace.produce.100.records_per_s", "kafka.produce.100.records_per_s"), AT_LEAST, 4),
          _lean("millrace.produce.100.records_per_s", "kafka.lean.100.records_per_s", AT_LEAST, 4))),
    Line("produce-1024", "Produce 1 KiB, 6 partitions, acks=all, durable",
         _show_high("millrace.produce.1024.mib_per_s", _SPEED),
         (Demand("Kafka's ProducerPerformance, page cache, MiB/s",
                 _higher("millrace.produce.1024.mib_per_s", "kafka.produce.1024.mib_per_s"), AT_LEAST, 3.5),
          _lean("millrace.produce.1024.mib_per_s", "kafka.lean.1024.mib_per_s", AT_LEAST, 3.5),
          Demand("the lower of page-cache write and one-way gRPC stream",
                 _of_slower_probe("millrace.produce.1024.mib_per_s"), AT_LEAST, 0.7))),
    Line("produce-cpu-100", "Server CPU per GB produced, 100 B",
         _show_low("millrace.produce.100.server_cpu_s_per_gb", "{:.2f} s/GB"),
         (Demand("Kafka's with ProducerPerformance", _lower("millrace.produce.100.server_cpu_s_per_gb",
                                   "kafka.produce.100.server_cpu_s_per_gb"), AT_MOST, 0.25),
          _lean("millrace.produce.100.server_cpu_s_per_gb", "kafka.lean.100.server_cpu_s_per_gb",
                AT_MOST, 0.25))),
    Line("produce-cpu-1024", "Server CPU per GB produced, 1 KiB",
         _show_low("millrace.produce.1024.server_cpu_s_per_gb", "{:.2f} s/GB"),
         (Demand("Kafka's with ProducerPerformance", _lower("millrace.produce.1024.server_cpu_s_per_gb",
                                   "kafka.produce.1024.server_cpu_s_per_gb"), AT_MOST, 0.25),
          _lean("millrace.produce.1024.server_cpu_s_per_gb", "kafka.lean.1024.server_cpu_s_per_gb",
                AT_MOST, 0.25))),
    Line("consume-100", "Consume 100 B from the beginning, 6 partitions",
         _show_high("millrace.consume.100.records_per_s", _RATE),
         (Demand("Kafka's fetch rate",
                 _higher("millrace.consume.100.records_per_s", "kafka.consume.100.records_per_s"), AT_LEAST, 2),
          Demand("the one-way gRPC stream", _of_stream("millrace.consume.100.mib_per_s"), AT_LEAST, 0.6))),
    Line("consume-1024", "Consume 1 KiB from the beginning, 6 partitions",
         _show_high("millrace.consume.1024.mib_per_s", _SPEED),
         (Demand("Kafka's fetch rate",
                 _higher("millrace.consume.1024.mib_per_s", "kafka.consume.1024.mib_per_s"), AT_LEAST, 2),
          Demand("the one-way gRPC stream", _of_stream("millrace.consume.1024.mib_per_s"), AT_LEAST, 0.6))),
    Line("consume-cpu-100", "Server CPU per GB consumed, 100 B",
         _show_low("millrace.consume.100.server_cpu_s_per_gb", "{:.2f} s/GB"),
         (Demand("Kafka's, which has sendfile",
                 _lower("millrace.consume.100.server_cpu_s_per_gb", "kafka.consume.100.server_cpu_s_per_gb"),
                 AT_MOST, 2),)),
    Line("consume-cpu-1024", "Server CPU per GB consumed, 1 KiB",
         _show_low("millrace.consume.1024.server_cpu_s_per_gb", "{:.2f} s/GB"),
         (Demand("Kafka's, which has sendfile",
                 _lower("millrace.consume.1024.server_cpu_s_per_gb", "kafka.consume.1024.server_cpu_s_per_gb"),
                 AT_MOST, 2),)),
    Line("produce-synced", "Produce 1 KiB, 6 partitions, against a Kafka that syncs each batch",
         _show_high("millrace.produce.1024.records_per_s", _RATE),
         (Demand("Kafka's records/s with flush.messages=1",
                 _higher("millrace.produce.1024.records_per_s", "kafka.synced.1024.records_per_s"), AT_LEAST, 10),)),
    Line("partitions-100", "Durable produce of 1 KiB to 100 active partitions",
         lambda f: "1, 6, 100 partitions: " + ", ".join(f"{f.high(name):,.0f}" for name in (
             "millrace.partitions.1.mib_per_s", "millrace.produce.1024.mib_per_s",
             "millrace.partitions.100.mib_per_s")) + " MiB/s",
         (Demand("the same with 6 partitions",
                 _higher("millrace.partitions.100.mib_per_s", "millrace.produce.1024.mib_per_s"), AT_LEAST, 0.7),)),
    Line("one-replicated-echo", "One 1 KiB record in flight, `replicated`, p50",
         _show_low("millrace.one.replicated.p50_us", "{:,.0f} us"),
         (Demand("gRPC stream echo p50", _lower("millrace.one.replicated.p50_us",
                                                "probe.network.grpc_stream.p50_us"), AT_MOST, 2),)),
    Line("one-replicated-nats", "One 1 KiB record in flight, `replicated`, p50",
         _show_low("millrace.one.replicated.p50_us", "{:,.0f} us"),
         (Demand("NATS JetStream's p50", _lower("millrace.one.replicated.p50_us", "nats.one.p50_us"), AT_MOST, 1),)),
    Line("one-durable", "One 1 KiB record in flight, `durable`, p50",
         _show_low("millrace.one.durable.p50_us", "{:,.0f} us"),
         (Demand("the same `replicated`, plus 1.2 of a 4 KiB append and sync", _durable_budget, AT_MOST, 1),)),
    Line("rate-p99", "5,000 records/s of 1 KiB, linger 0, p99 to the acknowledgement, open loop",
         _show_low("millrace.rate.p99_us", "{:,.2f} ms", 1e-3),
         (Demand("Kafka's p99", _lower("millrace.rate.p99_us", "kafka.rate.p99_us"), AT_MOST, 0.3),)),
    Line("e2e-p50", "End to end, 100 B, one at a time, durable, p50",
         _show_low("millrace.e2e.p50_us", "{:,.0f} us"),
         (Demand("Kafka's p50", _lower("millrace.e2e.p50_us", "kafka.e2e.p50_us"), AT_MOST, 0.9),)),
    Line("e2e-p99", "End to end, 100 B, one at a time, durable, p99",
         _show_low("millrace.e2e.p99_us", "{:,.0f} us"),
         (Demand("Kafka's p99", _lower("millrace.e2e.p99_us", "kafka.e2e.p99_us"), AT_MOST, 0.5),)),
    Line("log-append", "Log append of 64 KiB batches, `replicated`",
         _show_high("micro.log_append_replicated.bytes_per_s", _SPEED, 1 / _MIB),
         (Demand("raw page-cache write", _higher("micro.log_append_replicated.bytes_per_s",
                                                 "micro.raw_write.bytes_per_s"), AT_LEAST, 0.7),)),
    Line("log-read", "Sequential read of a log",
         _show_high("micro.log_read.bytes_per_s", _SPEED, 1 / _MIB),
         (Demand("raw read", _higher("micro.log_read.bytes_per_s", "micro.raw_read.bytes_per_s"), AT_LEAST, 0.7),)),
    Line("recovery", "Bytes read at a start after an unclean stop",
         _show_low("millrace.recovery.read_bytes", "{:,.1f} MiB", 1 / _MIB),
         (Demand("the bytes beyond the recovery points, twice, and 3 MiB of other files",
                 _lower("millrace.recovery.read_bytes", "millrace.recovery.allowed_bytes"), AT_MOST, 1),)),
    Line("start-nats", "exec to the first acknowledged record, empty directory, topic creation included",
         _show_low("millrace.start.first_ack_s", "{:,.0f} ms", 1e3),
         (Demand("NATS's time", _lower("millrace.start.first_ack_s", "nats.start.first_ack_s"), AT_MOST, 3),)),
    Line("start-kafka", "exec to the first acknowledged record, empty directory, topic creation included",
         _show_low("millrace.start.first_ack_s", "{:,.0f} ms", 1e3),
         (Demand("Kafka's time", _lower("millrace.start.first_ack_s", "kafka.start.first_ack_s"), AT_MOST, 0.03),)),
    Line("idle-anonymous", "Idle: anonymous memory", _show_low("millrace.idle.anonymous_mib", "{:.1f} MiB"),
         (Demand("MiB", _absolute("millrace.idle.anonymous_mib"), AT_MOST, 12, "MiB"),)),
    Line("idle-rss", "Idle: resident memory", _show_low("millrace.idle.rss_mib", "{:.1f} MiB"),
         (Demand("MiB", _absolute("millrace.idle.rss_mib"), AT_MOST, 40, "MiB"),)),
    Line("idle-threads", "Idle: threads", _show_low("millrace.idle.threads", "{:.0f}"),
         (Demand("threads", _absolute("millrace.idle.threads"), AT_MOST, 24, "threads"),)),
    Line("idle-cpu", "Idle: CPU", _show_low("millrace.idle.cpu_percent", "{:.3f} % of a core"),
         (Demand("% of a core", _absolute("millrace.idle.cpu_percent"), AT_MOST, 0.1, "%"),)),
    Line("binary", "Size of the program, stripped", _show_low("millrace.size.stripped_mib", "{:.2f} MiB"),
         (Demand("MiB", _absolute("millrace.size.stripped_mib"), AT_MOST, 8, "MiB"),)),
    Line("binary-libraries", "Size of the program with all its libraries",
         _show_low("millrace.size.with_libraries_mib", "{:.1f} MiB"),
         (Demand("MiB", _absolute("millrace.size.with_libraries_mib"), AT_MOST, 48, "MiB"),)),
    Line("allocations-produce", "Allocations of the server per record produced (100 B)",
         _show_low("millrace.counted.produce.allocations_per_record", "{:.4f}"),
         (Demand("per record; batches and requests allocate, records may not",
                 _absolute("millrace.counted.produce.allocations_per_record"), AT_MOST, 0.1, ""),)),
    Line("allocations-fetch", "Allocations of the server per record fetched (100 B)",
         _show_low("millrace.counted.consume.allocations_per_record", "{:.4f}"),
         (Demand("per record; batches and requests allocate, records may not",
                 _absolute("millrace.counted.consume.allocations_per_record"), AT_MOST, 0.1, ""),)),
    Line("copies-produce", "Copies of the payload in the server, produced (1 KiB)",
         _show_low("millrace.counted.produce.copies_of_payload", "{:.3f}"),
         (Demand("copies", _absolute("millrace.counted.produce.copies_of_payload"), AT_MOST, 1.01, "copies"),)),
    Line("copies-fetch", "Copies of the payload in the server, fetched (1 KiB)",
         _show_low("millrace.counted.consume.copies_of_payload", "{:.3f}"),
         (Demand("copies", _absolute("millrace.counted.consume.copies_of_payload"), AT_MOST, 1.01, "copies"),)),
]
