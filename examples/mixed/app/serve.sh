# The application. Change what it says here, and `harness restart app`.
set -eu
export VERSION="1"

export PGUSER=postgres
echo "app: version $VERSION at ${LISTEN:-127.0.0.1}:$PORT"
exec busybox httpd -f -p "${LISTEN:-127.0.0.1}:$PORT" -h "$PWD/www"
