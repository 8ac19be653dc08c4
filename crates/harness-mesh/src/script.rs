//! What is run on a host, in words that dash, bash and busybox have in common.
//!
//! Owns: the scripts. Secrets come by stdin or lie in a file there, and are never a word of a command: `printf` is a part of the shell.

/// Begins every script: what is there, and how a lack is told.
pub(crate) const PROLOGUE: &str = r#"
set -eu
umask 077
PATH=${PATH:-}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
lack() { echo "lack $1" >&2; exit 69; }
[ "$(id -u)" = 0 ] || lack root
command -v ip >/dev/null || lack ip
command -v wg >/dev/null || lack wg
"#;

/// Exit code of a script that lacks something.
pub(crate) const LACKS: i32 = 69;

/// `DIRECTORY NAME`: a private key of that name, made where there is none. Says the public one.
pub(crate) const KEY: &str = r#"
dir=$1 name=$2
mkdir -p "$dir"
if ! [ -s "$dir/$name" ]; then
  wg genkey >"$dir/$name.part"
  mv "$dir/$name.part" "$dir/$name"
fi
wg pubkey <"$dir/$name"
"#;

/// `TAKEN`: the first UDP port from WireGuard's own on that nobody listens on, and that is none of these.
pub(crate) const PORT: &str = r#"
taken=$1 port=51820
while [ "$port" -lt 52820 ]; do
  case " $taken " in *" $port "*) is_free=no ;; *) is_free=yes ;; esac
  if cat /proc/net/udp /proc/net/udp6 2>/dev/null | grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$port") "; then is_free=no; fi
  if [ "$is_free" = yes ]; then echo "$port"; exit 0; fi
  port=$((port + 1))
done
echo "no UDP port from 51820 to 52819 is free" >&2
exit 1
"#;

/// `INTERFACE DIRECTORY KEY ADDRESS PORT MTU ROUTES WAYS`, peers by stdin: the interface is as planned. Says what moves its packets.
pub(crate) const APPLY: &str = r#"
if=$1 dir=$2 key=$3 address=$4 port=$5 mtu=$6 routes=$7 ways=$8
peers=$(cat)

# A key that the others know by now takes the place of the one before.
if [ "$(wg pubkey <"$dir/key")" != "$key" ]; then
  [ -s "$dir/next" ] && [ "$(wg pubkey <"$dir/next")" = "$key" ] || { echo "its key is not the planned one" >&2; exit 1; }
  mv "$dir/next" "$dir/key"
fi

case $address in
*:*) family=-6 tool=ip6tables ;;
*) family=-4 tool=iptables ;;
esac
if [ -n "$ways" ]; then
  command -v "$tool" >/dev/null || lack iptables
  if [ "$family" = -6 ] && [ "$(cat /proc/sys/net/ipv6/conf/all/forwarding)" = 0 ]; then lack ipv6-forwarding; fi
fi

if ! ip link show dev "$if" >/dev/null 2>&1; then
  if ip link add dev "$if" type wireguard 2>/dev/null; then :
  elif command -v wireguard-go >/dev/null; then
    rm -f "/var/run/wireguard/$if.sock"
    # Of a session of its own where that can be had: whoever ends what runs this script means that alone.
    apart=$(command -v setsid || true)
    LOG_LEVEL=error $apart wireguard-go "$if" </dev/null >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
  else lack wireguard; fi
fi

# What may pass is said before anything can.
if command -v "$tool" >/dev/null; then
  {
    printf '*filter\n:%s - [0:0]\n' "$if"
    for way in $ways; do printf -- '-A %s -o %s -s %s -d %s -j ACCEPT\n' "$if" "$if" "${way%>*}" "${way#*>}"; done
    # Answers to what containers here have asked for come to the address of this host, and go on from it.
    printf -- '-A %s -m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j ACCEPT\n' "$if"
    printf -- '-A %s -m conntrack --ctstate DNAT -j ACCEPT\n-A %s -j DROP\nCOMMIT\n' "$if" "$if"
  } | "$tool-restore" -w --noflush
  "$tool" -w -C FORWARD -i "$if" -j "$if" 2>/dev/null || "$tool" -w -I FORWARD -i "$if" -j "$if"
fi
if [ "$family" = -4 ]; then
  if [ -n "$ways" ]; then forwards=1
  elif command -v "$tool" >/dev/null; then forwards=$(cat /proc/sys/net/ipv4/conf/default/forwarding)
  else forwards=0; fi
  [ "$(cat "/proc/sys/net/ipv4/conf/$if/forwarding")" = "$forwards" ] || echo "$forwards" >"/proc/sys/net/ipv4/conf/$if/forwarding"
fi

{
  printf '[Interface]\nPrivateKey = '
  cat "$dir/key"
  printf 'ListenPort = %s\n%s\n' "$port" "$peers"
} | wg syncconf "$if" /dev/stdin

ip "$family" address replace "$address" dev "$if"
ip link set dev "$if" mtu "$mtu" up
ip -o address show dev "$if" | while read -r _ _ what own _; do
  case $what in inet | inet6) ;; *) continue ;; esac
  case $own in "$address" | fe80:*) ;; *) ip address del "$own" dev "$if" ;; esac
done

for route in $routes; do ip "$family" route replace "$route" dev "$if"; done
ip "$family" route show dev "$if" | while read -r to _; do
  case $to in */*) whole=$to ;; *:*) whole=$to/128 ;; *) whole=$to/32 ;; esac
  case " $routes $address " in *" $whole "*) continue ;; esac
  case $to in fe80* | ff00* | multicast | local | broadcast) ;; *) ip "$family" route del "$to" dev "$if" ;; esac
done

if [ -S "/var/run/wireguard/$if.sock" ]; then echo userspace; else echo kernel; fi
"#;

/// `INTERFACE`: what it says of itself, without its private key and what it shares; nothing when there is none.
pub(crate) const STATUS: &str = r#"
if=$1
ip link show dev "$if" >/dev/null 2>&1 || exit 0
if [ -S "/var/run/wireguard/$if.sock" ]; then echo userspace; else echo kernel; fi
printf '%s\t%s\n' "$(wg show "$if" public-key)" "$(wg show "$if" listen-port)"
wg show "$if" dump | sed 1d | cut -f 1,3,5,6,7
"#;

/// `INTERFACE KEYS`: it knows those no more, as if it had never talked to them.
pub(crate) const FORGET: &str = r#"
if=$1 keys=$2
ip link show dev "$if" >/dev/null 2>&1 || exit 0
for key in $keys; do wg set "$if" peer "$key" remove; done
"#;

/// `INTERFACE DIRECTORY`: nothing of it is left.
pub(crate) const REMOVE: &str = r#"
if=$1 dir=$2
if ip link show dev "$if" >/dev/null 2>&1; then ip link del dev "$if"; fi
rm -f "/var/run/wireguard/$if.sock"
for tool in iptables ip6tables; do
  command -v "$tool" >/dev/null || continue
  while "$tool" -w -D FORWARD -i "$if" -j "$if" 2>/dev/null; do :; done
  if "$tool" -w -F "$if" 2>/dev/null; then "$tool" -w -X "$if"; fi
done
rm -f "$dir/key" "$dir/key.part" "$dir/next" "$dir/next.part" "$dir/log"
if [ -d "$dir" ]; then rmdir "$dir"; fi
"#;
