# Writes nginx's configuration for the addresses that this start was told, and becomes nginx.
# DATA comes from the stack file; PORT is the port that was picked for `web`, APP_ADDR where `app` is.
set -eu
PATH=$PATH:/usr/sbin
mkdir -p "$DATA/nginx"
chmod 755 "$DATA/nginx"
sed -e "s|@port@|$PORT|" -e "s|@app@|$APP_ADDR|" nginx.conf.in >"$DATA/nginx/nginx.conf"
exec nginx -e stderr -p "$DATA/nginx" -c "$DATA/nginx/nginx.conf"
