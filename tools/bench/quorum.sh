#!/usr/bin/env bash
# Measures a quorum of three controllers beside the machine's limits and etcd, and writes docs/benchmarks_quorum.md:
# about ten minutes.
# Usage: tools/bench/quorum.sh [--quick] [--no-peers] [--rounds N] [--kills N] [--pauses N] [--scratch DIR] [--out FILE]
#   --quick      one short round without etcd, in a minute: for trying it out; say --out too
#   --no-peers   leave out etcd (it is Debian's: the one installed, or its packages, unpacked but not installed)
#   --scratch    where all data goes (default: the temporary directory); it must be the disk to be measured
set -euo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tools/build_environment.sh

tools/install.sh

bazel build --config=release "${build_flags[@]}" //tools/millrace //tools/bench/probe:all //tools/bench/micro >&2 </dev/null
programs="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)"

exec /usr/bin/python3 -B tools/bench/quorum_main.py --programs "$programs" "$@"
