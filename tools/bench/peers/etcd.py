"""etcd as a peer: Debian's, three members on the loopback, their data on one disk."""

import glob
import json
import os
import shutil
import subprocess
import time

import processes
from peers.availability import have_program, run_setup
from processes import MeasurementError

_PACKAGES = {"etcd": "etcd-server", "etcdctl": "etcd-client"}
_MEMBERS = 3


def member_arguments(number, folder, clients, peers):
    """The command line of a member, all else at its defaults; ports by number."""
    name = f"n{number}"
    client = f"http://127.0.0.1:{clients[number]}"
    peer = f"http://127.0.0.1:{peers[number]}"
    cluster = ",".join(f"n{i}=http://127.0.0.1:{port}" for i, port in enumerate(peers))
    return ["--name", name, "--data-dir", os.path.join(folder, name), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap", "--log-level", "error"]


def leader_address(status):
    """"HOST:PORT" of the member that leads, by `etcdctl endpoint status -w json`; None if none does."""
    for member in status:
        if member["Status"]["leader"] == member["Status"]["header"]["member_id"]:
            return member["Endpoint"].split("//")[-1]
    return None


class Etcd:
    """The programs: those installed, or Debian's packages unpacked into the cache."""

    def __init__(self, cache, scratch):
        self._scratch = scratch
        self._programs = {name: self._find(name, package, cache) for name, package in _PACKAGES.items()}
        text = subprocess.run([self._programs["etcd"], "--version"], capture_output=True, text=True, check=True).stdout
        self.version = text.split()[2]

    @staticmethod
    def _find(name, package, cache):
        installed = shutil.which(name)
        if installed:
            return installed
        unpacked = os.path.join(cache, package)
        program = os.path.join(unpacked, "usr", "bin", name)
        if not os.path.exists(program):
            have_program("apt-get", f"to download Debian's {package}")
            run_setup(["apt-get", "download", "-q", package], f"{package} could not be downloaded", folder=cache)
            newest = max(glob.glob(os.path.join(cache, f"{package}_*.deb")), key=os.path.getmtime)
            run_setup(["dpkg-deb", "-x", newest, unpacked], f"{package} could not be unpacked")
        return program

    def start(self):
        """Three members on empty directories, with a leader."""
        return EtcdCluster(self._programs, os.path.join(self._scratch, "etcd"))


class EtcdCluster:
    """Three running members."""

    def __init__(self, programs, folder):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        self._folder = folder
        self._etcdctl = programs["etcdctl"]
        self._clients = [processes.free_port() for _ in range(_MEMBERS)]
        peers = [processes.free_port() for _ in range(_MEMBERS)]
        self._processes = []
        for number in range(_MEMBERS):
            with open(os.path.join(folder, f"n{number}.log"), "wb") as log:
                self._processes.append(subprocess.Popen(
                    [programs["etcd"], *member_arguments(number, folder, self._clients, peers)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        self.leader = self._await_leader()

    def _await_leader(self, patience=30):
        deadline = time.monotonic() + patience
        endpoints = ",".join(f"127.0.0.1:{port}" for port in self._clients)
        while time.monotonic() < deadline:
            done = subprocess.run([self._etcdctl, "--endpoints", endpoints, "endpoint", "status", "-w", "json"],
                                  capture_output=True, text=True, check=False,
                                  env={**os.environ, "ETCDCTL_API": "3"})
            if done.returncode == 0 and (leader := leader_address(json.loads(done.stdout))):
                return leader
            time.sleep(0.1)
        raise MeasurementError(f"etcd has no leader after {patience} s")

    def idle_percent(self, seconds):
        """CPU of each member while nothing is asked of it."""
        return processes.idle_percents([process.pid for process in self._processes], seconds)

    def stop(self):
        for process in self._processes:
            processes.stop(process.pid, is_child=process)
        shutil.rmtree(self._folder, ignore_errors=True)
