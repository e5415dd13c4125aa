"""The tables of the house, as data: who may use whom, which library where, where the world may come in.

The same table stands in docs/architecture.md for people, and in Bazel's visibility for the build. A layer
is a folder, or a target of a folder where the table names one (client:core, storage:kv_store).
"""

import fnmatch

# ---- Who may use whom. What is not listed is forbidden; a layer may always use itself. ----

_CORES = [
    "api", "base", "broker", "controller", "controller:quorum_control", "metadata", "raft",
    "raft/host", "record", "rsm", "storage", "storage:kv_store",
]  # fmt: skip
_CODEC = ["api", "base", "proto", "record"]
_SERVICE = ["api", "api/codec", "base", "metadata", "proto", "proto:grpc", "record", "rpc", "rsm"]
_NODE = _CORES + ["client:core", "proto:cold"]
ALL = ["*"]

MAY_USE = {
    "base": [],
    "base/sim": ["base"],
    "record": ["base"],
    "api": ["base", "record"],
    "api/codec": _CODEC,
    "storage": ["base", "record"],
    "storage:kv_store": ["base"],
    "storage:kv_rocksdb": ["base", "storage:kv_store"],
    "raft": ["base"],
    "rsm": ["base"],
    "raft/host": ["base", "raft", "rsm"],
    "metadata": ["base", "proto:records", "rsm", "storage:kv_store"],
    "controller": ["base", "controller:quorum_control", "metadata", "proto:cold", "proto:records", "rsm"],
    "controller:quorum_control": ["base"],
    "broker": ["api", "base", "metadata", "proto:cold", "record", "rsm", "storage"],
    "client:core": ["api", "base", "record"],
    "client": ["api", "api/codec", "base", "client:core", "proto", "proto:grpc", "record", "rpc"],
    "rpc": ["base", "proto:errors", "proto:grpc"],
    "http": ["base"],
    "raft/codec": _CODEC + ["raft", "raft/host"],
    "broker/codec": _CODEC + ["broker"],
    "raft/service": _SERVICE + ["raft", "raft/codec", "raft/host"],
    "broker/service": _SERVICE + ["broker", "broker/codec"],
    "node": _NODE,
    "node/service": _SERVICE + ["controller:quorum_control", "node"],
    "test/sim": _NODE + ["api/codec", "broker/codec", "node", "proto", "raft/codec"],
    "test/cluster": ALL,
    "test/fuzz": ALL,
    "examples": ALL,
    "tools/bench": ALL,
    "tools/docs": ALL,
    "tools/millrace": ALL,
}

# Targets that share a folder with others: layer -> file patterns.
LAYER_OF_FILES = {
    "storage:kv_rocksdb": ["storage/kv_rocksdb*"],
    "storage:kv_store": ["storage/*kv_store*"],
    "controller:quorum_control": ["controller/quorum_control*", "controller/leader_watch*"],
}
# Targets whose files the folder's BUILD.bazel lists: layer -> (BUILD file, target name).
LAYER_OF_TARGET = {"client:core": ("client/BUILD.bazel", "core")}

# The real RocksDB store is seen by the program that hands it to node, and by nobody else.
ONLY_USED_BY = {
    "storage:kv_rocksdb": ["storage:kv_rocksdb", "tools/millrace"],
}

# Test support: only tests, test/ and other test support may include it.
TEST_ONLY_FILES = [
    "base/sim/*", "test/*", "*/testing/*", "*_test.cc", "*/fake_*", "*/*_sim.h", "*/*_sim.cc", "*_matchers.h",
    "*_test_*.h", "*_test_*.cc",
]  # fmt: skip

# ---- Generated headers of proto/: patterns in order, the first that matches names the class. ----

PROTO_CLASSES = [
    ("*.grpc.pb.h", "proto:grpc"),
    ("millrace/internal/v1/*record*.pb.h", "proto:records"),
    ("millrace/internal/v1/metadata_image.pb.h", "proto:records"),
    ("millrace/v1/error*.pb.h", "proto:errors"),
    ("*.pb.h", "proto:cold"),
]

# Contracts that others published, under their own packages: our rules for protos do not bind them.
FOREIGN_PROTOS = ["rpc/proto/*"]

# ---- Libraries: include patterns -> files that may include them. ----

_IO = ["base/*", "rpc/*", "http/*", "tools/*", "test/cluster/*", "examples/*"]
_GRPC = ["rpc/*", "*/service/*", "client/*", "tools/bench/*", "tools/millrace/*", "test/cluster/*", "examples/*"]
_TESTS = ["*_test.cc", "test/*", "*/testing/*", "*_matchers.h", "*_test_*.h", "*_test_*.cc"]
# base/log*: a test's capture of lines from any thread; base/posix_file_system*: the end of a round of syncs;
# base/shared_value*: what a client's callers read of what its strand knows.
_MUTEX = ["base/thread_executor*", "base/counters*", "base/log*", "base/posix_file_system*", "base/shared_value*", "http/*", "rpc/*", "tools/*", "test/cluster/*", "examples/*"]
_NOWHERE = []

