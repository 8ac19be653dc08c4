#!/bin/sh
# Keeps services on a host where the shim cannot run: the contract of the run directory in POSIX sh.
#
# Run as a program it is what outlives the connection: `run` beside a service, `child` which becomes it, `stop`, and `adopt`
# where the one beside a service has died. The shell that a connection talks to reads it too, and `verbs.sh` after it.
#
# A run directory is a link to another one, so that no shim takes it for one of its own. In it:
#   runner    who is beside the service: pid, start in ticks, boot
#   identity  who the service is: boot, pid, start in ticks; written by itself, before it is the service
#   begun     a directory; whoever makes it decides: the service that it runs, somebody who looks that it never will
#   launch    attempt, grace in ms, instance, the beginning of the names of its logs
#   failed    why nothing was started: kind, message
#   asked     the first order to end: signal, when by the clock that never jumps, in hundredths of a second
#   killed    something had to be killed
#   exit      how it ended; there once every process is gone
# Beside the log, ATTEMPT.out and .err are what the service writes itself, .index says what was taken of them and when,
# .reader who takes, .begin and .end when it began and ended.
#
# Needs no more than POSIX has, `setsid` and the /proc of Linux. Names of variables are global, but in `( )`.

LC_ALL=C
export LC_ALL

# ---- processes

# Sets `session` and `ticks` of a process. False when there is none that runs.
stat_of() { # pid
	text=
	while read -r line; do text="$text $line"; done 2>/dev/null <"/proc/$1/stat"
	[ -n "$text" ] || return 1
	# The name of a program may be anything, and stands in parentheses.
	# shellcheck disable=SC2086 # its words are the fields
	set -- ${text##*) }
	session=$4 ticks=${20}
	case $1 in Z | X) return 1 ;; esac
}

alive() { # pid ticks boot
	[ "${3-}" = "$boot" ] && stat_of "$1" && [ "$ticks" = "$2" ]
}

# Sets `now`, in hundredths of a second since the boot.
clock() {
	read -r now _ </proc/uptime
	now=${now%.*}${now#*.}
}

# Sets `day` to nanoseconds since 1970, as fine as this host tells.
date_of_day() {
	day=$(date +%s%N)
	case $day in
	*[!0-9]* | ?????????? | "") day=$(date +%s)000000000 ;;
	esac
}

nap() {
	sleep 0.05 2>/dev/null || sleep 1
}

# Sets `members` to the processes of an attempt that run: those of the session, and whoever has its mark.
find_members() { # instance pid-of-service its-ticks
	members=
	leader=$2
	# Once somebody else has its number, nobody is left in its session.
	if stat_of "$2" && [ "$ticks" != "$3" ]; then leader=none; fi
	marked=" $(grep -l -- "HARNESS_INSTANCE_ID=$1" /proc/[0-9]*/environ 2>/dev/null | tr '\n' ' ')"
	for entry in /proc/[0-9]*; do
		member=${entry#/proc/}
		stat_of "$member" || continue
		case $marked in
		*" $entry/environ "*) ;;
		*) [ "$session" = "$leader" ] || continue ;;
		esac
		members="$members $member"
	done
}

signal_members() { # signal
	for member in $members; do kill "-$1" "$member" 2>/dev/null; done
}

# Begins a part of this script that outlives whoever talks to us.
detach() { # words
	# shellcheck disable=SC2086 # a shell may be two words
	(setsid $HARNESS_SH "$script" "$@" </dev/null >/dev/null 2>&1 9>&- &)
}

# ---- what outlives the connection

record_runner() { # dir
	stat_of $$ || return 1
	printf '%s %s %s\n' "$$" "$ticks" "$boot" >"$1/runner.$$" && mv -f "$1/runner.$$" "$1/runner"
}

# Beside the service, from before its beginning to after its end. Signals are not ignored here, as the service would
# inherit that, and it is no job in the background for the same reason: whoever waits for us is ended instead.
run() { # dir whoever-waits
	kill -KILL "$2" 2>/dev/null
	record_runner "$1" || exit 1
	# shellcheck disable=SC2086 # a shell may be two words
	env -i "PATH=$PATH" "LC_ALL=C" setsid $HARNESS_SH "$script" child "$1"
	code=$?
	[ -e "$1/exit" ] && exit 0
	if [ -e "$1/failed" ]; then
		finish "$1" failed -
	elif [ -d "$1/begun" ] && [ -e "$1/identity" ]; then
		finish "$1" code "$code"
	fi
}

# In the place of one that has died.
adopt() { # dir
	record_runner "$1" || exit 1
	read -r mboot mpid mticks <"$1/identity"
	while alive "$mpid" "$mticks" "$mboot"; do sleep 1; done
	finish "$1" unknown -
}

refuse() { # dir kind message
	printf '%s\n%s\n' "$2" "$3" >"$1/failed"
	exit 125
}

