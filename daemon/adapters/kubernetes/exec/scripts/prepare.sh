# prepare NAME: make the control directory in the first base that takes a file and a link.
# Prints its path and the container's incarnation, a line each. Repeated, it prints the same directory.
for rd_base in "$TMPDIR" /tmp /dev/shm; do
    case $rd_base in /*) ;; *) continue ;; esac
    rd_dir=$rd_base/$1
    mkdir -m 700 "$rd_dir" 2>/dev/null ||
        { [ -d "$rd_dir" ] && [ ! -L "$rd_dir" ] && [ -O "$rd_dir" ]; } || continue
    if { echo probe >"$rd_dir/probe.$$" && ln -s probe "$rd_dir/link.$$"; } 2>/dev/null; then
        rm -f "$rd_dir/probe.$$" "$rd_dir/link.$$"
        rd_born
        printf '%s\n%s\n' "$rd_dir" "$rd_incarnation"
        exit 0
    fi
    rm -f "$rd_dir/probe.$$" "$rd_dir/link.$$"
    rmdir "$rd_dir" 2>/dev/null
done
exit 83
