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
build_flags=("--jobs=$_jobs")
[[ -t 2 ]] || build_flags+=(--show_progress_rate_limit=20)
