"""The lines of the cluster's "How fast": for each, which figures are compared, and what is asked for.

As lines.py: everything within one run; of rounds, the best on every side. What befalls a cluster counts each time.
"""

from lines import AT_LEAST, AT_MOST, Demand, Line

_MIB = 1 << 20
_STREAM = "probe.network.grpc_one_way_1m_bytes_per_s"
_ECHO = "probe.network.grpc_stream.p50_us"
_COPIES = 3


def three_copies_bytes_per_s(f):
    """What the machine could do at best for three copies of each byte, if nothing but the bytes were moved.

    A byte crosses three streams (producer to leader, leader to two followers) and is written into three files. The
    probe of the stream has both cores to itself, and so have three writers at once: their times add up."""
    return 1 / (_COPIES / f.high(_STREAM) + _COPIES / f.high("probe.write3.bytes_per_s"))


def catch_up_limit_bytes_per_s(f):
    """One stream into one file: the slower of the two."""
    return min(f.high(_STREAM), f.high("probe.write1.bytes_per_s"))


def _high(ours, theirs):
    return lambda f: f.high(ours) / f.high(theirs)


def _low(ours, theirs):
    return lambda f: f.low(ours) / f.low(theirs)


def _worst(name, scale=1.0):
    return lambda f: f.high(name) * scale


def _least(name):
    return lambda f: f.low(name)


def _show(form, *names, scale=1.0, best=True):
    return lambda f: form.format(*((f.high(name) if best else f.low(name)) * scale for name in names))


def _info(against, ratio, sense, limit, unit="x"):
    return Demand(against, ratio, sense, limit, unit, for_information=True)


def _produce(durability, size, unit, kafka):
    ours = f"millrace.produce.{durability}.{size}.{unit}"
    return Line(f"produce-{durability}-{size}", f"Produce {_size(size)}, 6 partitions, acks=all, `{durability}`",
                _show("{:,.0f} records/s" if unit == "records_per_s" else "{:,.0f} MiB/s", ours),
                (Demand("Kafka's ProducerPerformance, page cache", _high(ours, f"kafka.produce.{size}.{unit}"), AT_LEAST, kafka),
                 _info("a Kafka client that sends one value again and again", _high(ours, f"kafka.lean.{size}.{unit}"),
                       AT_LEAST, kafka)))


def _cpu(size):
    def by(durability):
        return _low(f"millrace.produce.{durability}.{size}.server_cpu_s_per_gb", f"kafka.produce.{size}.server_cpu_s_per_gb")
    return Line(f"cpu-{size}", f"Core seconds per GB over all servers, {_size(size)}, `replicated`",
                _show("{:.2f} s/GB", f"millrace.produce.replicated.{size}.server_cpu_s_per_gb", best=False),
                (Demand("Kafka's with ProducerPerformance", by("replicated"), AT_MOST, 0.15),
                 _info("Kafka's; ours `durable`", by("durable"), AT_MOST, 0.15)))


def _nats(size, limit):
    def by(durability):
        return _high(f"millrace.produce.{durability}.{size}.records_per_s", f"nats.produce.{size}.records_per_s")
    return Line(f"nats-{size}", f"Produce {_size(size)}, `replicated`",
                _show("{:,.0f} records/s", f"millrace.produce.replicated.{size}.records_per_s"),
                (Demand("NATS JetStream R3, page cache, records/s", by("replicated"), AT_LEAST, limit),
                 _info("NATS's; ours `durable`", by("durable"), AT_LEAST, limit)))


def _latency(key, text, group, percentile, limit):
    def by(durability):
        return _low(f"millrace.{group}.{durability}.{percentile}_us", f"kafka.{group}.{percentile}_us")
    return Line(key, text, _show("{:,.2f} ms", f"millrace.{group}.replicated.{percentile}_us", scale=1e-3, best=False),
                (Demand(f"Kafka's {percentile}", by("replicated"), AT_MOST, limit),
                 _info(f"Kafka's {percentile}; ours `durable`", by("durable"), AT_MOST, limit)))


def _size(size):
    return {100: "100 B", 1024: "1 KiB"}[size]


def _durable_budget(f):
    return f.low("millrace.one.durable.p50_us") / (4 * f.low(_ECHO) + f.low("probe.sync3.p50_us"))


def _show_gap(kind):
    return lambda f: (f"p50 {f.low(f'millrace.gap.{kind}.p50_ms'):,.0f}, p99 {f.low(f'millrace.gap.{kind}.p99_ms'):,.0f} ms "
                      f"({f.low(f'millrace.gap.{kind}.runs'):.0f} runs)")


