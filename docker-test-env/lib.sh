# shellcheck shell=bash
# What the scripts of this directory share. Sourced, never run.
#
# Owns: where state lies, how packages are installed, how it is told, and how what an engine left behind is ended.

# Everything that is made here lies below this directory, and may be removed with it when no engine runs.
if [ -z "${DOCKER_TEST_ENV_HOME:-}" ]; then
  if [ "$(id -u)" = 0 ] && [ -z "${XDG_STATE_HOME:-}" ]; then
    DOCKER_TEST_ENV_HOME=/var/lib/docker-test-env
  else
    DOCKER_TEST_ENV_HOME=${XDG_STATE_HOME:-$HOME/.local/state}/docker-test-env
  fi
fi

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# usage LINES: the wrong call, told with exit code 2.
usage() {
  printf '%s\n' "$1" >&2
  exit 2
}

as_root() {
  [ "$(id -u)" = 0 ] || die "$1 needs root: sudo $0 …"
}

# install_for PROGRAM:PACKAGE…: the packages of programs that are missing; one may have come from elsewhere.
install_for() {
  local pair packages=()
  for pair; do
    command -v "${pair%:*}" >/dev/null || packages+=("${pair#*:}")
  done
  [ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
}

# What an engine needs.
install_engine() { install_for docker:docker.io dockerd:docker.io iptables:iptables ip:iproute2 unshare:util-linux; }

# install_packages PACKAGE…: those that are missing, without starting the services that they bring.
install_packages() {
  local missing=() package
  for package; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    *' installed') ;;
    *) missing+=("$package") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "not installed: ${missing[*]}; install what corresponds to these Debian packages"
  as_root "installing ${missing[*]}"
  say "installing ${missing[*]}"
  # In a shell of its own, so that the policy file goes again also when apt-get fails. It keeps the scripts of packages
  # from starting services (man 8 invoke-rc.d), and is put there only where there is none.
  DEBIAN_FRONTEND=noninteractive bash -euc '
    policy=/usr/sbin/policy-rc.d
    if ! [ -e $policy ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" >$policy
      chmod 755 $policy
    fi
    apt-get -q -o DPkg::Lock::Timeout=300 update
    apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install "$@"
  ' install "${missing[@]}" >&2
}

# What goes on and holds its caller's pipes keeps whoever reads them waiting.
close_inherited() {
  for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
  done
}

# engine_answers [SOCKET]: whether an engine does there; without SOCKET, where the docker CLI looks.
engine_answers() {
  if [ -n "${1:-}" ]; then set -- --host "unix://$1"; fi
  command -v docker >/dev/null && timeout 10 docker "$@" version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# end_shims DIRECTORY: the parents of containers that an engine in DIRECTORY left behind.
end_shims() {
  local process
  for process in /proc/[0-9]*; do
    # Others end meanwhile.
    if { tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -q -- "^[^ ]*containerd-shim.* $1/exec/"; then
      kill -s KILL "${process##*/}" 2>/dev/null || true
    fi
  done
}

# end_containers DATA: what still runs of the containers that are stored there, and what the kernel keeps of them.
end_containers() {
  local container group
  for container in "$1"/containers/*; do
    for group in /sys/fs/cgroup/{*/,}docker/"${container##*/}"; do
      [ -d "$group" ] || continue
      xargs -r kill -s KILL <"$group/cgroup.procs" || true
      # A group is empty once its processes are gone, which is soon.
      timeout 5 sh -c 'until rmdir "$1"; do sleep 0.02; done' sh "$group" 2>/dev/null || say "left behind: $group"
    done
  done
}
