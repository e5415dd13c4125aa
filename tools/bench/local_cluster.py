"""A cluster of real processes under measurement, run by tools/local_cluster.sh: who is where, and who comes and goes."""

import os
import random
import shutil
import signal
import subprocess
import time

import processes
from processes import MeasurementError

_SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "local_cluster.sh")


class LocalCluster:
    """Controllers 1, 2, 3... and brokers 101, 102... on the loopback. Their data goes when it stops.

    It begins to start when it is made, at `begun_s` of the monotonic clock; await_started() waits until it has."""

    def __init__(self, programs, folder, controllers, brokers, *options):
        """`options`: more of those of `local_cluster.sh start`."""
        self._programs = programs
        self._folder = folder
        self.controllers = list(range(1, controllers + 1))
        self.brokers = list(range(101, 101 + brokers))
        shutil.rmtree(folder, ignore_errors=True)
        # The script takes its ports in a row.
        self._base_port = random.randrange(21000, 31000)
        self._options = ["--controllers", str(controllers), "--brokers", str(brokers), "--base-port",
                         str(self._base_port), "--millrace", programs.millrace, *options]
        self.begun_s = time.monotonic()
        self.await_started = self._begin("start", *self._options)

    def _begin(self, *arguments):
        """Runs the script in the background; returns what waits for its end, and fails if it did, the first time."""
        process = subprocess.Popen(self._command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)

        def wait():
            if process.returncode is not None:
                return
            _, said = process.communicate(timeout=120)
            if process.returncode:
                raise MeasurementError(f"local_cluster.sh {arguments[0]} failed: {said.strip()[-500:]}")
        return wait

    def _command(self, *arguments):
        return [_SCRIPT, *arguments, "--data-dir", self._folder]

    def run(self, *arguments):
        self._begin(*arguments)()

    def nodes(self):
        return self.controllers + self.brokers

    def folder(self, node):
        return os.path.join(self._folder, f"node-{node}")

    def address(self, node):
        """Where clients reach it."""
        return f"127.0.0.1:{self._base_port + (node - 1 if node in self.controllers else node - 101 + 10)}"

    def addresses(self, nodes):
        return ",".join(self.address(node) for node in nodes)

    def pid(self, node):
        with open(os.path.join(self.folder(node), "pid"), encoding="utf-8") as file:
            return int(file.read())

    def pids(self):
        return [self.pid(node) for node in self.nodes()]

    def is_running(self, node):
        try:
            with open(f"/proc/{self.pid(node)}/cmdline", "rb") as file:
                return self.folder(node).encode() in file.read()
        except OSError:
            return False

    def quorum(self, nodes=None):
        """{leader, term, members...} as the quorum says; asked of these nodes."""
        return self.ask("quorum", "describe", nodes=nodes or self.controllers)

    def ask(self, *command, nodes=None):
        """What a command of the command line prints about this cluster."""
        return processes.run_json([self._programs.millrace, *map(str, command), "--timeout", "20", "--bootstrap",
                                   self.addresses(nodes or self.brokers or self.controllers), "-o", "json"])

    def await_caught_up(self, patience=30):
        """Returns what the quorum says once no member lacks anything."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            quorum = self.quorum()
            if all(member["lag"] == 0 and member["state"] != "probe" for member in quorum["members"]):
                return quorum
            time.sleep(0.05)
        raise MeasurementError("a controller does not catch up")

    def kill(self, node):
        self.run("kill", str(node))

    def signal(self, node, number):
        os.kill(self.pid(node), number)

    def start_missing(self):
        """Those that do not run come back; returns when each answers."""
        self.run("start")

    def start_missing_in_background(self):
        """The same; returns at once what waits for it."""
        return self._begin("start")

    def forget(self, node):
        """Somebody else has killed it: its process id means nothing any more."""
        path = os.path.join(self.folder(node), "pid")
        deadline = time.monotonic() + 15
        while self.is_running(node) and time.monotonic() < deadline:
            time.sleep(0.01)
        if os.path.exists(path):
            os.unlink(path)

    def stop(self):
        """At once: nothing of it is needed any more."""
        try:
            self.await_started()
        except MeasurementError:
            pass  # Said before, to whom it concerned.
        try:
            for node in self.nodes():
                if self.is_running(node):
                    self.signal(node, signal.SIGKILL)
            for node in self.nodes():
                self.forget(node)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