def _gap(kind, percentile):
    return _low(f"millrace.gap.{kind}.{percentile}_ms", f"kafka.gap.{kind}.p50_ms")


LINES = [
    _produce("replicated", 100, "records_per_s", 8),
    _produce("replicated", 1024, "mib_per_s", 4),
    _produce("durable", 100, "records_per_s", 5),
    _produce("durable", 1024, "mib_per_s", 3),
    _cpu(100),
    _cpu(1024),
    Line("three-copies", "Produce 1 KiB, `replicated`", _show("{:,.0f} MiB/s", "millrace.produce.replicated.1024.mib_per_s"),
         (Demand("three copies by the probes: 1 / (3 / one-way gRPC stream + 3 / three writers into the page cache together)",
                 lambda f: f.high("millrace.produce.replicated.1024.mib_per_s") * _MIB / three_copies_bytes_per_s(f),
                 AT_LEAST, 0.5),)),
    _nats(100, 10),
    _nats(1024, 4),
    Line("one-replicated-echo", "One 1 KiB record in flight, `replicated`, p50",
         _show("{:,.0f} us", "millrace.one.replicated.p50_us", best=False),
         (Demand("gRPC stream echo p50", _low("millrace.one.replicated.p50_us", _ECHO), AT_MOST, 4),)),
    Line("one-replicated-nats", "One 1 KiB record in flight, `replicated`, p50",
         _show("{:,.0f} us", "millrace.one.replicated.p50_us", best=False),
         (Demand("NATS JetStream's p50, R3", _low("millrace.one.replicated.p50_us", "nats.one.p50_us"), AT_MOST, 0.8),)),
    Line("one-durable", "One 1 KiB record in flight, `durable`, p50",
         _show("{:,.0f} us", "millrace.one.durable.p50_us", best=False),
         (Demand("four gRPC stream echoes, and 4 KiB synced by three processes at once", _durable_budget, AT_MOST, 1),)),
    _latency("rate-p99", "2,000 records/s of 1 KiB, linger 0, `replicated`, p99 to the acknowledgement, open loop",
             "rate", "p99", 0.2),
    _latency("e2e-p50", "End to end, 100 B, one at a time, `replicated`, p50", "e2e", "p50", 0.8),
    _latency("e2e-p99", "End to end, 100 B, one at a time, `replicated`, p99", "e2e", "p99", 0.5),
    Line("kill-p50", "kill -9 of a leader under load: longest time without an acknowledgement, p50", _show_gap("kill"),
         (Demand("Kafka's p50", _gap("kill", "p50"), AT_MOST, 0.05),)),
    Line("kill-p99", "kill -9 of a leader under load: the same, p99", _show_gap("kill"),
         (Demand("Kafka's p50", _gap("kill", "p99"), AT_MOST, 0.12),)),
    Line("shutdown", "Controlled shutdown of a leader under load: the same, p50", _show_gap("shutdown"),
         (Demand("Kafka's p50", _gap("shutdown", "p50"), AT_MOST, 0.3),)),
    Line("shutdown-failed", "Controlled shutdown: records that failed", _show("{:.0f}", "millrace.gap.shutdown.failed"),
         (Demand("records", _worst("millrace.gap.shutdown.failed"), AT_MOST, 0, ""),)),
    Line("stop", "SIGSTOP of a leader under load: longest time without an acknowledgement, worst run", _show_gap("stop"),
         (Demand("s", _worst("millrace.gap.stop.max_ms", 1e-3), AT_MOST, 4, "s"),
          _info("Kafka's p50, request.timeout.ms=2000", _gap("stop", "max"), AT_MOST, 1))),
    Line("controller-topic", "kill -9 of the active controller: until a topic can be made, worst run",
         _show("{:,.0f} ms", "millrace.controller.max_topic_ms"),
         (Demand("s", _worst("millrace.controller.max_topic_ms", 1e-3), AT_MOST, 0.6, "s"),
          _info("Kafka's p50", _low("millrace.controller.p50_topic_ms", "kafka.next_topic.p50_ms"), AT_MOST, 1))),
    Line("controller-unnoticed", "kill -9 of the active controller: slowest record, sent and read at 500/s, p50",
         _show("{:,.0f} ms; none failed", "millrace.controller.p50_longest_ms", best=False),
         (Demand("the same while nothing is killed, p50",
                 _low("millrace.controller.p50_longest_ms", "millrace.controller.p50_undisturbed_ms"), AT_MOST, 2),)),
    Line("many-taking", "A topic of 1,000 partitions, three replicas: until each has acknowledged a record",
         _show("{:,.2f} s", "millrace.many.taking_s", best=False),
         (Demand("s", _least("millrace.many.taking_s"), AT_MOST, 1, "s"),
          _info("Kafka's time", _low("millrace.many.taking_s", "kafka.many.taking_s"), AT_MOST, 1))),
    Line("many-gone", "The same: from its deletion until it is gone from all disks",
         _show("{:,.2f} s", "millrace.many.gone_s", best=False),
         (Demand("s: five, and file.delete.delay.ms=1000", _least("millrace.many.gone_s"), AT_MOST, 6, "s"),)),
    Line("start", "From starting six empty nodes to the first record acknowledged by all",
         _show("{:,.2f} s", "millrace.start.first_ack_s", best=False),
         (Demand("s", _least("millrace.start.first_ack_s"), AT_MOST, 2, "s"),
          _info("Kafka's time", _low("millrace.start.first_ack_s", "kafka.start.first_ack_s"), AT_MOST, 1),
          _info("NATS's time, three nodes", _low("millrace.start.first_ack_s", "nats.start.first_ack_s"), AT_MOST, 1))),
    Line("idle-cpu", "Idle: CPU of all six nodes", _show("{:.2f} % of a core", "millrace.idle.cpu_percent", best=False),
         (Demand("% of a core", _least("millrace.idle.cpu_percent"), AT_MOST, 2, "%"),
          _info("Kafka's", _low("millrace.idle.cpu_percent", "kafka.idle.cpu_percent"), AT_MOST, 1),
          _info("NATS's, three nodes", _low("millrace.idle.cpu_percent", "nats.idle.cpu_percent"), AT_MOST, 1))),
    Line("idle-rss", "Idle: resident memory of all six nodes", _show("{:.0f} MiB", "millrace.idle.rss_mib", best=False),
         (Demand("MiB", _least("millrace.idle.rss_mib"), AT_MOST, 240, "MiB"),
          _info("Kafka's", _low("millrace.idle.rss_mib", "kafka.idle.rss_mib"), AT_MOST, 1))),
    Line("idle-partitions-cpu", "What 1,000 idle partitions add to the CPU of a broker, the busiest one",
         _show("{:.2f} % of a core", "millrace.idle_partitions.cpu_percent"),
         (Demand("% of a core", _worst("millrace.idle_partitions.cpu_percent"), AT_MOST, 1, "%"),)),
    Line("idle-partitions-rss", "What they add to its memory, the largest one",
         _show("{:.1f} MiB", "millrace.idle_partitions.rss_mib"),
         (Demand("MiB", _worst("millrace.idle_partitions.rss_mib"), AT_MOST, 16, "MiB"),)),
    Line("catch-up", "A follower that was away catches up, no load",
         _show("{:,.0f} MiB/s", "millrace.catch_up.alone.bytes_per_s", scale=1 / _MIB),
         (Demand("the slower of one-way gRPC stream and page-cache write",
                 lambda f: f.high("millrace.catch_up.alone.bytes_per_s") / catch_up_limit_bytes_per_s(f), AT_LEAST, 0.6),)),
    Line("catch-up-loaded", "The same under 2,000 records/s of 1 KiB",
         _show("{:,.0f} MiB/s", "millrace.catch_up.loaded.bytes_per_s", scale=1 / _MIB),
         (Demand("the slower of one-way gRPC stream and page-cache write",
                 lambda f: f.high("millrace.catch_up.loaded.bytes_per_s") / catch_up_limit_bytes_per_s(f), AT_LEAST, 0.15),)),
    Line("catch-up-p99", "The same: p99 of that load",
         _show("{:,.2f} ms", "millrace.catch_up.loaded.during.p99_us", scale=1e-3, best=False),
         (Demand("its p99 before", _low("millrace.catch_up.loaded.during.p99_us", "millrace.catch_up.loaded.before.p99_us"),
                 AT_MOST, 2),)),
    Line("idempotence", "Produce 100 B, `replicated`, with idempotence",
         _show("{:,.0f} records/s", "millrace.idempotence.true.records_per_s"),
         (Demand("the same without", _high("millrace.idempotence.true.records_per_s", "millrace.idempotence.false.records_per_s"),
                 AT_LEAST, 0.97),)),
]
