# sweep DIR INCARNATION ATTEMPT ACT: find or signal what is left of an attempt: its session, its group, and every
# process that carries its marker. ACT is a signal, TERM or KILL, or `gone`, which prints `gone` or `left PID...`, and
# ends with 84 where nobody can tell whether a process is the attempt's.
rd_same "$1" "$2"
rd_attempt=$3 rd_act=$4
rd_read_claim "$1"
# A leader that is younger than the claim is not the launching shell: the group's number was given to somebody else.
if [ "$rd_own_group" != 0 ] && rd_look "$rd_own_group" && [ "$rd_started" -gt "$rd_since" ]; then
    rd_own_group=0
fi

# rd_carries PID: answer 0 where a process has the attempt's marker, 1 where it has not, 2 where nobody can tell.
rd_carries() {
    rd_env=$(tr '\0' '\n' 2>/dev/null <"/proc/$1/environ") 2>/dev/null || return 2
    case "
$rd_env
" in
        *"
RESETD_ATTEMPT=$rd_attempt
"*) return 0 ;;
        *=*) return 1 ;;
        *) return 2 ;; # overwritten (setproctitle), emptied, or between fork and exec
    esac
}

# rd_scan: set rd_left, the processes of the group, rd_strays, those by session or marker, and rd_unsure, the undecided.
rd_scan() {
    rd_left= rd_strays= rd_unsure=
    for rd_entry in /proc/[0-9]*; do
        rd_other=${rd_entry#/proc/}
        [ "$rd_other" != "$$" ] || continue
        rd_look "$rd_other" || continue
        case $rd_state in Z | X | x) continue ;; esac
        if [ "$rd_own_group" != 0 ]; then
            case $rd_own_group in
                "$rd_group") rd_left="$rd_left $rd_other" && continue ;;
                "$rd_session") rd_strays="$rd_strays $rd_other" && continue ;;
            esac
        fi
        # A process that started before the attempt is not the attempt's.
        [ "$rd_started" -ge "$rd_since" ] || continue
        rd_carries "$rd_other"
        case $? in
            0) rd_strays="$rd_strays $rd_other" ;;
            2) rd_look "$rd_other" && case $rd_state in Z | X | x) ;; *) rd_unsure="$rd_unsure $rd_other" ;; esac ;;
        esac
    done
}

if [ "$rd_act" = gone ]; then
    rd_scan
    # Between fork and exec a process has no readable environment. That passes.
    for rd_again in 1 2 3; do
        [ -n "$rd_unsure" ] && [ -z "$rd_left$rd_strays" ] || break
        sleep 0.1 2>/dev/null || sleep 1
        rd_scan
    done
    if [ -n "$rd_left$rd_strays" ]; then
        printf 'left%s%s\n' "$rd_left" "$rd_strays"
    elif [ -n "$rd_unsure" ]; then
        printf 'unsure%s\n' "$rd_unsure"
        exit 84
    else
        printf 'gone\n'
    fi
    exit 0
fi

[ "$rd_own_group" = 0 ] || kill "-$rd_act" "-$rd_own_group" 2>/dev/null
rd_scan
rd_pass=0
# TERM once each: npm takes a second one for impatience. KILL until no process is left that could fork.
while [ -n "$rd_strays" ] || { [ "$rd_act" = KILL ] && [ -n "$rd_left" ]; }; do
    [ "$rd_act" = TERM ] || rd_strays="$rd_left $rd_strays"
    for rd_other in $rd_strays; do
        kill "-$rd_act" "$rd_other" 2>/dev/null
    done
    rd_pass=$((rd_pass + 1))
    [ "$rd_act" = KILL ] && [ "$rd_pass" -lt 10 ] || break
    rd_scan
done
exit 0
