#!/bin/sh
# Ends processes and removes folders when the process at the other end of standard input has gone, however it went.
#   start ID LEADER SIGNAL   leader of a process group, and what asks it to end; later ones are ended first
#   gone ID                  it ended by itself
#   dir PATH                 removed at the end, with the PostgreSQL servers that still run below it
#   leave                    everything stays as it is, without a guard
# End of input is the order to work; exit code 0 when nothing is left.
trap '' HUP INT TERM PIPE
newline='
'
groups=''
gone=' '
folders=''
grace_tenths=300

alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

end_group() {
  alive "$1" && kill -s "$2" -- "-$1" 2>/dev/null
  tries=0
  while alive "$1" && [ $tries -lt $grace_tenths ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  # Whatever else the leader left in its group, too.
  kill -s KILL -- "-$1" 2>/dev/null
}

# Backends are in sessions of their own, and servers that a worker recovered have left its group: they are known by
# the folder that they work in.
servers_below() {
  for process in /proc/[0-9]*; do
    case $(readlink "$process/cwd" 2>/dev/null) in "$1" | "$1"/*) ;; *) continue ;; esac
    read -r name 2>/dev/null <"$process/comm" || continue
    case $name in postgres | pg_* | initdb) echo "${process#/proc/}" ;; esac
  done
}

end_servers_below() {
  looks=0
  while servers=$(servers_below "$1") && [ -n "$servers" ] && [ $looks -lt $grace_tenths ]; do
    # Numbers, one a line.
    kill -s KILL $servers 2>/dev/null
    sleep 0.1
    looks=$((looks + 1))
  done
}

remove() {
  tries=0
  while [ -e "$1" ] && [ $tries -lt $grace_tenths ]; do
    end_servers_below "$1"
    rm -rf "$1" 2>/dev/null && break
    sleep 0.1
    tries=$((tries + 1))
  done
  [ ! -e "$1" ]
}

while read -r what value; do
  case $what in
    start) groups="$value$newline$groups" ;;
    gone) gone="$gone$value " ;;
    dir) folders="$folders$value$newline" ;;
    leave) exit 0 ;;
  esac
done

printf '%s' "$groups" | while read -r id leader signal; do
  case $gone in *" $id "*) ;; *) end_group "$leader" "$signal" ;; esac
done
printf '%s' "$folders" | {
  left=0
  while read -r folder; do remove "$folder" || left=1; done
  exit $left
}
