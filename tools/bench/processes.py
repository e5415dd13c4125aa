"""Processes under measurement: programs that print one JSON object, servers, and what /proc tells of them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

_TICKS = os.sysconf("SC_CLK_TCK")


class MeasurementError(Exception):
    """A program ended badly, or said nothing that can be read; the text says which and what it said."""


def last_json(text):
    """The last JSON object in a program's output, which may have been printed over several lines."""
    start = len(text)
    while True:
        start = text.rfind("{", 0, start)
        if start < 0:
            raise MeasurementError(f"no JSON object in what it printed: {text[-500:]!r}")
        try:
            found, end = json.JSONDecoder().raw_decode(text[start:])
        except ValueError:
            continue
        # The outermost: nothing but white space may follow it.
        if isinstance(found, dict) and not text[start + end:].strip():
            return found


def run_json(command, timeout=300, environment=None):
    """Runs a program to its end and returns the object it printed last."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              check=False, env={**os.environ, **(environment or {})})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasurementError(f"{os.path.basename(command[0])}: {error}") from error
    if done.returncode:
        raise MeasurementError(f"{' '.join(command)} ended with {done.returncode}: "
                               f"{(done.stderr or done.stdout).strip()[-800:]}")
    return last_json(done.stdout)


def run_json_together(commands, timeout=300):
    """Runs programs at the same time, each to its end; the objects that they printed, in order."""
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True) for command in commands]
    found = []
    for command, process in zip(commands, running):
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            for other in running:
                other.kill()
            raise MeasurementError(f"{os.path.basename(command[0])}: {error}") from error
        if process.returncode:
            raise MeasurementError(f"{' '.join(command)} ended with {process.returncode}: {text.strip()[-800:]}")
        found.append(last_json(text))
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def parse_cpu_seconds(stat):
    """User and system time in the text of /proc/PID/stat."""
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def parse_status(status):
    """{rss_mib, anonymous_mib, threads} in the text of /proc/PID/status."""
    def number(key):
        found = re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE)
        if not found:
            raise MeasurementError(f"/proc/PID/status has no {key}")
        return int(found.group(1))
    return {"rss_mib": number("VmRSS") / 1024, "anonymous_mib": number("RssAnon") / 1024,
            "threads": number("Threads")}


def _proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise MeasurementError(f"process {pid} is gone") from error


def cpu_seconds(pid):
    return parse_cpu_seconds(_proc(pid, "stat"))


def cpu_seconds_of(pids):
    """Of all of them together."""
    return sum(cpu_seconds(pid) for pid in pids)


def memory_and_threads(pid):
    return parse_status(_proc(pid, "status"))


def memory_and_threads_of(pids):
    """Of all of them together; what they share is counted for each."""
    each = [memory_and_threads(pid) for pid in pids]
    return {key: sum(one[key] for one in each) for key in each[0]}


def bytes_read(pid):
    """What the process has read by system calls, from files and sockets."""
    return int(re.search(r"^rchar: (\d+)", _proc(pid, "io"), re.MULTILINE).group(1))


def idle_percent(pid, seconds):
    """CPU time while nothing is asked of it, as % of one core."""
    return idle_percents([pid], seconds)[0]


def idle_percents(pids, seconds):
    """The same of several processes at once.

    The scheduler's own account is in nanoseconds, per thread: finer than the clock ticks of stat."""
    def total(pid):
        nanoseconds = 0
        for task in os.listdir(f"/proc/{pid}/task"):
            nanoseconds += int(_proc(pid, f"task/{task}/schedstat").split()[0])
        return nanoseconds
    before, begin = [total(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - begin
    return [100 * (total(pid) - earlier) / 1e9 / elapsed for pid, earlier in zip(pids, before)]


def stop(pid, patience=15, is_child=None):
    """SIGTERM, and SIGKILL if that does not end it. `is_child`: its Popen, if it is ours to reap."""
    def alive():
        if is_child is not None:
            return is_child.poll() is None
        try:
            return _proc(pid, "stat").rsplit(")", 1)[1].split()[0] != "Z"
        except MeasurementError:
            return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not alive():
            return


def resume(pid):
    """Lets a process that was stopped by SIGSTOP run again."""
    os.kill(pid, signal.SIGCONT)


def settle():
    """Writes back dirty pages, so that one run's write-back does not fall into the next."""
    os.sync()


def size_with_libraries(program, scratch):
    """{stripped_mib, with_libraries_mib} of a program; the libraries are those that ldd finds."""
    stripped = os.path.join(scratch, "stripped")
    shutil.copyfile(program, stripped)
    os.chmod(stripped, 0o755)
    subprocess.run(["strip", "--strip-all", stripped], check=True)
    listing = subprocess.run(["ldd", stripped], check=True, capture_output=True, text=True).stdout
    size = os.path.getsize(stripped)
    os.unlink(stripped)
    libraries = sum(os.path.getsize(os.path.realpath(path)) for path in parse_ldd(listing))
    return {"stripped_mib": size / 2**20, "with_libraries_mib": (size + libraries) / 2**20}


def parse_ldd(listing):
    """The files that ldd names, each once."""
    return sorted(set(re.findall(r"^\s*(?:\S+ => )?(/\S+) \(0x", listing, re.MULTILINE)))
