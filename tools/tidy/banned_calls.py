"""Calls to clocks, threads, files, sockets and random numbers outside the places where the world may come in.

Comments and literals do not count. A rule is (name, pattern, places where it may stand, what to do instead).
"""

import re

import cpp_text
import layers
from finding import Finding

# A name that starts a call of a free function: no member access, no other qualifier before it.
_FREE = r"(?<![\w.:>~&])(?:::)?"
_GLOBAL = r"(?<![\w>])::"
_SEAM = "take it through the seam (docs/architecture.md, 'The seams')"
_WORLD = layers.WORLD_PLACES

_RULES = [
    ("thread", r"\bstd::(?:jthread|thread|async)\b(?!::)|\bstd::this_thread\b|" + _FREE + r"pthread_\w+\s*\(",
     _WORLD, "post to an Executor"),
    ("clock", r"\bstd::chrono::\w+_clock\b|\b(?:clock_gettime|gettimeofday|timespec_get)\s*\(|"
     r"\babsl::(?:Now|GetCurrentTimeNanos)\s*\(|(?<![\w.>])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&\w+)\s*\)",
     _WORLD, "cores are given `now`; shells ask the Clock"),
    ("sleep", r"\b(?:sleep|usleep|nanosleep|sleep_for|sleep_until|SleepFor)\s*\(", _WORLD,
     "wait for the state with a deadline, or PostAt"),
    ("file", r"\bstd::(?:basic_)?[io]?fstream\b|\bstd::filesystem\b|\b(?:std::)?(?:fopen|freopen|tmpfile)\s*\(|"
     + _FREE + r"(?:open|openat|close|read|write|pread|pwrite|preadv|pwritev|fsync|fdatasync|ftruncate|fallocate|"
     r"mmap|munmap|syscall)\s*\(\s*[^)\s]|"
     + _GLOBAL + r"(?:rename|renameat|unlink|mkdir|rmdir|stat|fstat|lseek|flock|opendir|remove)\s*\(",
     _WORLD, "use FileSystem of base/file_system.h"),
    ("socket", _FREE + r"(?:socket|setsockopt|getsockopt|recvmsg|sendmsg|epoll_\w+|getaddrinfo)\s*\(\s*[^)\s]|"
     + _GLOBAL + r"(?:connect|accept|accept4|bind|listen|send|recv|poll|select|shutdown)\s*\(",
     _WORLD, "the network belongs to rpc/ and http/, behind the channel interfaces"),
    ("process", _FREE + r"(?:fork|vfork|execv|execve|execvp|posix_spawn|kill|waitpid|sigaction)\s*\(\s*[^)\s]?|"
     r"\bstd::system\s*\(", _WORLD, "processes and signals belong to tools/ and test/cluster"),
    ("random", r"\bstd::(?:random_device|mt19937(?:_64)?|default_random_engine|minstd_rand0?)\b|\babsl::BitGen\b|"
     r"\babsl::InsecureBitGen\b|" + _FREE + r"(?:std::)?(?:rand|srand|drand48|getrandom|getentropy)\s*\(",
     _WORLD, "take Random& by constructor; ids are drawn by shells"),
    ("mutex", r"\bstd::(?:recursive_|shared_|timed_)*mutex\b|\bstd::condition_variable(?:_any)?\b|"
     r"\bstd::(?:counting_semaphore|binary_semaphore|latch|barrier)\b",
     layers.MUTEX_PLACES, "give the object one owner executor and post to it"),
    ("absl-mutex", r"\babsl::(?:Mutex\w*|CondVar|Notification|BlockingCounter|Barrier)\b", [],
     "use std::mutex where a mutex is allowed: Debian's Abseil mutex makes ThreadSanitizer report falsely"),
    ("string-view", r"\bstd::(?:basic_)?string_view\b", [], "write absl::string_view, or Slice for raw bytes"),
    ("coroutine", r"\bco_(?:await|yield|return)\b", [], "write a state machine that can be stepped"),
    ("exception", r"\bthrow\b(?!\s*\(\s*\))|\bcatch\s*\(", layers.EXCEPTION_PLACES,
     "return absl::Status; CHECK for a broken invariant"),
]  # fmt: skip
RULES = [(name, re.compile(pattern), places, advice) for name, pattern, places, advice in _RULES]

# What stands before the name in a declaration, as in `WriteSink write(1);`: a word that is no keyword.
_DECLARED = re.compile(r"(\w+)(?:\s*[*&>]+)?\s+$")
_BEFORE_CALLS = {"return", "else", "do", "throw", "case", "and", "or", "not", "co_return"}


def _is_declaration(line, match):
    if "(" not in match.group(0):
        return False
    before = _DECLARED.search(line[: match.start()])
    return before is not None and before.group(1) not in _BEFORE_CALLS and not match.group(0).startswith("::")


def check(tree):
    for path in tree.with_suffix(".cc", ".h"):
        active = [rule for rule in RULES if not layers.matches(path, rule[2])]
        for number, line in enumerate(cpp_text.code_lines(tree.text(path)), start=1):
            if line.lstrip().startswith("#include"):
                continue
            for name, pattern, places, advice in active:
                match = next((m for m in pattern.finditer(line) if not _is_declaration(line, m)), None)
                if match:
                    where = ", ".join(places) or "nowhere"
                    yield Finding(path, number, f"banned-{name}",
                                  f"`{match.group(0).strip()}` is allowed only in: {where}. {advice[0].upper()}"
                                  f"{advice[1:]}")
