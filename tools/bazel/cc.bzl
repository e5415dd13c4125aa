"""cc_library, cc_binary and cc_test as this repository uses them: Bazel's own, with others' headers precompiled.

With --define=precompiled_headers=on (the configs of CI set it) every source starts from what
//tools/bazel/precompiled has parsed already, which halves the time of a build from nothing. Sources still
include what they use: builds without it, and tools/tidy, need that.
"""

# What is tested is checked as the configuration says; what tests it is only watched for what it does to memory.
TESTONLY_COPTS = ["-fno-sanitize=undefined"]

# And a test's own code runs once: it need not be optimised.
TEST_COPTS = TESTONLY_COPTS + ["-O0", "-g0"]

def _with_precompiled(kind, wanted, copts, deps, kwargs):
    if not wanted:
        return dict(kwargs, copts = copts, deps = deps)
    return dict(
        kwargs,
        copts = copts + select({
            "//tools/bazel/precompiled:on": [
                "-include-pch",
                "$(BINDIR)/tools/bazel/precompiled/%s.pch" % kind,
            ],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//tools/bazel/precompiled:on": ["//tools/bazel/precompiled:%s_headers" % kind],
            "//conditions:default": [],
        }),
    )

def cc_library(name, copts = [], deps = [], precompiled = True, **kwargs):
    """Bazel's; precompiled = False where copts change how a header is read (e.g. -fno-builtin).

    All is linked statically (.bazelrc), so no library is also linked as a shared one that nobody uses.
    """
    kwargs.setdefault("linkstatic", True)
    if kwargs.get("testonly"):
        copts = copts + TESTONLY_COPTS
    native.cc_library(name = name, **_with_precompiled("code", precompiled, copts, deps, kwargs))

def cc_binary(name, copts = [], deps = [], precompiled = True, **kwargs):
    """Bazel's; precompiled as for cc_library."""
    native.cc_binary(name = name, **_with_precompiled("code", precompiled, copts, deps, kwargs))

def cc_test(name, copts = [], deps = [], precompiled = True, **kwargs):
    """Bazel's, compiled with TEST_COPTS; precompiled as for cc_library."""
    native.cc_test(name = name, **_with_precompiled("test", precompiled, copts + TEST_COPTS, deps, kwargs))