# Becomes the service. The order comes by stdin, as it holds secrets: a script that sets variables, and a function which
# is told the program's file and becomes it.
# shellcheck disable=SC2154 # the order has set them
child() { # dir
	dir=$1
	order=$(cat)
	case $order in *': whole') ;; *) refuse "$dir" order 'the order is not whole' ;; esac
	exec </dev/null
	eval "$order"
	umask 077
	if ! mkdir -p -- "$order_log"; then refuse "$dir" log "cannot make $order_log"; fi
	log=$order_log/$order_attempt
	printf '%s %s %s %s\n' "$order_attempt" "$order_grace" "$order_instance" "$log" >"$dir/launch"
	for old in "$order_log"/*.begin; do
		old=${old%.begin}
		[ "${old##*/}" -le "$((order_attempt - order_keep))" ] 2>/dev/null && rm -f -- "$old".*
	done
	if ! { : >>"$log.out" && : >>"$log.err" && printf '%s\n' "$order_time" >"$log.begin"; } 2>/dev/null; then
		refuse "$dir" log "cannot write $log.out"
	fi
	if [ -n "$order_dir" ] && ! cd -- "$order_dir" 2>/dev/null; then
		refuse "$dir" working-directory "cannot enter $order_dir"
	fi
	find_program "$dir" "$order_program"
	stat_of $$ || exit 125
	printf '%s %s %s\n' "$boot" "$$" "$ticks" >"$dir/identity.new" && mv -f "$dir/identity.new" "$dir/identity" || exit 125
	exec >>"$log.out" 2>>"$log.err"
	# From here on it counts as started; somebody who looked may have decided that it never will.
	mkdir "$dir/begun" 2>/dev/null || exit 125
	unset LC_ALL PWD OLDPWD SHLVL
	umask "$order_umask"
	order_exec "$program"
}

# Sets `program` to the file that is run.
# shellcheck disable=SC2154 # the order has set it
find_program() { # dir name
	program=
	case $2 in
	*/*)
		program=$2
		case $program in -*) program=./$program ;; esac
		[ -e "$program" ] || refuse "$1" not-found "cannot run $2: there is no such file"
		;;
	*)
		rest=$order_path:
		while [ -n "$rest" ]; do
			place=${rest%%:*}
			rest=${rest#*:}
			if [ -f "${place:-.}/$2" ] && [ -x "${place:-.}/$2" ]; then
				program=${place:-.}/$2
				break
			fi
		done
		[ -n "$program" ] || refuse "$1" not-found "cannot run $2: it is not in PATH"
		;;
	esac
	if [ -d "$program" ] || [ ! -x "$program" ]; then
		refuse "$1" permission "cannot run $2: permission denied"
	fi
}

# Ends what is left of an attempt, and writes down how it ended.
finish() { # dir how value
	dir=$1 how=$2 value=$3
	grace=1000 instance=none log=
	mpid=- mticks=- mboot=-
	{ read -r _ grace instance log <"$dir/launch"; } 2>/dev/null
	{ read -r mboot mpid mticks <"$dir/identity"; } 2>/dev/null
	clock
	since=$now names='' count=0
	# Of an earlier boot nobody is left, and whoever has these numbers now is somebody else.
	[ "$mboot" = "$boot" ] || instance=none
	[ "$instance" = none ] || find_members "$instance" "$mpid" "$mticks"
	if [ -n "${members-}" ]; then
		for member in $members; do
			count=$((count + 1))
			{ read -r name <"/proc/$member/comm"; } 2>/dev/null && names="$names$name
"
		done
		end_members
	fi
	date_of_day
	[ -z "$log" ] || printf '%s\n' "$day" >"$log.end"
	{
		printf '%s %s %s %s\n' "$how" "$value" "$day" "$mpid"
		if { read -r signal asked <"$dir/asked"; } 2>/dev/null; then
			since=$asked
		elif [ "$count" -gt 0 ]; then
			signal=-
		else
			signal=none
		fi
		clock
		escalation=none
		[ "$count" -eq 0 ] || escalation=tree-term
		[ ! -e "$dir/killed" ] || escalation=killed
		printf '%s %s %s %s\n' "$signal" "$escalation" "$count" "$(((now - since) * 10))"
		if [ "$how" = failed ]; then cat "$dir/failed"; else printf '%s' "$names"; fi
	} >"$dir/exit.$$"
	[ -e "$dir/exit" ] || mv -f "$dir/exit.$$" "$dir/exit"
}

# Asks those that are left, and insists after a fifth of the grace, at most a second.
end_members() {
	clock
	limit=$((grace / 50))
	[ "$limit" -le 100 ] || limit=100
	[ ! -e "$dir/killed" ] || limit=0
	until=$((now + limit))
	signal_members TERM
	signal_members CONT
	while clock && [ "$now" -lt "$until" ]; do
		find_members "$instance" "$mpid" "$mticks"
		[ -n "$members" ] || return 0
		nap
	done
	while find_members "$instance" "$mpid" "$mticks" && [ -n "$members" ]; do
		: >"$dir/killed"
		signal_members KILL
		nap
	done
}

# Ends a service: asks first, and insists. Whoever is beside it writes down how it ended.
stop() { # dir signal grace-in-ms scope
	dir=$1
	read -r mboot mpid mticks <"$dir/identity" || exit 1
	read -r _ _ instance _ <"$dir/launch" || exit 1
	clock
	until=$((now + $3 / 10))
	if mkdir "$dir/stopping" 2>/dev/null; then
		printf '%s %s\n' "$2" "$now" >"$dir/asked.new" && mv -f "$dir/asked.new" "$dir/asked"
		# What is left once it has ended is not asked either.
		[ "$3" -gt 0 ] || : >"$dir/killed"
		if [ "$4" = group ]; then
			find_members "$instance" "$mpid" "$mticks"
			signal_members "$2"
		elif alive "$mpid" "$mticks" "$mboot"; then
			kill "-$2" "$mpid" 2>/dev/null
		fi
	fi
	while clock && [ "$now" -lt "$until" ]; do
		[ ! -e "$dir/exit" ] || return 0
		alive "$mpid" "$mticks" "$mboot" || return 0
		nap
	done
	while alive "$mpid" "$mticks" "$mboot"; do
		: >"$dir/killed"
		find_members "$instance" "$mpid" "$mticks"
		signal_members KILL
		nap
	done
}

# ---- as a program

case ${1-} in
run | child | adopt | stop)
	script=$0
	read -r boot </proc/sys/kernel/random/boot_id || exit 1
	"$@"
	;;
esac
