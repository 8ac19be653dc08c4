# Makes the database's directory unless it is there. DATA and PG_BIN come from the stack file.
set -eu
mkdir -p "$DATA"
chmod 755 "$DATA"
if ! [ -f "$DATA/db/PG_VERSION" ]; then
  "$PG_BIN/initdb" --pgdata "$DATA/db" --auth trust --username postgres --encoding UTF8 --locale C.UTF-8
fi
