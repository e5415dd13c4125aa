"""The machine under measurement: what it is, and what its probes say it can do."""

import datetime
import os
import platform
import re
import subprocess

import processes


def parse_cpu_model(cpuinfo):
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def file_system_of(path, mounts):
    """Type of the file system that a path lies on, by the text of /proc/mounts."""
    best = ("", "unknown")
    for line in mounts.splitlines():
        fields = line.split()
        point = fields[1].rstrip("/") + "/"
        if (path.rstrip("/") + "/").startswith(point) and len(point) >= len(best[0]):
            best = (point, fields[2])
    return best[1]


def describe(scratch, root):
    """[(what, value)] for the head of the page."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = parse_cpu_model(file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read()).group(1)) / 2**20
    with open("/proc/mounts", encoding="utf-8") as file:
        file_system = file_system_of(scratch, file.read())
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", commit(root)),
        ("processor", f"{os.cpu_count()} x {cpu}"),
        ("memory", f"{memory:.0f} GiB"),
        ("file system", file_system),
        ("kernel", platform.release()),
        ("load average at the start", f"{os.getloadavg()[0]:.2f}"),
    ]


def commit(root):
    """The commit that was measured; with a mark if the tree differed from it."""
    def git(*arguments):
        return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False).stdout.strip()
    name = git("rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown (no git here)"
    return name + (" with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else "")


class Probes:
    """The machine's limits, measured once a round beside everything else."""

    def __init__(self, programs, scratch, into, seconds, mib):
        self._programs = programs
        self._scratch = scratch
        self._into = into
        self._seconds = seconds
        self._mib = mib

    def disk(self):
        self._into.note_command("probe.disk", f"disk_probe --dir DIR --seconds {self._seconds:g} --mib {self._mib}")
        self._into.add_all("probe.disk", processes.run_json(
            [self._programs.disk_probe, "--dir", self._scratch, "--seconds", f"{self._seconds:g}",
             "--mib", str(self._mib)]))

    def network(self):
        self._into.note_command("probe.network", f"network_probe --seconds {self._seconds:g}")
        self._into.add_all("probe.network", processes.run_json(
            [self._programs.network_probe, "--seconds", f"{self._seconds:g}"]))

    def syncing_together(self, count, seconds):
        """4 KiB appended and synced, again and again, by processes at once; the median of their medians."""
        found = self._together(f"sync{count}", count, "append", ["--seconds", f"{seconds:g}"])
        for key in ("p50_us", "p99_us"):
            self._into.add(f"probe.sync{count}.{key}", sorted(one["append"][key] for one in found)[count // 2])

    def writing_together(self, count):
        """A file written into the page cache by each of several processes at once: what all of them write."""
        found = self._together(f"write{count}", count, "write", ["--mib", str(max(1, self._mib // count))])
        self._into.add(f"probe.write{count}.bytes_per_s", sum(one["page_cache_write_bytes_per_s"] for one in found))

    def _together(self, group, count, what, options):
        command = [*options, "--only", what]
        self._into.note_command(f"probe.{group}", " ".join(["disk_probe --dir DIR", *command]) +
                                (f", {count} at once" if count > 1 else ""))
        folders = [os.path.join(self._scratch, f"probe-{number}") for number in range(count)]
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
        return processes.run_json_together([[self._programs.disk_probe, "--dir", folder, *command] for folder in folders])

    def touch_memory(self):
        """The first use of memory is slow on virtual machines: it is not to fall into a measurement."""
        processes.run_json([self._programs.disk_probe, "--dir", self._scratch, "--seconds", "0",
                            "--mib", str(2 * self._mib)])


def micro_figures(report):
    """{name: figures} of google-benchmark's JSON: ns per iteration, and rates where the benchmark counts."""
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    result = {}
    for run in report["benchmarks"]:
        if run.get("run_type", "iteration") != "iteration":
            continue
        if run.get("error_occurred"):
            raise processes.MeasurementError(f"{run['name']}: {run.get('error_message', 'failed')}")
        name = run["name"].split("/", 1)[0]
        figures = {"ns": run["real_time"] * scale[run["time_unit"]]}
        for theirs, ours in (("bytes_per_second", "bytes_per_s"), ("items_per_second", "items_per_s"),
                             ("bytes_per_partition", "bytes_per_partition")):
            if theirs in run:
                figures[ours] = run[theirs]
        result[name] = figures
    return result


def run_micro(programs, scratch, into, min_seconds, only=None):
    """All micro benchmarks, or those whose name has `only` in it."""
    arguments = [f"--benchmark_min_time={min_seconds:g}"] + ([f"--benchmark_filter={only}"] if only else [])
    report = processes.run_json([programs.micro, "--benchmark_format=json", *arguments], timeout=600,
                                environment={"MILLRACE_BENCH_DIR": scratch})
    into.note_command("micro", " ".join(["micro", *arguments]))
    for name, figures in micro_figures(report).items():
        into.add_all(f"micro.{name}", figures)
