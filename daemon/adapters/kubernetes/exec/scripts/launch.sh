# launch DIR INCARNATION SESSION STDIN_BYTES ARGV...: start ARGV detached, at most once for DIR.
# The command inherits RESETD_ATTEMPT from the environment of this script.
#
# The command writes to a file, so that no reader can block it or end it. A second process, the keeper, keeps that file
# bounded: beyond 16 MiB it cuts what comes after the head. Its death changes nothing but the size of the file.
rd_same "$1" "$2"
# libpq and node-postgres give their sessions this name. By it those sessions are found that outlive the command.
[ -n "$PGAPPNAME" ] || export PGAPPNAME="$3"
rd_dir=$1 rd_in=/dev/null rd_bytes=$4
shift 4
if [ "$rd_bytes" -gt 0 ]; then
    # Counted, since the input of a v4 stream can't be ended. Whole or not at all: half a statement may be one, too.
    rd_in=$rd_dir/stdin
    head -c "$rd_bytes" >"$rd_in.$$" || exit 83
    [ "$(wc -c <"$rd_in.$$")" -eq "$rd_bytes" ] || exit 83
    mv "$rd_in.$$" "$rd_in" || exit 83
fi
[ -w "$rd_dir" ] || exit 83

# rd_cut: leave the head, whole lines after it, and a word about what was left out. The newest output goes to `tail`.
rd_cut() {
    rd_skip=$((rd_size / 65536 - 1))
    {
        if [ "$((rd_size - rd_since))" -gt 131072 ]; then
            dd if="$rd_dir/log" bs=65536 skip="$rd_skip" count=2
        else
            cat "$rd_dir/tail"
            exec 3<"$rd_dir/log"
            rd_seek "$rd_since"
            head -c "$((rd_size - rd_since))" <&3
        fi
    } >"$rd_dir/tail.new" && mv "$rd_dir/tail.new" "$rd_dir/tail"
    # Half a line may hold half a secret, which nobody would know for one.
    [ -f "$rd_dir/lines" ] || dd if="$rd_dir/log" bs=65536 skip=239 count=1 |
        while IFS= read -r rd_line; do printf '%s\n' "$rd_line"; done >"$rd_dir/lines"
    rd_left=$((rd_left + rd_size - rd_since))
    { cat "$rd_dir/lines" && printf '\n[resetd: about %s MB of output were left out here]\n' "$((rd_left / 1000000))"; } \
        >"$rd_dir/edge"
    # The command goes on writing at the file's end, wherever that is.
    dd if=/dev/null of="$rd_dir/log" bs=65536 seek=239
    cat "$rd_dir/edge" >>"$rd_dir/log"
    set -- $(ls -ln "$rd_dir/edge")
    rd_since=$((rd_head + $5))
}

# rd_keep: keep the log bounded until USR1 says that the command ended, or its shell is gone.
rd_keep() {
    rd_over= rd_left=0 rd_since=$rd_head rd_exit=over
    trap : TERM
    trap 'rd_over=1; [ -z "$!" ] || kill -KILL "$!"' USR1
    until [ -n "$rd_over" ]; do
        sleep 1 &
        [ -z "$rd_over" ] || kill -KILL "$!"
        wait "$!"
        rd_look "$rd_shell" && [ "$rd_started" = "$rd_born_at" ] || break
        case $rd_state in Z | X | x) break ;; esac
        rd_measure "$rd_dir"
        # Who lost the claim keeps nothing.
        [ "$rd_size" -gt 16777216 ] && [ "$(readlink "$rd_dir/claim")" = "$rd_name" ] && rd_cut
    done
    if [ -n "$rd_over" ] && [ -f "$rd_dir/edge" ] && [ "$(readlink "$rd_dir/claim")" = "$rd_name" ]; then
        rd_measure "$rd_dir"
        rd_cut
        { IFS= read -r rd_line && cat; } <"$rd_dir/tail" >>"$rd_dir/log"
        rm -f "$rd_dir/tail"
    fi
    wait
}

(
    trap '' HUP
    # Outlives its own TERM, so that the code with which the command ends is still written down.
    trap : TERM
    rd_look self
    # runc gives each exec a session and group of its own, led by this script's shell. Where that is not so, the group
    # belongs to somebody else and is never signalled: the marker alone then finds the processes.
    [ "$rd_group" = "$$" ] || rd_group=0
    rd_shell=$rd_self rd_born_at=$rd_started rd_name=$rd_self.$rd_started.$rd_group
    # Before the claim: a shell that can't make this process ends here, and nothing was started.
    rd_keep </dev/null >/dev/null 2>&1 &
    rd_keeper=$!
    # The link decides whether this launch starts the command: it is made or refused in one step. Its text says who won.
    ln -s "$rd_name" "$rd_dir/claim" 2>/dev/null && { "$@"; rd_code=$?; } || rd_code=lost
    rd_look "$rd_keeper" && [ "$rd_parent" = "$rd_shell" ] && kill -USR1 "$rd_keeper"
    # A TERM interrupts a `wait`. Once the keeper is gone, it answers at once.
    for rd_n in 1 2 3; do
        wait "$rd_keeper"
    done 2>/dev/null
    # A link is made in one step, too, and takes no block of a disk that the command may have filled.
    [ "$rd_code" = lost ] || ln -s "$rd_code" "$rd_dir/exit"
) <"$rd_in" >>"$rd_dir/log" 2>&1 &

# A courtesy: most launches are claimed by the time that the caller follows them. Nothing depends on it.
rd_n=0
until [ -L "$rd_dir/claim" ] || [ "$rd_n" -ge 40 ]; do
    rd_n=$((rd_n + 1))
    sleep 0.02 2>/dev/null || sleep 1
done
exit 0
