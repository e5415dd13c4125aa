"""Millrace under measurement: a real server in a scratch directory, and one function per group of figures."""

import os
import re
import shutil
import struct
import subprocess
import time

import processes
from processes import MeasurementError

_PAYLOAD = {100: 5_000_000, 1024: 1_000_000, 10240: 100_000}


class Server:
    """A `millrace server` process, from start to stop."""

    def __init__(self, programs, data_dir, environment=None, settings=()):
        self.programs = programs
        self.data_dir = data_dir
        self._settings = settings
        self.address = f"127.0.0.1:{processes.free_port()}"
        self._http = f"127.0.0.1:{processes.free_port()}"
        self._environment = environment or {}
        self._process = None
        self.pid = None

    def start(self):
        """Returns once it serves."""
        command = [self.programs.millrace, "server", "--data-dir", self.data_dir, "--listen", self.address]
        for setting in (f"http.listener={self._http}", *self._settings):
            command += ["--set", setting]
        log_path = self.data_dir + ".log"
        with open(log_path, "wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env={**os.environ, **self._environment})
        self.pid = self._process.pid
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with open(log_path, encoding="utf-8", errors="replace") as log:
                text = log.read()
            if "message=serving" in text:
                return self
            if self._process.poll() is not None:
                raise MeasurementError(f"the server ended with {self._process.returncode}: {text[-500:]}")
            time.sleep(0.005)
        raise MeasurementError("the server does not serve after a minute")

    def stop(self):
        if self._process is not None:
            processes.stop(self.pid, is_child=self._process)
            self._process = None

    def kill(self):
        """As the power button does, but what was written stays in the page cache."""
        self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def create_topic(self, name, partitions, **configs):
        command = [self.programs.millrace, "topic", "create", name, "--partitions", str(partitions),
                   "--bootstrap", self.address, "-o", "json", "--config", "file.delete.delay.ms=1000"]
        for key, value in configs.items():
            command += ["--config", f"{key.replace('_', '.')}={value}"]
        processes.run_json(command)

    def delete_topic(self, name):
        subprocess.run([self.programs.millrace, "topic", "delete", name, "--bootstrap", self.address, "-o", "json"],
                       stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)

    def perf(self, *arguments):
        """{records_per_s, mib_per_s, latency_ms, client_cpu_s, server_cpu_s} of one run of `millrace perf`."""
        before = processes.cpu_seconds(self.pid)
        figures = processes.run_json([self.programs.millrace, "perf", *map(str, arguments),
                                      "--bootstrap", self.address, "-o", "json"])
        if figures["errors"]:
            raise MeasurementError(f"perf {' '.join(map(str, arguments))}: {figures['errors']} errors")
        figures["server_cpu_s"] = processes.cpu_seconds(self.pid) - before
        return figures


def throughput_figures(figures, size):
    """What the table needs of one run of perf: rates, and CPU per 10^9 bytes of payload."""
    gb = figures["records"] * size / 1e9
    return {"records_per_s": figures["records_per_s"], "mib_per_s": figures["mib_per_s"],
            "server_cpu_s_per_gb": figures["server_cpu_s"] / gb, "client_cpu_s_per_gb": figures["client_cpu_s"] / gb}


def latency_figures_us(figures):
    return {f"{name}_us": value * 1e3 for name, value in figures["latency_ms"].items()}


class Runs:
    """Figures of one server, into `into` (Measurements). `scale` shrinks the number of records."""

    def __init__(self, server, into, scale):
        self._server = server
        self._into = into
        self._scale = scale
        self._topics = 0

    def _records(self, full, least=200):
        return max(least, int(full * self._scale))

    def _topic(self, partitions, **configs):
        self._topics += 1
        name = f"bench-{self._topics}"
        self._server.create_topic(name, partitions, **configs)
        return name

    def _perf(self, group, *arguments):
        self._into.note_command(group, "millrace perf " + " ".join(
            "TOPIC" if str(a).startswith("bench-") else str(a) for a in arguments))
        return self._server.perf(*arguments)

    def produce_and_consume(self, size):
        """Flat out to 6 partitions, then the same records back."""
        topic = self._topic(6)
        records = self._records(_PAYLOAD[size])
        figures = self._perf(f"millrace.produce.{size}", "produce", topic, "--records", records, "--size", size)
        self._into.add_all(f"millrace.produce.{size}", throughput_figures(figures, size))
        figures = self._perf(f"millrace.consume.{size}", "consume", topic, "--records", records)
        self._into.add_all(f"millrace.consume.{size}", throughput_figures(figures, size))
        self._server.delete_topic(topic)

    def partitions(self, count):
        topic = self._topic(count)
        figures = self._perf(f"millrace.partitions.{count}", "produce", topic, "--records",
                             self._records(_PAYLOAD[1024]), "--size", 1024)
        self._into.add_all(f"millrace.partitions.{count}", throughput_figures(figures, 1024))
        self._server.delete_topic(topic)

    def one_in_flight(self, durability):
        topic = self._topic(1, durability=durability)
        command = [self._server.programs.client_probe, "one-in-flight", "--topic", topic, "--bootstrap",
                   self._server.address, "--records", str(self._records(4000))]
        self._into.note_command("millrace.one", "client_probe one-in-flight --topic TOPIC --bootstrap HOST:PORT")
        self._into.add_all(f"millrace.one.{durability}", processes.run_json(command))
        self._server.delete_topic(topic)

    def fixed_rate(self):
        topic = self._topic(1)
        figures = self._perf("millrace.rate", "produce", topic, "--records", self._records(50_000), "--size", 1024,
                             "--rate", 5000, "--linger-ms", 0)
        self._into.add_all("millrace.rate", latency_figures_us(figures))
        self._server.delete_topic(topic)

    def end_to_end(self):
        topic = self._topic(1)
        figures = self._perf("millrace.e2e", "e2e", topic, "--records", self._records(8000), "--size", 100,
                             "--rate", 0)
        self._into.add_all("millrace.e2e", latency_figures_us(figures))
        self._server.delete_topic(topic)

    def idle(self, seconds):
        self._into.add_all("millrace.idle", processes.memory_and_threads(self._server.pid))
        self._into.add("millrace.idle.cpu_percent", processes.idle_percent(self._server.pid, seconds))


def start_to_first_ack(programs, scratch, into):
    """One server on an empty directory, by the probe that execs it itself."""
    data_dir = os.path.join(scratch, "start")
    shutil.rmtree(data_dir, ignore_errors=True)
    figures = processes.run_json([
        programs.client_probe, "first-ack", "--server", programs.millrace, "--data-dir", data_dir,
        "--listen", f"127.0.0.1:{processes.free_port()}", "--http", f"127.0.0.1:{processes.free_port()}"])
    processes.stop(int(figures.pop("pid")))
    into.note_command("millrace.start", "client_probe first-ack --server millrace --data-dir EMPTY ...")
    into.add_all("millrace.start", figures)
    shutil.rmtree(data_dir, ignore_errors=True)


def idle_on_empty_directory(programs, scratch, into, seconds):
    data_dir = os.path.join(scratch, "idle")
    shutil.rmtree(data_dir, ignore_errors=True)
    with Server(programs, data_dir) as server:
        server.create_topic("idle", 1)
        server.perf("produce", "idle", "--records", 1, "--size", 100)
        time.sleep(min(2, seconds))
        Runs(server, into, 1).idle(seconds)
    shutil.rmtree(data_dir, ignore_errors=True)


def recovery(programs, scratch, into, scale):
    """Kills a server whose log is large, and counts what the next start reads.

    Allowed is the log beyond the recovery points, twice (its end is found, then its batches are checked), and what
    any start reads: program, libraries, journals, metadata."""
    data_dir = os.path.join(scratch, "recovery")
    shutil.rmtree(data_dir, ignore_errors=True)
    # Recovery points are written once a minute by default; the rule is the same if they come sooner.
    server = Server(programs, data_dir, settings=["log.flush.offset.checkpoint.interval.ms=500"])
    into.note_command("millrace.recovery", "kill -9 of a server; rchar in /proc/PID/io when the next one serves")
    try:
        server.start()
        at_empty_start = processes.bytes_read(server.pid)
        server.create_topic("large", 1)
        large = ["produce", "large", "--size", 1024, "--records"]
        server.perf(*large, max(20_000, int(300_000 * scale)))
        _wait_for_recovery_point(data_dir)
        server.perf(*large, max(2000, int(10_000 * scale)))
        server.kill()
        beyond, whole = bytes_beyond_recovery_points(os.path.join(data_dir, "logs"))
        server.start()
        into.add("millrace.recovery.read_bytes", processes.bytes_read(server.pid))
        into.add("millrace.recovery.allowed_bytes", at_empty_start + 2 * beyond + (3 << 20))
        into.add("millrace.recovery.log_bytes", whole)
    finally:
        server.stop()
        shutil.rmtree(data_dir, ignore_errors=True)


def _wait_for_recovery_point(data_dir, patience=10):
    path = os.path.join(data_dir, "logs", "recovery-point-checkpoint")
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if parse_recovery_points(file.read()):
                    return
        time.sleep(0.1)


def bytes_beyond_recovery_points(logs):
    """(bytes of the last segments beyond their points, bytes of all segments)."""
    try:
        with open(os.path.join(logs, "recovery-point-checkpoint"), encoding="utf-8") as file:
            points = parse_recovery_points(file.read())
    except FileNotFoundError:
        points = {}
    segments = {}
    whole = 0
    for folder, path in _log_files(logs):
        whole += os.path.getsize(path)
        segments[folder] = path  # In order of offset: the last one stays.
    beyond = 0
    for folder, path in segments.items():
        base, position = points.get(int(folder.rsplit("-", 1)[1]), (-1, 0))
        size = os.path.getsize(path)
        beyond += size - position if base == int(os.path.basename(path)[:-len(".log")]) else size
    return beyond, whole


def _log_files(logs):
    for folder, _, names in sorted(os.walk(logs)):
        for name in sorted(names):
            if re.fullmatch(r"\d{20}\.log", name):
                yield os.path.basename(folder), os.path.join(folder, name)


def parse_recovery_points(text):
    """{partition: (base offset of its segment, position)} of the file; of one topic, the only one there."""
    points = {}
    for line in text.splitlines():
        words = line.split()
        if not line.startswith("#") and len(words) == 13:
            points[int(words[1])] = (int(words[2]), int(words[4]))
    return points


def count_memory(programs, scratch, into, scale):
    """Allocations and copies in the server, by a library that counts them under it (LD_PRELOAD)."""
    data_dir = os.path.join(scratch, "counted")
    shutil.rmtree(data_dir, ignore_errors=True)
    counts = os.path.join(scratch, "counts")
    environment = {"LD_PRELOAD": programs.counting_memory, "COUNTING_MEMORY_FILE": counts}
    with Server(programs, data_dir, environment) as server:
        for size in (100, 1024):
            records = max(5000, int(_PAYLOAD[size] / 5 * scale))
            topic = f"counted-{size}"
            server.create_topic(topic, 6)
            server.perf("produce", topic, "--records", 1000, "--size", size)
            for what in ("produce", "consume"):
                before = read_counts(counts)
                server.perf(what, topic, "--records", records, *(["--size", size] if what == "produce" else []))
                after = read_counts(counts)
                if size == 100:
                    into.add(f"millrace.counted.{what}.allocations_per_record", (after[0] - before[0]) / records)
                else:
                    into.add(f"millrace.counted.{what}.copies_of_payload", (after[1] - before[1]) / (records * size))
    shutil.rmtree(data_dir, ignore_errors=True)


def read_counts(path):
    """(allocations, bytes copied, copies) so far."""
    with open(path, "rb") as file:
        return struct.unpack("<3q", file.read(24))
