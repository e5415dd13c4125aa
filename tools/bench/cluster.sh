#!/usr/bin/env bash
# Measures a cluster of three controllers and three brokers beside the machine's limits, Kafka and NATS, and writes
# docs/benchmarks_cluster.md: about 13 minutes.
# Usage: tools/bench/cluster.sh [--quick] [--no-peers] [--rounds N] [--kills N] [--scratch DIR] [--out FILE]
#   --quick      one small round without peers, in half a minute: for trying it out; say --out too
#   --no-peers   leave out Kafka and NATS (they need a JDK, Maven and Go, and access to their registries)
#   --scratch    where all data goes (default: the temporary directory); it must be the disk to be measured
set -euo pipefail

cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
source tools/build_environment.sh

tools/install.sh

bazel build --config=release "${build_flags[@]}" //tools/millrace //tools/bench/probe:all >&2 </dev/null
programs="$(bazel info --config=release bazel-bin 2>/dev/null </dev/null)"

exec /usr/bin/python3 -B tools/bench/cluster_main.py --programs "$programs" "$@"
