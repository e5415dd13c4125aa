# What every script that calls Bazel sets first; to be sourced, from the root of the tree.

# Bazel wants a home that it may write to; services and containers often run without one.
if [[ -z "${HOME:-}" ]]; then
  HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"
fi
if [[ ! -d "${HOME:-}" || ! -w "$HOME" ]]; then
  HOME="${TMPDIR:-/tmp}/millrace-build-$(id -u)"
  mkdir -p "$HOME"
fi
export HOME

# A compiler that includes gRPC, under a sanitizer, takes up to 2 GiB: as many at once as memory allows.
_jobs="$(awk -v cores="$(nproc)" '/^MemAvailable:/ {
    jobs = int($2 / (2 * 1024 * 1024)); if (jobs > cores) jobs = cores; print jobs < 1 ? 1 : jobs }' /proc/meminfo)"

# On a terminal Bazel draws its progress in place; elsewhere a line now and then shows that it lives.
# Tests of processes mostly wait, so one test more than that runs at a time; they say by deadlines, not by speed, what is right.
build_flags=("--jobs=$((_jobs + 1))" "--local_cpu_resources=$_jobs" "--local_test_jobs=$((_jobs + 1))")
[[ -t 2 ]] || build_flags+=(--show_progress_rate_limit=20)