LIBRARIES = [
    ("gRPC", ["grpc/*", "grpcpp/*", "grpc++/*"], _GRPC),
    ("OpenSSL", ["openssl/*"], ["rpc/pem_check*"]),
    ("gRPC's own services", ["rpc_status.pb.h", "health.*pb.h", "reflection.*pb.h"], ["rpc/*", "test/cluster/*"]),
    ("the echo service of rpc's tests", ["echo.*pb.h"], ["rpc/testing/*", "rpc/*_test.cc"]),
    ("Protocol Buffers", ["google/protobuf/*", "google/rpc/*"],
     _GRPC + ["metadata/*", "controller/*", "broker/*", "node/*", "*/codec/*", "test/*"]),
    ("RocksDB", ["rocksdb/*"], ["storage/kv_rocksdb*"]),
    ("compression", ["zlib.h", "lz4*.h", "zstd*.h", "snappy*.h"], ["record/*"]),
    ("prometheus-cpp and civetweb", ["prometheus/*", "civetweb.h", "CivetServer.h"], ["http/*"]),
    ("spdlog and fmt", ["spdlog/*", "fmt/*"], ["base/log*"]),
    ("CLI11 and yaml-cpp", ["CLI/*", "yaml-cpp/*"], ["tools/*", "base/config*"]),
    ("RE2", ["re2/*"], ["tools/*"]),
    ("nlohmann-json", ["nlohmann/*"], ["tools/*", "http/*", "test/*", "*_test.cc", "examples/*"]),
    ("liburing", ["liburing.h", "liburing/*"], ["base/*"]),
    ("benchmark", ["benchmark/*"], ["tools/bench/*", "*_benchmark.cc"]),
    ("googletest", ["gtest/*", "gmock/*"], _TESTS),
    # Nobody locks with it; the server tells it how it behaves inside gRPC.
    ("Abseil's mutex", ["absl/synchronization/*"], ["tools/millrace/server_process.cc"]),
    ("Abseil's clock", ["absl/time/clock.h"], _IO),
    ("Abseil's random numbers", ["absl/random/*"], ["base/*"]),
    ("Abseil", ["absl/*"], ["*"]),
    ("mutexes", ["mutex", "shared_mutex", "condition_variable"], _MUTEX),
    # The client waits for its own I/O strand; it has no other way to block a caller.
    ("semaphores", ["semaphore"], _IO + ["client/*"]),
    ("threads", ["thread", "future", "latch", "barrier", "stop_token", "pthread.h"], _IO),
    ("clocks", ["chrono", "ctime", "time.h"], _IO),
    ("files", ["fstream", "filesystem"], _IO),
    ("random numbers", ["random"], _IO),
    ("coroutines", ["coroutine"], _NOWHERE),
    ("std::string_view", ["string_view"], _NOWHERE),
    ("the operating system",
     ["sys/*", "netinet/*", "arpa/*", "net/*", "linux/*", "asm/*", "unistd.h", "fcntl.h", "poll.h", "netdb.h",
      "ifaddrs.h", "signal.h", "csignal", "dirent.h", "sched.h", "spawn.h", "pwd.h", "grp.h", "syslog.h",
      "termios.h", "ucontext.h", "dlfcn.h", "execinfo.h"], _IO),
    ("the processor's instructions", ["*intrin.h", "cpuid.h", "arm_*.h"], ["base/*"]),
    ("the allocator's settings and figures", ["malloc.h"], ["*_test.cc", "tools/bench/*", "tools/millrace/*"]),
    ("the C library", ["endian.h", "byteswap.h", "errno.h", "stdint.h", "stddef.h", "string.h", "limits.h",
                       "inttypes.h", "cxxabi.h"], ["*"]),
]  # fmt: skip

# Where a call to the world may stand: see banned_calls.py.
WORLD_PLACES = _IO
MUTEX_PLACES = _MUTEX + ["base/*_test.cc"]
# Libraries that throw are caught where they are used.
EXCEPTION_PLACES = ["tools/*", "base/config*", "base/log*", "http/*", "test/cluster/*", "examples/*"]

# ---- Exceptions: (file pattern, rule, reason). A row that excuses nothing is a finding. ----

EXCEPTIONS = [
]


def matches(path, patterns):
    """Whether a path matches one of the patterns; '*' crosses folders."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
