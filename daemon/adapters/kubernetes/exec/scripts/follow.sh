# follow DIR INCARNATION OFFSET BOUND LIFE: observe a command, from a byte of its output on, for LIFE seconds at most.
# Prints frames: a line `more OFFSET LENGTH` or `look CLAIM ALIVE EXIT OFFSET LENGTH`, then LENGTH bytes of output.
trap '' PIPE
rd_same "$1" "$2"
rd_dir=$1 rd_offset=$3 rd_bound=$4 rd_life=$5

# A write can block for ever: some streams that are cut leave a pipe open that nobody reads. So a child keeps the time.
rd_look self
rd_me=$rd_self rd_mine=$rd_started rd_target=$rd_self
[ "$rd_group" != "$rd_self" ] || rd_target=-$rd_self
(
    # `$!` and KILL find the sleep at every instant in which it is there.
    trap '[ -z "$!" ] || kill -KILL "$!"; wait; exit 0' TERM
    sleep "$((rd_life + 30))" &
    wait "$!"
    rd_look "$rd_me" && [ "$rd_started" = "$rd_mine" ] && kill -KILL "$rd_target"
) </dev/null >/dev/null 2>&1 &
rd_watch=$!
# `wait` collects the child: a PID 1 that does not reap would keep it as a zombie.
trap 'kill "$rd_watch" 2>/dev/null; wait' EXIT
trap 'exit 0' TERM HUP INT

rd_uptime() {
    IFS=' .' read -r rd_now rd_rest </proc/uptime
}

# rd_give LENGTH: print the next bytes of the log. They are there: what was measured stands for good.
rd_give() {
    [ "$1" -eq 0 ] || head -c "$1" <&3 || exit 0
    rd_offset=$((rd_offset + $1))
}

rd_uptime
rd_end=$((rd_now + rd_life))
rd_open= rd_seen= rd_tenths=2 rd_claim=
while :; do
    [ -n "$rd_claim" ] || rd_read_claim "$rd_dir"
    rd_read_state "$rd_dir"
    rd_measure "$rd_dir"
    [ "$rd_size" -ge "$rd_offset" ] || rd_size=$rd_offset
    if [ -z "$rd_open" ] && [ -f "$rd_dir/log" ]; then
        exec 3<"$rd_dir/log"
        rd_seek "$rd_offset"
        rd_open=1
    fi
    [ -n "$rd_open" ] || rd_size=$rd_offset
    while [ "$((rd_size - rd_offset))" -gt "$rd_bound" ]; do
        printf 'more %s %s\n' "$rd_offset" "$rd_bound" 2>/dev/null || exit 0
        rd_give "$rd_bound"
        rd_tenths=2
    done
    rd_length=$((rd_size - rd_offset))
    printf 'look %s %s %s %s %s\n' "${rd_claim:--}" "$rd_alive" "$rd_exit" "$rd_offset" "$rd_length" 2>/dev/null || exit 0
    rd_give "$rd_length"
    [ "$rd_claim" != given-up ] || exit 0
    [ "$rd_exit" = - ] || exit 0
    [ "$rd_pid" = 0 ] || [ "$rd_alive" = 1 ] || exit 0
    rd_uptime
    [ "$rd_now" -lt "$rd_end" ] || exit 0
    if [ "$rd_length" -gt 0 ] || [ "$rd_claim" != "$rd_seen" ]; then
        rd_tenths=2
    elif [ "$rd_tenths" -lt 10 ]; then
        rd_tenths=$((rd_tenths + 1))
    fi
    rd_seen=$rd_claim
    sleep "$((rd_tenths / 10)).$((rd_tenths % 10))" 2>/dev/null || sleep 1
done
