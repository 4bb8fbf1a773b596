# launch DIR INCARNATION SESSION STDIN_BYTES ARGV...: start ARGV detached, at most once for DIR.
# The command inherits RESETD_ATTEMPT from the environment of this script.
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

(
    trap '' HUP
    # Outlives its own TERM, so that the code with which the command ends is still written down.
    trap : TERM
    rd_look self
    # runc gives each exec a session and group of its own, led by this script's shell. Where that is not so, the group
    # belongs to somebody else and is never signalled: the marker alone then finds the processes.
    [ "$rd_group" = "$$" ] || rd_group=0
    # The link decides whether this launch starts the command: it is made or refused in one step. Its text says who won.
    ln -s "$rd_self.$rd_started.$rd_group" "$rd_dir/claim" 2>/dev/null || exit
    "$@"
    # A link is made in one step, too, and takes no block of a disk that the command may have filled.
    ln -s "$?" "$rd_dir/exit"
) <"$rd_in" >>"$rd_dir/log" 2>&1 &

# A courtesy: most launches are claimed by the time that the caller follows them. Nothing depends on it.
rd_n=0
until [ -L "$rd_dir/claim" ] || [ "$rd_n" -ge 40 ]; do
    rd_n=$((rd_n + 1))
    sleep 0.02 2>/dev/null || sleep 1
done
exit 0
