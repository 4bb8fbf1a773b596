# sweep DIR INCARNATION ATTEMPT ACT: what is left of an attempt: its session, its group, and whoever carries its marker.
# ACT is `gone` (prints `gone` or `left PID...`; exit 84 where a process can't be told) or a signal, TERM or KILL.
rd_same "$1" "$2"
rd_attempt=$3 rd_act=$4
rd_read_claim "$1"
# Was the group's number given to somebody else? Its leader, the launching shell, is older than the claim.
if [ "$rd_own_group" != 0 ] && rd_look "$rd_own_group" && [ "$rd_started" -gt "$rd_since" ]; then
    rd_own_group=0
fi

# rd_carries PID: 0 it has the attempt's marker, 1 it has not, 2 nobody can tell.
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

# rd_scan: ours in rd_left (of the group) and rd_strays (by session or marker), undecided ones in rd_unsure.
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
        # What started before the attempt is not of it.
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
    # Between fork and exec nobody's environment can be read: that passes.
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
# TERM once each: npm takes a second one for impatience. KILL until nobody is left who could fork.
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
