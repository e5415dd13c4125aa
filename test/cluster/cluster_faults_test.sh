#!/usr/bin/env bash
# Three controllers and three brokers as real processes, under steady load with acks=all: leaders are killed, paused and
# stopped, and the active controller too. Every acknowledged record is there at the end, once, at its offset and in order;
# all replicas are back in sync and equal, byte for byte; and the longest time without an acknowledgement is told for each fault.
set -euo pipefail

source "$PWD/test/cluster/cluster_of_processes.sh"
source "$PWD/test/cluster/equal_replicas.sh"
readonly check="$PWD/tools/bench/probe/delivery_check"

checker=''
before_clean_up() {
  [[ -z "$checker" ]] || kill -9 "$checker" 2>/dev/null || true
  for n in 101 102 103; do cluster resume "$n" >/dev/null 2>&1 || true; done
}

start_cluster --controllers 3 --brokers 3

topic() { # EXPRESSION: what it says of the description of the topic
  ask topic describe events -o json |
    /usr/bin/python3 -c "import json, sys; ps = json.load(sys.stdin)['topics'][0]['partitions']; print($1)"
}
await_topic() { # WHAT EXPRESSION
  local deadline=$(($(date +%s) + 90))
  until [[ "$(topic "$2" 2>/dev/null)" == True ]]; do
    (($(date +%s) < deadline)) || fail "$1: $(ask topic describe events -o json)"
    sleep 0.1
  done
}
readonly whole="all(len(p['isr']) == 3 and p['leader'] in p['isr'] for p in ps)"
back() { cluster start >/dev/null 2>"$work/start.log" || fail "node $1 does not come back: $(cat "$work/start.log")"; }

ask topic create events --partitions 6 --replication-factor 3 >/dev/null || fail 'the topic cannot be created'
await_topic 'not all replicas are in sync at first' "$whole"

# Sends until it is told to stop; its report is the verdict.
"$check" --bootstrap "$bootstrap" --topic events --rate 1000 >"$work/report" 2>"$work/check.err" &
checker=$!

for fault in kill pause stop kill controller; do
  victim="$(topic "ps[0]['leader']")"
  case "$fault" in
    kill)
      cluster kill "$victim" 2>/dev/null
      await_topic "killed broker $victim still leads" "all(p['leader'] not in ($victim, -1) for p in ps)"
      back "$victim"
      ;;
    pause)
      cluster pause "$victim" 2>/dev/null
      await_topic "paused broker $victim still leads" "all(p['leader'] not in ($victim, -1) for p in ps)"
      cluster resume "$victim" 2>/dev/null
      ;;
    stop)
      cluster stop "$victim" 2>/dev/null || fail "broker $victim does not stop cleanly"
      await_topic "stopped broker $victim still leads" "all(p['leader'] not in ($victim, -1) for p in ps)"
      back "$victim"
      ;;
    controller)
      victim="$(ask quorum describe -o json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["leader"])')"
      cluster kill "$victim" 2>/dev/null
      back "$victim"
      ;;
  esac
  await_topic "after '$fault $victim' not all replicas are in sync again" "$whole"
  kill -0 "$checker" 2>/dev/null || fail "the checker ended: $(cat "$work/report")"
done

kill -TERM "$checker"
status=0
wait "$checker" || status=$?
checker=''
cat "$work/report"
((status == 0)) || fail 'the records are not what was acknowledged'
replicas_are_equal events 6
