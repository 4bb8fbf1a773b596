# poll COUNT INCARNATION BOUND: observe each of COUNT commands of this container once. The input has a line `OFFSET DIR`
# for each. Prints a frame for each, as `follow` does, in this order. Ends with 81 at the first without a directory.
if [ -n "$2" ]; then
    rd_born
    [ "$rd_incarnation" = "$2" ] || exit 82
fi
rd_count=$1 rd_bound=$3
while [ "$rd_count" -gt 0 ] && IFS=' ' read -r rd_offset rd_dir; do
    rd_count=$((rd_count - 1))
    [ -d "$rd_dir" ] || exit 81
    rd_read_claim "$rd_dir"
    rd_read_state "$rd_dir"
    rd_measure "$rd_dir"
    rd_length=$((rd_size - rd_offset))
    [ "$rd_length" -ge 0 ] || rd_length=0
    if [ "$rd_length" -gt "$rd_bound" ]; then
        rd_length=$rd_bound
        printf 'more %s %s\n' "$rd_offset" "$rd_length"
    else
        printf 'look %s %s %s %s %s\n' "${rd_claim:--}" "$rd_alive" "$rd_exit" "$rd_offset" "$rd_length"
    fi
    [ "$rd_length" -eq 0 ] || {
        exec 3<"$rd_dir/log"
        rd_seek "$rd_offset"
        head -c "$rd_length" <&3
    }
done
exit 0
