# discard INCARNATION DIR...: remove the output and the input of commands that are over. Claim and exit code stay.
if [ -n "$1" ]; then
    rd_born
    [ "$rd_incarnation" = "$1" ] || exit 82
fi
shift
for rd_each in "$@"; do
    [ -L "$rd_each/claim" ] || continue
    rd_read_claim "$rd_each"
    rd_read_state "$rd_each"
    [ "$rd_alive" = 0 ] || continue
    rm -f "$rd_each/log" "$rd_each/edge" "$rd_each/lines" "$rd_each/tail" "$rd_each"/tail.new "$rd_each"/stdin*
done
exit 0
