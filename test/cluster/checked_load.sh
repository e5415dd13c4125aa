# Records that are sent to a cluster without pause, and what must have become of them; for scripts that source
# cluster_of_processes.sh.

declare -A load=()

# Sends to a topic, with acks=all, and reads what it sent. Its report is in $work/TOPIC.report when it ends.
start_load() { # TOPIC RECORDS-PER-SECOND OPTION...
  local topic="$1" rate="$2"
  shift 2
  "$PWD/tools/bench/probe/delivery_check" --bootstrap "$bootstrap" --topic "$topic" --rate "$rate" "$@" \
    >"$work/$topic.report" 2>"$work/$topic.err" &
  load[$topic]=$!
}
load_goes_on() { # TOPIC
  kill -0 "${load[$1]}" 2>/dev/null || fail "the load of $1 has ended: $(cat "$work/$1.report")"
}
# Every acknowledged record is there, once, at its offset and in order.
end_load() { # TOPIC
  load_goes_on "$1"
  kill -TERM "${load[$1]}"
  local status=0
  wait "${load[$1]}" || status=$?
  cat "$work/$1.report"
  ((status == 0)) || fail "the records of $1 are not what was acknowledged"
}

# All replicas of all partitions hold the same bytes, to the end of each, as their brokers tell while they run. A follower
# learns of the end with what is pushed to it next, so the comparison is made again until it reaches the end; a difference is
# none that goes away.
replicas_are_equal() { # TOPIC PARTITIONS
  local compared='' deadline=$(($(date +%s) + 60))
  until [[ "$compared" == whole ]]; do
    (($(date +%s) < deadline)) || fail "not all replicas of $1 reach its end: $(cat "$work/verified")"
    ask partition verify "$1" -o json >"$work/verified" 2>"$work/verify.err" ||
      fail "the replicas of $1 are not alike: $(cat "$work/verify.err" "$work/verified")"
    compared="$(/usr/bin/python3 - "$work/verified" "$2" <<'PYTHON'
import json, sys
with open(sys.argv[1]) as file:
    said = json.load(file)
partitions = said["partitions"]
ends = [{replica["end_offset"] for replica in p["replicas"]} for p in partitions]
whole = len(partitions) == int(sys.argv[2]) and all(e == {p["to_offset"]} for e, p in zip(ends, partitions))
print("whole" if said["equal"] and all(p["equal"] for p in partitions) and whole else "in part")
PYTHON
)"
  done
  printf 'the replicas of %s are equal, %s bytes each\n' "$1" "$(/usr/bin/python3 -c \
    'import json, sys; print(sum(p["bytes"] for p in json.load(sys.stdin)["partitions"]))' <"$work/verified")"
}
