# Calls the application for ever: by its name, and at the address that it was told.
# The application is a process of the machine and listens on loopback only; in here `app` and $APP_ADDR lead to it.
set -eu

call() { wget -q -O - "http://$2/cgi-bin/call?$1"; }

said=
while :; do
  if call name "app:$APP_PORT" && call address "$APP_ADDR"; then
    if [ -z "$said" ]; then echo "worker: both ways lead to the application" && said=yes; fi
  else
    # It is being edited.
    echo "worker: no answer"
  fi
  sleep 1
done
