#!/bin/sh
# A switch of the kind "command" whose traffic stands in a file: "<token> <traffic>". Each move that changed it is a line of
# the log beside it. A file "<state>.fault" says once what goes wrong: lost, hang, garbage, busy.
state=$1 verb=$2
exec 9>>"$state.lock"
flock 9
read -r token traffic < "$state"
case $verb in
  where) printf '{"traffic":%s,"token":%s}\n' "$traffic" "$token" ;;
  confirm)
    if [ "$traffic" = "$LIFEBOAT_TO" ]; then echo '{"confirmed":true,"found":"as asked"}'
    else printf '{"confirmed":false,"found":"it is another place"}\n'; fi ;;
  move)
    fault=$(cat "$state.fault" 2>/dev/null)
    rm -f "$state.fault"
    if [ "$fault" = busy ]; then echo 'somebody else talks to it' >&2; exit 75; fi
    if [ "$LIFEBOAT_TOKEN" -lt "$token" ]; then echo "token $token came before" >&2; exit 3; fi
    moved=false
    if [ "$traffic" != "$LIFEBOAT_TO" ]; then
      if [ "$traffic" != "$LIFEBOAT_FROM" ]; then echo "it is at $traffic" >&2; exit 3; fi
      moved=true
      echo "$LIFEBOAT_TOKEN $traffic $LIFEBOAT_TO" >> "$state.log"
    fi
    echo "$LIFEBOAT_TOKEN $LIFEBOAT_TO" > "$state.new"
    mv "$state.new" "$state"
    if [ "$fault" = lost ]; then echo 'the line broke' >&2; exit 1; fi
    if [ "$fault" = hang ]; then exec 9>&-; sleep 600; fi
    if [ "$fault" = garbage ]; then echo 'well done'; exit 0; fi
    printf '{"moved":%s}\n' "$moved" ;;
  *) exit 64 ;;
esac
