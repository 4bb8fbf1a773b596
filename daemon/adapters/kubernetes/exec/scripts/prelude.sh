# Stands before each of the other scripts. It needs a POSIX shell with cat, ln and readlink, and nothing of procps.
# Every name starts with rd_, so that no variable is changed that the container exports to the command.
# Exit codes of the scripts: 81 no control directory, 82 another incarnation, 83 not writable, 84 unsure.

# rd_look PID: set rd_state, rd_parent, rd_group, rd_session and rd_started (field 22) of a process; fails when it is gone.
# `read` is a builtin, so that `rd_look self` is about this very process, in a subshell as well.
rd_look() {
    rd_stat=
    { IFS= read -r rd_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    case $rd_stat in
        *') '*) ;;
        *) rd_stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1 ;; # a line break in the program's name
    esac
    rd_self=${rd_stat%% *}
    set -- ${rd_stat##*') '}
    rd_state=$1 rd_parent=$2 rd_group=$3 rd_session=$4 rd_started=${20}
    [ -n "$rd_started" ]
}

# rd_born: set rd_incarnation, the container's incarnation; empty where PID 1 can't be seen.
rd_born() {
    rd_incarnation= rd_boot=
    { IFS= read -r rd_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
    rd_look 1 && rd_incarnation=$rd_started-$rd_boot
}

# rd_same DIR INCARNATION: go on only in the container that the attempt was prepared in.
rd_same() {
    if [ -n "$2" ]; then
        rd_born
        [ "$rd_incarnation" = "$2" ] || exit 82
    fi
    [ -d "$1" ] || exit 81
}

# rd_read_claim DIR: set rd_claim, who won the one link (empty: nobody yet), and its parts.
rd_read_claim() {
    rd_claim=
    [ ! -L "$1/claim" ] || rd_claim=$(readlink "$1/claim")
    rd_pid=0 rd_since=0 rd_own_group=0
    case $rd_claim in
        *.*.*)
            rd_pid=${rd_claim%%.*}
            rd_own_group=${rd_claim##*.}
            rd_since=${rd_claim#*.}
            rd_since=${rd_since%.*}
            ;;
    esac
}

# rd_read_state DIR: set rd_alive, whether the process that claimed DIR is there, and rd_exit, its exit code or `-`.
# Liveness is read first, then the exit code, and callers read the output after both. So "gone and no code" is
# conclusive, and once a code is there all output is.
rd_read_state() {
    rd_alive=0 rd_exit=-
    [ "$rd_pid" = 0 ] || { rd_look "$rd_pid" && [ "$rd_started" = "$rd_since" ] &&
        case $rd_state in Z | X | x) false ;; esac && rd_alive=1; }
    [ ! -L "$1/exit" ] || rd_exit=$(readlink "$1/exit")
}

# The output's first 15,663,104 bytes, 239 blocks, stay as they are. What comes after them may be cut (see `launch`).
rd_head=15663104

# rd_measure DIR: set rd_size, how much of the output stands for good, by rd_alive and rd_exit as they were just read.
# While the command runs that is the head at most.
rd_measure() {
    rd_size=0
    [ -f "$1/log" ] || return 0
    set -- $(ls -ln "$1/log" 2>/dev/null)
    rd_size=${5:-0}
    [ "$rd_size" -gt "$rd_head" ] && [ "$rd_exit" = - ] || return 0
    [ "$rd_alive" = 0 ] && [ "$rd_pid" != 0 ] || rd_size=$rd_head
}

# rd_seek OFFSET: put descriptor 3 there. Its readers share one position: each reads on where the last one ended.
rd_seek() {
    [ "$1" -eq 0 ] || dd bs=1 skip="$1" count=0 <&3 >/dev/null 2>&1
}
