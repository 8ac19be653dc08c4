#!/bin/sh
# What a connection asks of a host that `runner.sh` serves: read by a shell there, after that one.
#
# Each verb (`do_…`) answers with lines that begin with `+`, with `*` and a number before so many raw bytes, and at last with
# `=` and what came of it: `ok`, or a word and a message. Names of variables are global, but in `( )`.
# shellcheck disable=SC2154 # that one sets what seems to be set nowhere

# ---- answers

end() {
	printf '=ok\n'
}

fail() { # kind message
	printf '=%s %s\n' "$1" "$(printf '%s' "$2" | tr '\n' ' ')"
}

# ---- what a connection asks

# Chooses where our files lie, and says what this host is. Nothing is done where something is missing.
do_begin() { # hash
	for tool in setsid env mkdir mkfifo ls mv rm ln cat wc dd head grep tr sleep date uname id; do
		command -v "$tool" >/dev/null 2>&1 || missing="${missing-} $tool"
	done
	case $(command -v printf) in
	*/*) missing="${missing-} printf-of-the-shell's-own" ;;
	esac
	[ -z "${missing-}" ] || { fail request "there is no$missing there"; return; }
	if ! { read -r boot </proc/sys/kernel/random/boot_id && clock && stat_of $$; } 2>/dev/null; then
		fail request 'there is no /proc of Linux there'
		return
	fi
	uid=$(id -u)
	umask 077
	for base in "${HOME:-/}" "/var/tmp/harness-$uid" "/tmp/harness-$uid" "/dev/shm/harness-$uid"; do
		base=${base%/}
		[ ! -L "$base" ] || [ "$base" = "${HOME%/}" ] || continue
		mkdir -p -- "$base/.local/state/harness/sh" 2>/dev/null || continue
		# Somebody else's would run what they want.
		# shellcheck disable=SC2012 # of a directory whose name we know
		owner=$(ls -ldn "$base/.local/state/harness/sh" | { read -r _ _ owner _ && printf %s "$owner"; })
		[ "$owner" = "$uid" ] || continue
		script=$base/.local/state/harness/sh/$1.sh
		for tie in "$base/.local/state/harness/sh"/tie.*; do
			[ -d "/proc/${tie##*.}" ] || rm -f -- "$tie"
		done
		tie=$base/.local/state/harness/sh/tie.$$
		rm -f -- "$tie"
		mkfifo -- "$tie" 2>/dev/null || continue
		[ -f "$script" ] || { printf '%s\n' "$harness_runner" >"$script.$$" && mv -f "$script.$$" "$script"; } 2>/dev/null || continue
		# Whoever runs a command beside us learns of our end by it.
		exec 9<>"$tie"
		date_of_day
		printf '+pid %s\n+boot %s\n+uid %s\n+home %s\n+base %s\n' "$$" "$boot" "$uid" "${HOME:-/}" "$base"
		printf '+machine %s\n+system %s\n' "$(uname -m)" "$(uname -s)"
		printf '+uptime %s\n+day %s\n+tie %s\n' "$now" "$day" "$tie"
		end
		# From here on a shell has nothing to say that anybody reads.
		exec 2>/dev/null
		return
	done
	fail permission 'there is no directory there that can be written'
}

do_make() { # root instance before
	if [ -e "$1/$2" ] || [ -L "$1/$2" ]; then
		fail exists "$1/$2 is there already"
		return
	fi
	said=$( (mkdir -p -- "$1" && mkdir -- "$1/$2.sh" && ln -s -- "$2.sh" "$1/$2") 2>&1) || { fail system "$said"; return; }
	clock
	[ "$now" -le "$3" ] || { forget "$1/$2"; fail late 'the order to start came too late'; return; }
	end
}

do_launch() { # dir before order
	clock
	[ "$now" -le "$2" ] || { fail late 'the order to start came too late'; return; }
	# shellcheck disable=SC2016,SC2086 # it is for that shell; a shell may be two words
	printf '%s\n' "$3" | $HARNESS_SH -c '"$@" "$$"; :' mother setsid $HARNESS_SH "$script" run "$1" >/dev/null 2>&1 9>&-
	end
}

# Sets `sight` to what a run directory says, and who the service is.
sight_of() { # dir
	sight=missing rpid=0 rticks=- rboot='' mpid=0 mticks=- mboot=''
	if [ ! -L "$1" ]; then
		[ ! -e "$1" ] || sight=foreign
		return 0
	fi
	[ ! -d "$1/begun" ] || { read -r mboot mpid mticks <"$1/identity"; } 2>/dev/null
	[ ! -e "$1/exit" ] || { sight=ended; return 0; }
	{ read -r rpid rticks rboot <"$1/runner"; } 2>/dev/null
	if alive "$rpid" "$rticks" "$rboot"; then
		sight=starts
		[ -z "$mboot" ] || sight=runs
	elif alive "$mpid" "$mticks" "$mboot"; then
		sight=orphan
	elif [ -e "$1/exit" ]; then
		sight=ended
	else
		sight=lost
	fi
}

# What became of an attempt. One that is beside nobody gets somebody.
do_look() { # dir
	sight_of "$1"
	if [ "$sight" = lost ]; then
		# After this nobody will start it. What has begun without a service was another look, which was cut off here.
		if mkdir "$1/begun" 2>/dev/null; then
			(rm -f "$1/identity"; finish "$1" unknown -)
		elif [ ! -e "$1/identity" ]; then
			(finish "$1" unknown -)
		fi
		sight_of "$1"
	fi
	case $sight in
	lost | orphan)
		detach adopt "$1"
		tries=0
		while [ "$tries" -lt 40 ]; do
			nap
			sight_of "$1"
			case $sight in lost | orphan) ;; *) break ;; esac
			tries=$((tries + 1))
		done
		;;
	esac
	tell "$1"
}

# What is known of an attempt, and nothing done about it.
do_state() { # dir
	sight_of "$1"
	tell "$1"
}

tell() { # dir
	printf '+sight %s\n' "$sight"
	[ -z "$mboot" ] || printf '+identity %s %s %s\n+runner %s\n' "$mboot" "$mpid" "$mticks" "$rpid"
	{ read -r attempt _ <"$1/launch"; } 2>/dev/null && printf '+attempt %s\n' "$attempt"
	[ ! -e "$1/asked" ] || printf '+stopping\n'
	if [ "$sight" = ended ]; then
		while read -r line; do printf '+exit %s\n' "$line"; done <"$1/exit"
	elif [ "$sight" = foreign ] && [ -e "$1/exit.json" ]; then
		printf '+json %s\n' "$(tr '\n' ' ' <"$1/exit.json")"
	fi
	end
}

do_stop() { # dir signal grace scope
	sight_of "$1"
	case $sight in
	runs)
		detach stop "$@"
		end
		;;
	*) fail gone "it is $sight" ;;
	esac
}

do_signal() { # dir signal
	sight_of "$1"
	if [ "$sight" = runs ] && alive "$mpid" "$mticks" "$mboot"; then
		if said=$(kill "-$2" "$mpid" 2>&1); then end; else fail refused "$said"; fi
	else
		fail gone "it is $sight"
	fi
}

forget() { # dir
	rm -rf -- "$1.sh" && rm -f -- "$1"
}

do_remove() { # dir
	sight_of "$1"
	case $sight in
	missing) end ;;
	foreign) fail foreign 'it is a directory of the shim' ;;
	*) if said=$(forget "$1" 2>&1); then end; else fail system "$said"; fi ;;
	esac
}

do_list() { # root
	for entry in "$1"/*; do
		case $entry in *.sh) ;; *) [ ! -e "$entry" ] || printf '+%s\n' "${entry##*/}" ;; esac
	done
	end
}

