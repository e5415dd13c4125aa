"""The lines of the quorum's "How fast": for each, which figures are compared, and what is asked for.

As lines.py: everything within one run; of rounds, the best on every side. Percentiles over runs count all of them.
"""

from lines import AT_LEAST, AT_MOST, Demand, Line


def percentile(values, fraction):
    """Of all values; the next higher one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def add_percentiles(into, name):
    """`name`.p50 and .p99 and .runs of all values of `name`, which were measured one by one."""
    values = into.values(name)
    if not values:
        return
    base = name.rsplit(".", 1)
    into.add(f"{base[0]}.p50_{base[1]}", percentile(values, 0.5))
    into.add(f"{base[0]}.p99_{base[1]}", percentile(values, 0.99))
    into.add(f"{base[0]}.max_{base[1]}", max(values))
    into.add(f"{base[0]}.runs", len(values))


def _change_budget(f):
    """The least that a change can cost: in and out by a unary call, to a follower and back, and a sync."""
    allowed = (f.low("probe.network.grpc_unary.p50_us") + 2 * f.low("probe.network.grpc_stream.p50_us")
               + f.low("probe.sync3.p50_us"))
    return f.low("millrace.changes.1.p50_us") / allowed


def _absolute(name, scale=1.0):
    return lambda f: f.low(name) * scale


def _worst(name):
    """The highest of several values, of which each is one: nodes, or runs."""
    return lambda f: f.high(name)


LINES = [
    Line("change-etcd", "One small change, one client, p50", lambda f: f"{f.low('millrace.changes.1.p50_us'):,.0f} us",
         (Demand("etcd's put", lambda f: f.low("millrace.changes.1.p50_us") / f.low("etcd.changes.1.p50_us"),
                 AT_MOST, 1),)),
    Line("change-budget", "One small change, one client, p50",
         lambda f: f"{f.low('millrace.changes.1.p50_us'):,.0f} us",
         (Demand("one gRPC unary echo, two stream echoes, and three processes syncing one disk", _change_budget,
                 AT_MOST, 1),)),
    Line("changes-64", "Small changes, 64 clients", lambda f: f"{f.high('millrace.changes.64.per_s'):,.0f} /s",
         (Demand("etcd's puts/s", lambda f: f.high("millrace.changes.64.per_s") / f.high("etcd.changes.64.per_s"),
                 AT_LEAST, 1.5),)),
    Line("killed", "Leader killed (SIGKILL): next commit, p99 over all runs",
         lambda f: f"p50 {f.low('millrace.killed.p50_ms'):.0f}, p99 {f.low('millrace.killed.p99_ms'):.0f} ms "
                   f"({f.low('millrace.killed.runs'):.0f} runs)",
         (Demand("ms", _absolute("millrace.killed.p99_ms"), AT_MOST, 500, "ms"),)),
    Line("stopped", "Leader stopped (SIGSTOP): next commit, worst run",
         lambda f: f"p50 {f.low('millrace.stopped.p50_ms'):.0f}, max {f.low('millrace.stopped.max_ms'):.0f} ms "
                   f"({f.low('millrace.stopped.runs'):.0f} runs)",
         (Demand("ms", _absolute("millrace.stopped.max_ms"), AT_MOST, 1500, "ms"),)),
    Line("rejoin", "Elections when a killed or stopped leader comes back",
         lambda f: f"at most {f.high('millrace.rejoin.elections'):.0f} in a run",
         (Demand("elections", _worst("millrace.rejoin.elections"), AT_MOST, 0, ""),)),
    Line("flapping", "Elections while a follower is killed, comes back, and is paused, five times",
         lambda f: f"{f.high('millrace.flapping.elections'):.0f}",
         (Demand("elections", _worst("millrace.flapping.elections"), AT_MOST, 0, ""),)),
    Line("topics", "10 topics of 1,000 partitions, three replicas, metadata only",
         lambda f: f"{f.high('millrace.topics.partitions_per_s'):,.0f} partitions/s",
         (Demand("partitions/s", lambda f: f.high("millrace.topics.partitions_per_s"), AT_LEAST, 5000, ""),)),
    Line("image-load", "Image of 100,000 partitions: load",
         lambda f: f"{f.low('micro.image_snapshot_decode_100k_partitions.ns') / 1e6:,.0f} ms",
         (Demand("ms", _absolute("micro.image_snapshot_decode_100k_partitions.ns", 1e-6), AT_MOST, 500, "ms"),)),
    Line("image-memory", "Image of 100,000 partitions: memory of each",
         lambda f: f"{f.low('micro.image_memory_100k_partitions.bytes_per_partition'):,.0f} B",
         (Demand("B", _absolute("micro.image_memory_100k_partitions.bytes_per_partition"), AT_MOST, 600, "B"),)),
    Line("image-change", "Image of 100,000 partitions: a change of one record",
         lambda f: f"{f.low('micro.image_change_100k_partitions.ns') / 1e3:,.1f} us",
         (Demand("us", _absolute("micro.image_change_100k_partitions.ns", 1e-3), AT_MOST, 20, "us"),)),
    Line("idle", "Idle quorum: CPU of the busiest node",
         lambda f: f"{f.high('millrace.idle.cpu_percent'):.3f} % of a core",
         (Demand("% of a core", _worst("millrace.idle.cpu_percent"), AT_MOST, 0.3, "%"),
          Demand("etcd's busiest node", lambda f: f.high("millrace.idle.cpu_percent") / f.high("etcd.idle.cpu_percent"),
                 AT_MOST, 1, for_information=True))),
]
