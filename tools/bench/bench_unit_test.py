"""Tests of the report's parsing and ratio logic: no servers, no programs."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

# pylint: disable=wrong-import-position
import benchmark_run
import cluster_lines
import cluster_main
import cluster_runs
import data_cluster
import lines
import machine
import millrace_runs
import page
import plots
import processes
import report_main
from measurements import Measurements
import quorum_lines
import quorum_main
from peers import availability, etcd, kafka, nats


def line(*demands):
    return lines.Line("key", "text", lambda f: f"{f.high('a'):g}", demands)


class MeasurementsTest(unittest.TestCase):
    def test_nested_figures_become_dotted_names_and_texts_are_left_out(self):
        into = Measurements()
        into.add_all("x", {"rate": 3, "latency": {"p50": 0.5}, "label": "no", "flag": True})
        self.assertEqual(into.names(), ["x.latency.p50", "x.rate"])

    def test_the_reason_of_the_longest_prefix_counts(self):
        into = Measurements()
        into.not_measured("kafka", "no JDK")
        into.not_measured("kafka.start", "too slow")
        self.assertEqual(into.why_missing("kafka.start.first_ack_s"), "too slow")
        self.assertEqual(into.why_missing("kafka.e2e.p50_us"), "no JDK")
        self.assertEqual(into.why_missing("kafkaesque"), "this run left it out")

    def test_a_round_trip_through_json_loses_nothing(self):
        into = Measurements()
        into.add("a.b", 1)
        into.add("a.b", 2.5)
        into.not_measured("c", "why")
        into.note_command("a", "do")
        again = Measurements.from_json(into.to_json())
        self.assertEqual(again.values("a.b"), [1, 2.5])
        self.assertEqual((again.why_missing("c.d"), again.commands), ("why", {"a": "do"}))


class LinesTest(unittest.TestCase):
    def setUp(self):
        self.into = Measurements()
        for value in (10, 30, 20):
            self.into.add("a", value)
        for value in (4, 5, 6):
            self.into.add("b", value)

    def test_throughput_is_best_by_best_with_the_ratio_of_medians_beside_it(self):
        demand = lines.Demand("b", lambda f: f.high("a") / f.high("b"), lines.AT_LEAST, 5)
        outcome = lines.judge(line(demand), self.into).outcomes[0]
        self.assertEqual((outcome.ratio, outcome.median_ratio, outcome.met), (5, 4, True))

    def test_a_cost_is_least_by_least(self):
        demand = lines.Demand("b", lambda f: f.low("a") / f.low("b"), lines.AT_MOST, 2)
        result = lines.judge(line(demand), self.into)
        self.assertEqual((result.outcomes[0].ratio, result.verdict), (2.5, "not met"))

    def test_one_of_several_demands_is_enough(self):
        bad = lines.Demand("b", lambda f: f.high("a") / f.high("missing"), lines.AT_LEAST, 1)
        good = lines.Demand("b", lambda f: f.high("a"), lines.AT_LEAST, 30)
        result = lines.judge(line(bad, good), self.into)
        self.assertEqual(result.verdict, "met")
        self.assertIn("`missing` was not measured", result.outcomes[0].reason)

    def test_what_cannot_be_compared_is_not_measured_never_met(self):
        self.into.add("zero", 0)
        for name in ("missing", "zero"):
            demand = lines.Demand("b", lambda f, n=name: f.low("a") / f.low(n), lines.AT_MOST, 1e9)
            self.assertEqual(lines.judge(line(demand), self.into).verdict, "not measured")

    def test_what_is_for_information_neither_meets_a_line_nor_fails_it(self):
        missing = lines.Demand("b", lambda f: f.high("missing"), lines.AT_LEAST, 1)
        beside = lines.Demand("b", lambda f: f.high("a"), lines.AT_LEAST, 1, for_information=True)
        self.assertEqual(lines.judge(line(missing, beside), self.into).verdict, "not measured")
        worse = lines.Demand("b", lambda f: f.high("a"), lines.AT_LEAST, 1000)
        self.assertEqual(lines.judge(line(worse, beside), self.into).verdict, "not met")

    def test_every_line_has_a_key_of_its_own_and_judges_an_empty_run(self):
        results = lines.judge_all(Measurements())
        self.assertEqual({result.verdict for result in results}, {"not measured"})
        self.assertEqual(len({result.line.key for result in results}), len(results))

    def test_the_slower_probe_is_the_one_to_compare_with(self):
        into = Measurements()
        into.add("millrace.produce.1024.mib_per_s", 700)
        into.add("probe.disk.page_cache_write_bytes_per_s", 1000 * 2**20)
        into.add("probe.network.grpc_one_way_1m_bytes_per_s", 4000 * 2**20)
        result = next(r for r in lines.judge_all(into) if r.line.key == "produce-1024")
        self.assertAlmostEqual(result.outcomes[-1].ratio, 0.7)
        self.assertEqual(result.verdict, "met")


class ProcessesTest(unittest.TestCase):
    def test_the_last_whole_object_is_read_also_over_several_lines(self):
        self.assertEqual(processes.last_json('warming {up}\n{"a": 1}\n{\n "b": {"c": 2}\n}\n'), {"b": {"c": 2}})

    def test_no_object_is_an_error_that_shows_the_output(self):
        with self.assertRaisesRegex(processes.MeasurementError, "oops"):
            processes.last_json("oops")

    def test_cpu_time_is_read_behind_a_name_with_brackets_and_blanks(self):
        ticks = os.sysconf("SC_CLK_TCK")
        stat = f"12 (a ) b) S 1 1 1 0 -1 4194304 100 0 0 0 {3 * ticks} {ticks} 0 0 20 0 1 0 100 0 0"
        self.assertEqual(processes.parse_cpu_seconds(stat), 4)

    def test_status_gives_memory_and_threads(self):
        status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\nThreads:\t7\n"
        self.assertEqual(processes.parse_status(status), {"rss_mib": 2, "anonymous_mib": 1, "threads": 7})
        with self.assertRaises(processes.MeasurementError):
            processes.parse_status("Name:\tx\n")

    def test_libraries_are_files_each_once_and_no_vdso(self):
        listing = ("\tlinux-vdso.so.1 (0x00007f)\n\tliba.so.1 => /lib/liba.so.1 (0x00007f)\n"
                   "\tlibb.so => /usr/lib/libb.so (0x00007f)\n\t/lib64/ld-linux.so.2 (0x00007f)\n")
        self.assertEqual(processes.parse_ldd(listing), ["/lib/liba.so.1", "/lib64/ld-linux.so.2", "/usr/lib/libb.so"])

    def test_a_program_that_fails_is_an_error_with_what_it_said(self):
        with self.assertRaisesRegex(processes.MeasurementError, "ended with 3: sad"):
            processes.run_json(["/bin/sh", "-c", "echo sad >&2; exit 3"])


class MillraceRunsTest(unittest.TestCase):
    def test_cpu_counts_per_gigabyte_of_payload(self):
        figures = {"records": 10_000_000, "records_per_s": 5, "mib_per_s": 6, "server_cpu_s": 4, "client_cpu_s": 2}
        found = millrace_runs.throughput_figures(figures, 100)
        self.assertEqual((found["server_cpu_s_per_gb"], found["client_cpu_s_per_gb"]), (4, 2))

    def test_latencies_of_perf_are_milliseconds(self):
        self.assertEqual(millrace_runs.latency_figures_us({"latency_ms": {"p50": 0.5, "max": 2}}),
                         {"p50_us": 500, "max_us": 2000})

    def test_only_the_log_beyond_the_point_of_the_last_segment_counts_as_beyond(self):
        with tempfile.TemporaryDirectory() as logs:
            os.makedirs(f"{logs}/large-0")
            for base, size in ((0, 5000), (40, 3000)):
                with open(f"{logs}/large-0/{base:020d}.log", "wb") as file:
                    file.write(b"x" * size)
            self.assertEqual(millrace_runs.bytes_beyond_recovery_points(logs), (3000, 8000))
            with open(f"{logs}/recovery-point-checkpoint", "w", encoding="utf-8") as file:
                file.write("# millrace recovery-points 1\nAAAAAAAAAAEAAAAAAAAAAg 0 40 60 2500 2000 0 0 0 0 0 0 0\n"
                           "# crc32c 00000000\n")
            self.assertEqual(millrace_runs.bytes_beyond_recovery_points(logs), (500, 8000))

    def test_counts_are_three_numbers(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]))
            file.flush()
            self.assertEqual(millrace_runs.read_counts(file.name), (1, 256, 3))


class MachineTest(unittest.TestCase):
    def test_the_longest_mount_point_holds_a_path(self):
        mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmpfiles xfs rw 0 0\n"
        self.assertEqual(machine.file_system_of("/tmp/x", mounts), "tmpfs")
        self.assertEqual(machine.file_system_of("/tmpfiles/x", mounts), "xfs")
        self.assertEqual(machine.file_system_of("/var", mounts), "ext4")

    def test_micro_benchmarks_come_in_nanoseconds_under_their_plain_names(self):
        report = {"benchmarks": [
            {"name": "log_append/manual_time", "run_type": "iteration", "real_time": 2, "time_unit": "us",
             "bytes_per_second": 5},
            {"name": "log_append_mean", "run_type": "aggregate", "real_time": 9, "time_unit": "us"}]}
        self.assertEqual(machine.micro_figures(report), {"log_append": {"ns": 2000, "bytes_per_s": 5}})

    def test_a_micro_benchmark_that_failed_is_an_error(self):
        with self.assertRaisesRegex(processes.MeasurementError, "x: broken"):
            machine.micro_figures({"benchmarks": [{"name": "x", "error_occurred": True, "error_message": "broken"}]})


class PageTest(unittest.TestCase):
    def test_a_section_of_notes_may_be_for_several_lines(self):
        notes = page.parse_notes("# Notes\n\nAbout.\n\n## a b\n\nBody\nmore.\n\n## c\nOther.\n")
        self.assertEqual(notes, {"a": "Body\nmore.", "b": "Body\nmore.", "c": "Other."})

    def test_an_empty_run_gives_a_page_that_claims_nothing(self):
        text = page.render(Measurements(), [("date", "today")], {}, "benchmarks", 60)
        self.assertIn(f"0 lines met, 0 not met, {len(lines.LINES)} not measured.", text)
        self.assertNotIn("![", text)

    def test_a_line_that_is_not_met_shows_its_note_and_one_that_is_met_does_not(self):
        into = Measurements()
        into.add("millrace.idle.threads", 25)
        into.add("millrace.idle.rss_mib", 20)
        text = page.where_the_time_goes(lines.judge_all(into), {"idle-threads": "Too many pools.", "idle-rss": "No."})
        self.assertIn("Too many pools.", text)
        self.assertNotIn("Idle: resident memory", text)

    def test_notes_in_the_tree_are_for_lines_that_exist(self):
        path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "notes.md")
        with open(path, encoding="utf-8") as file:
            keys = set(page.parse_notes(file.read()))
        self.assertLessEqual(keys, {found.key for found in lines.LINES})

    def test_numbers_are_as_long_as_one_reads(self):
        self.assertEqual([page.number(x) for x in (1234567.8, 12.3456, 0.00123)], ["1,234,568", "12.35", "0.00123"])


class PlotsTest(unittest.TestCase):
    def test_decades_hold_all_values(self):
        self.assertEqual(plots.decades([3, 450]), (0, 3))
        self.assertEqual(plots.decades([10, 10]), (1, 2))

    def test_ticks_are_round_and_reach_above_all_values(self):
        for top in (1, 7.3, 99, 100, 315, 999):
            marks = plots.ticks([1, top])
            self.assertGreaterEqual(marks[-1], top)
            self.assertTrue(4 <= len(marks) <= 9, marks)

    def test_what_was_not_measured_has_no_bar(self):
        svg = plots.bars("t", "u", ["g", "h"], {"a": [10, None], "b": [None, 1000]}, logarithmic=True)
        self.assertEqual(svg.count('text-anchor="middle" fill="#222222">'), 4)
        self.assertEqual(plots.bars("t", "u", ["g"], {"a": [None]}), "")

    def test_short_numbers(self):
        self.assertEqual([plots.short(x) for x in (0.5, 1234, 5.1e6)], ["0.5", "1.23k", "5.1M"])


class PeersTest(unittest.TestCase):
    def test_a_missing_program_is_said_with_what_it_is_for(self):
        with self.assertRaisesRegex(availability.PeerUnavailable, "no-such-program.*a compiler"):
            availability.have_program("no-such-program", "a compiler")

    def test_a_failed_step_shows_its_last_word(self):
        with self.assertRaisesRegex(availability.PeerUnavailable, "not to be had: 403 Forbidden"):
            availability.run_setup(["/bin/sh", "-c", "echo first; echo 403 Forbidden; exit 1"], "not to be had")

    def test_kafka_serves_and_advertises_one_address(self):
        node = self.node(1, 11, 12)
        text = kafka.properties("data", node, [node])
        self.assertIn("listeners=PLAINTEXT://127.0.0.1:11,CONTROLLER://127.0.0.1:12\n", text)
        self.assertIn("advertised.listeners=PLAINTEXT://127.0.0.1:11\n", text)
        self.assertIn("process.roles=broker,controller\n", text)
        self.assertIn("min.insync.replicas=1\n", text)

    @staticmethod
    def node(number, port, controller_port):
        roles = (["broker"] if port else []) + (["controller"] if controller_port else [])
        node = kafka.Node(number, roles)
        node.port, node.controller_port = port, controller_port
        return node

    def test_kafka_of_six_has_three_copies_of_which_two_count(self):
        nodes = [self.node(1, 0, 21), self.node(2, 0, 22), self.node(3, 0, 23), self.node(4, 14, 0),
                 self.node(5, 15, 0), self.node(6, 16, 0)]
        broker = kafka.properties("data", nodes[4], nodes)
        self.assertIn("controller.quorum.voters=1@127.0.0.1:21,2@127.0.0.1:22,3@127.0.0.1:23\n", broker)
        self.assertIn("\nlisteners=PLAINTEXT://127.0.0.1:15\n", broker)
        self.assertIn("default.replication.factor=3\nmin.insync.replicas=2\n", broker)
        controller = kafka.properties("data", nodes[0], nodes)
        self.assertIn("\nlisteners=CONTROLLER://127.0.0.1:21\n", controller)
        self.assertNotIn("advertised", controller)

    def test_nats_keeps_its_stream_in_files(self):
        self.assertIn('store_dir: "folder/data"', nats.configuration("folder", 1))
        self.assertNotIn("cluster", nats.configuration("folder", 1))

    def test_nats_servers_of_a_cluster_know_all_routes(self):
        text = nats.configuration("folder", 1, "n0", 7, [7, 8])
        self.assertIn("server_name: n0\n", text)
        self.assertIn('listen: "127.0.0.1:7", routes: [nats://127.0.0.1:7, nats://127.0.0.1:8]', text)

    def test_without_peers_the_reason_is_noted(self):
        session = benchmark_run.Session(None, report_main.QUICK, "", "", lambda text: None)
        self.assertIsNone(session.peer("kafka", self.fail))
        self.assertEqual(session.into.why_missing("kafka.e2e"), "this run was made without peers")

    def test_a_step_that_fails_leaves_its_reason_and_the_run_goes_on(self):
        session = benchmark_run.Session(None, report_main.QUICK, "", "", lambda text: None)

        def fail():
            raise processes.MeasurementError("broken\nthing")
        session.step("x", fail)
        session.step("y", session.into.add, "y", 1)
        self.assertEqual((session.failed, session.into.why_missing("x.z")), (["x"], "broken thing"))
        self.assertTrue(session.into.has("y"))


class SessionTest(unittest.TestCase):
    def test_reasons_name_no_paths_of_the_machine(self):
        session = benchmark_run.Session(None, report_main.QUICK, "/somewhere/scratch-1", "/elsewhere/cache", None)
        home = os.path.expanduser("~")
        self.assertEqual(session.plain(f"bad:\n {home}/x /somewhere/scratch-1/log /elsewhere/cache/y"),
                         "bad: ~/x SCRATCH/log CACHE/y")


class QuorumTest(unittest.TestCase):
    def test_percentiles_over_runs_count_every_run(self):
        into = Measurements()
        for value in range(1, 101):
            into.add("x.killed.ms", value)
        quorum_lines.add_percentiles(into, "x.killed.ms")
        self.assertEqual([into.values(f"x.killed.{name}") for name in ("p50_ms", "p99_ms", "max_ms", "runs")],
                         [[51], [100], [100], [100]])
        quorum_lines.add_percentiles(into, "y.ms")
        self.assertFalse(into.has("y.p50_ms"))

    def test_change_is_held_against_the_sum_of_its_parts(self):
        into = Measurements()
        for name, value in (("probe.network.grpc_unary.p50_us", 100), ("probe.network.grpc_stream.p50_us", 50),
                            ("probe.sync3.p50_us", 200), ("millrace.changes.1.p50_us", 300)):
            into.add(name, value)
        result = next(r for r in lines.judge_all(into, quorum_lines.LINES) if r.line.key == "change-budget")
        self.assertEqual((result.verdict, result.outcomes[0].ratio), ("met", 0.75))

    def test_the_busiest_node_and_the_worst_run_count(self):
        into = Measurements()
        for value in (0.1, 0.4, 0.2):
            into.add("millrace.idle.cpu_percent", value)
        for value in (0, 0, 1):
            into.add("millrace.rejoin.elections", value)
        verdicts = {r.line.key: r.verdict for r in lines.judge_all(into, quorum_lines.LINES)}
        self.assertEqual((verdicts["idle"], verdicts["rejoin"]), ("not met", "not met"))

    def test_leader_of_etcd_is_the_member_that_names_itself(self):
        def member(port, own, leader):
            return {"Endpoint": f"http://127.0.0.1:{port}", "Status": {"header": {"member_id": own}, "leader": leader}}
        self.assertEqual(etcd.leader_address([member(1, 7, 8), member(2, 8, 8)]), "127.0.0.1:2")
        self.assertIsNone(etcd.leader_address([member(1, 7, 0), member(2, 8, 0)]))

    def test_members_of_etcd_know_each_other(self):
        arguments = etcd.member_arguments(1, "/d", [1, 2, 3], [4, 5, 6])
        self.assertEqual(arguments[arguments.index("--data-dir") + 1], "/d/n1")
        self.assertEqual(arguments[arguments.index("--initial-cluster") + 1],
                         "n0=http://127.0.0.1:4,n1=http://127.0.0.1:5,n2=http://127.0.0.1:6")

    def test_page_says_what_was_not_measured(self):
        into = Measurements()
        into.not_measured("etcd", "this run was made without peers")
        text = quorum_main.render(into, [("date", "today")], 60)
        self.assertIn("0 lines met", text)
        self.assertIn("One small change, one client, p50", text)


class ClusterTest(unittest.TestCase):
    @staticmethod
    def result(into, key):
        return next(r for r in lines.judge_all(into, cluster_lines.LINES) if r.line.key == key)

    def test_every_line_has_a_key_of_its_own_and_judges_an_empty_run(self):
        results = lines.judge_all(Measurements(), cluster_lines.LINES)
        self.assertEqual({result.verdict for result in results}, {"not measured"})
        self.assertEqual(len({result.line.key for result in results}), len(results))

    def test_three_copies_cross_three_streams_and_are_written_three_times(self):
        into = Measurements()
        into.add("probe.network.grpc_one_way_1m_bytes_per_s", 1200 * 2**20)
        into.add("probe.write3.bytes_per_s", 600 * 2**20)
        into.add("millrace.produce.replicated.1024.mib_per_s", 100)
        # 3/1200 + 3/600 seconds for a MiB.
        self.assertAlmostEqual(self.result(into, "three-copies").outcomes[0].ratio, 100 * (3 / 1200 + 3 / 600))
        self.assertEqual(self.result(into, "three-copies").verdict, "met")

    def test_catch_up_is_held_against_the_slower_of_stream_and_file(self):
        into = Measurements()
        into.add("probe.network.grpc_one_way_1m_bytes_per_s", 1000)
        into.add("probe.write1.bytes_per_s", 500)
        into.add("millrace.catch_up.alone.bytes_per_s", 300)
        self.assertEqual(self.result(into, "catch-up").outcomes[0].ratio, 0.6)

    def test_durable_may_take_four_echoes_and_a_sync_of_three(self):
        into = Measurements()
        for name, value in (("probe.network.grpc_stream.p50_us", 100), ("probe.sync3.p50_us", 600),
                            ("millrace.one.durable.p50_us", 1500)):
            into.add(name, value)
        result = self.result(into, "one-durable")
        self.assertEqual((result.outcomes[0].ratio, result.verdict), (1.5, "not met"))

    def test_durable_figures_beside_kafka_are_for_information_where_kafka_does_not_sync(self):
        into = Measurements()
        for name, value in (("millrace.rate.replicated.p99_us", 30), ("millrace.rate.durable.p99_us", 1),
                            ("kafka.rate.p99_us", 100)):
            into.add(name, value)
        self.assertEqual(self.result(into, "rate-p99").verdict, "not met")

    def test_faults_are_held_against_kafkas_median_each_time_counting(self):
        into = Measurements()
        for value in (100, 110, 5000):
            into.add("millrace.gap.kill.ms", value)
        for value in (9000, 11000):
            into.add("kafka.gap.kill.ms", value)
        for name in ("millrace.gap.kill.ms", "kafka.gap.kill.ms"):
            quorum_lines.add_percentiles(into, name)
        self.assertEqual((self.result(into, "kill-p50").verdict, self.result(into, "kill-p99").verdict), ("met", "not met"))
        self.assertEqual(self.result(into, "kill-p50").ours, "p50 110, p99 5,000 ms (3 runs)")

    def test_one_record_that_failed_is_too_many(self):
        into = Measurements()
        for value in (0, 1, 0):
            into.add("millrace.gap.shutdown.failed", value)
        self.assertEqual(self.result(into, "shutdown-failed").verdict, "not met")

    def test_the_broker_whose_cost_grew_most_counts(self):
        before = [{"cpu_percent": 0.1, "rss_mib": 40}, {"cpu_percent": 0.5, "rss_mib": 50}]
        after = [{"cpu_percent": 0.4, "rss_mib": 45}, {"cpu_percent": 0.6, "rss_mib": 60}]
        self.assertEqual({key: round(value, 6) for key, value in cluster_runs.worst_increase(before, after).items()},
                         {"cpu_percent": 0.3, "rss_mib": 10})

    def test_in_sync_is_every_replica_and_a_leader_among_them(self):
        whole = {"replicas": [101, 102, 103], "isr": [103, 101, 102], "leader": 102}
        self.assertTrue(data_cluster.in_sync([whole]))
        self.assertFalse(data_cluster.in_sync([whole, dict(whole, isr=[101, 102])]))
        self.assertFalse(data_cluster.in_sync([dict(whole, leader=-1)]))

    def test_page_of_an_empty_run_claims_nothing(self):
        into = Measurements()
        into.not_measured("nats", "no Go")
        text = cluster_main.render(into, [("date", "today")], 60)
        self.assertIn(f"0 lines met, 0 not met, {len(cluster_lines.LINES)} not measured.", text)
        self.assertIn("Not measured: no Go.", text)

    def test_notes_in_the_tree_are_for_lines_that_exist(self):
        self.assertLessEqual(set(page.read_notes("cluster_notes.md")), {line.key for line in cluster_lines.LINES})


if __name__ == "__main__":
    unittest.main()