# The sights of run directories, and the sizes of files, each in a line.
do_watch() { # dirs -- files
	while [ "$1" != -- ]; do
		sight_of "$1"
		printf '+%s\n' "$sight"
		shift
	done
	shift
	[ $# -eq 0 ] || give_text "$(wc -c -- "$@" 2>/dev/null)"
	end
}

give_text() { # text
	printf '*%s\n%s' "${#1}" "$1"
}

# Who takes a log from now on, when it began and ended, and what was taken of it.
do_log() { # log reader
	[ -e "$1.begin" ] || { fail not-found "there is no log $1"; return; }
	printf '%s\n' "$2" >"$1.reader" || { fail system "cannot write $1.reader"; return; }
	for what in begin end; do
		{ read -r line <"$1.$what"; } 2>/dev/null && printf '+%s %s\n' "$what" "$line"
	done
	[ ! -e "$1.index" ] || give_text "$(cat "$1.index")"
	end
}

do_log_end() { # log
	{ read -r line <"$1.end"; } 2>/dev/null && printf '+end %s\n' "$line"
	end
}

is_reader() { # log reader
	reader=
	{ read -r reader <"$1.reader"; } 2>/dev/null
	[ "$reader" = "$2" ] || { fail busy 'somebody else takes this log'; return 1; }
}

# Bytes of a log; first it is written down that they were taken, and when.
do_take() { # log reader time stream offset length
	is_reader "$1" "$2" || return 0
	[ "$(wc -c <"$1.$4")" -ge $(($5 + $6)) ] || { fail system "$1.$4 has become shorter"; return; }
	printf '%s %s %s %s\n' "$3" "$4" "$5" "$6" >>"$1.index" || { fail system "cannot write $1.index"; return; }
	give_bytes "$1.$4" "$5" "$6"
	end
}

# Bytes that were taken before.
do_give() { # log stream offset length
	[ "$(wc -c <"$1.$2")" -ge $(($3 + $4)) ] || { fail system "$1.$2 has become shorter"; return; }
	give_bytes "$1.$2" "$3" "$4"
	end
}

give_bytes() { # file offset length
	printf '*%s\n' "$3"
	{
		dd bs=1 skip="$2" count=0 2>/dev/null
		head -c "$3"
	} <"$1"
}

# Puts a shorter index in the place of a long one.
do_index() { # log reader text
	is_reader "$1" "$2" || return 0
	if printf '%s\n' "$3" >"$1.index.new" && mv -f "$1.index.new" "$1.index"; then end; else fail system "cannot write $1.index"; fi
}

# The sockets of TCP or UDP that are in use.
do_ports() { # tcp-or-udp
	give_text "$(cat "/proc/net/$1" "/proc/net/${1}6" 2>/dev/null)"
	end
}

do_kill_group() { # group
	kill -KILL "-$1" 2>/dev/null
	end
}

do_facts() {
	printf '+hostname %s\n+kernel %s\n' "$(uname -n)" "$(uname -r)"
	for entry in /sys/class/net/*; do
		{ read -r line <"$entry/flags"; } 2>/dev/null && printf '+interface %s %s\n' "${entry##*/}" "$line"
	done
	[ ! -e /sys/fs/cgroup/cgroup.controllers ] || printf '+cgroup2\n'
	[ ! -e /sys/module/wireguard ] && [ ! -e "/lib/modules/$(uname -r)/kernel/drivers/net/wireguard" ] || printf '+wireguard\n'
	for tool in docker podman wg wireguard-go ip nft iptables tar; do
		! command -v "$tool" >/dev/null 2>&1 || printf '+program %s\n' "$tool"
	done
	for entry in /var/run/docker.sock "/run/user/$uid/docker.sock" /run/podman/podman.sock "/run/user/$uid/podman/podman.sock"; do
		[ ! -e "$entry" ] || printf '+engine %s\n' "$entry"
	done
	printf '+processors %s\n' "$(grep -c '^processor' /proc/cpuinfo)"
	while read -r name line _; do
		[ "$name" != MemTotal: ] || printf '+memory %s\n' "$line"
	done </proc/meminfo
	while read -r line; do printf '+route %s\n' "$line"; done </proc/net/route
	ip -o addr show 2>/dev/null | while read -r line; do printf '+address %s\n' "$line"; done
	end
}
