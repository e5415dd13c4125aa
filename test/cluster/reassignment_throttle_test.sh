#!/usr/bin/env bash
# One controller and three brokers as real processes: a replica comes with a reassignment that has a throttle. It gets no more
# than that per second, while those in sync are as fast as before; another rate counts at once; when the reassignment is done,
# or taken back, no throttle is left.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"

start_cluster --controllers 1 --brokers 3

replicas() { topic bulk "p['$1']"; }
state() { ask partition reassign --status -o json | json "$1"; }
fill() { ask perf produce bulk --records "$1" --size 1000 --acks all >/dev/null || fail 'records are not taken'; }
throttle() { metric 101 millrace_replication_throttle_bytes_per_second; }
nothing_moves() { ask partition reassign --status -o json | json_holds "not it['reassignments']"; }

ask topic create bulk --partitions 1 --replication-factor 2 >/dev/null || fail 'the topic cannot be created'
# Broker 101 leads, 102 follows, 103 is to come.
ask partition reassign bulk:0 --replicas 101,102 >/dev/null || fail 'the partition cannot be placed'
await 30 'the partition is not placed' nothing_moves
ask partition elect bulk:0 >/dev/null || true
[[ "$(replicas leader)" == 101 && "$(replicas replicas)" == '[101, 102]' ]] || fail "$(ask topic describe bulk)"
fill 12000

readonly rate=1000000
before="$(metric 103 millrace_replication_bytes_in_total)"
began="$(now_ms)"
ask partition reassign bulk:0 --replicas 101,102,103 --throttle "$rate" >/dev/null || fail 'the partition cannot be moved'
[[ "$(state "it['reassignments'][0]['throttle_bytes_per_s']")" == "$rate" ]] || fail 'the throttle is not told'
ask partition reassign --status | grep -q 'at most 0.95 MiB/s' || fail 'the progress does not name the throttle'
while (($(now_ms) < began + 4000)); do sleep 0.2; done
came=$(($(metric 103 millrace_replication_bytes_in_total) - before))
spent=$(($(now_ms) - began))
printf 'reassignment_throttle_test: %s bytes came in %s ms under %s bytes/s\n' "$came" "$spent" "$rate"
# The largest batch may be ahead of what it may cost.
((came <= rate * spent / 1000 + 1500000)) || fail "$came bytes came in $spent ms, more than the throttle allows"
((came >= rate * spent / 1000 / 4)) || fail "only $came bytes came in $spent ms"
[[ "$(replicas isr)" == '[101, 102]' ]] || fail "it is over too soon: $(ask topic describe bulk)"
[[ "$(metric 101 millrace_replication_throttled_bytes_out_total)" -ge "$came" ]] || fail 'the throttled bytes are not counted'

# Those in sync are not held back: 6 MB take 6 s and more under the throttle.
began="$(now_ms)"
fill 6000
took=$(($(now_ms) - began))
printf 'reassignment_throttle_test: 6 MB with acks=all took %s ms meanwhile\n' "$took"
((took < 5000)) || fail "producers are held back: 6 MB took $took ms"

# Taken back, and given again: the throttle goes and comes with it.
ask partition cancel bulk:0 >/dev/null || fail 'the reassignment cannot be taken back'
await 20 'the throttle outlives a reassignment that was taken back' says 0 throttle
ask partition reassign bulk:0 --replicas 101,102,103 --throttle 10000 >/dev/null || fail 'the partition cannot be moved again'
sleep 1
[[ "$(replicas isr)" == '[101, 102]' ]] || fail "it is over too soon: $(ask topic describe bulk)"

# Another rate counts at once, whatever is owed.
began="$(now_ms)"
ask partition reassign bulk:0 --replicas 101,102,103 --throttle 200000000 >/dev/null || fail 'the rate cannot be changed'
await 20 'the reassignment does not end at the higher rate' nothing_moves
printf 'reassignment_throttle_test: done %s ms after the rate was raised\n' "$(($(now_ms) - began))"
[[ "$(replicas isr)" == '[101, 102, 103]' && "$(replicas replicas)" == '[101, 102, 103]' ]] || fail "$(ask topic describe bulk)"
await 20 'the throttle outlives its reassignment' says 0 throttle

throttled="$(metric 101 millrace_replication_throttled_bytes_out_total)"
fill 3000
[[ "$(metric 101 millrace_replication_throttled_bytes_out_total)" == "$throttled" ]] || fail 'somebody is still throttled'
ask partition verify bulk:0 >/dev/null || fail 'the replicas are not alike'
