# give_up DIR INCARNATION: put up the tombstone, by the same link as a launch. Prints what the link says then.
rd_same "$1" "$2"
ln -s given-up "$1/claim" 2>/dev/null
# A refusal counts only where there is a link: a full or read-only disk refuses as well.
rd_read_claim "$1"
[ -n "$rd_claim" ] || exit 83
printf '%s\n' "$rd_claim"
