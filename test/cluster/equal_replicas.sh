# For scripts that have `ask` (a command about the cluster), `fail` and $work; they source it.

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
