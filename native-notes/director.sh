# Sourced behind private.sh by the notes that run the director: a client and a director on one wire,
# the client being the service's real as well. Nobody has to answer.
config=/run/note.yaml
cat > "$config" <<'YAML'
interfaces: [eth0]
services:
  web:
    vip: 10.0.0.100
    port: 80
    method: dsr
    reals: [10.0.0.1]
YAML

furiwake="node $notes/../dist/src/cli/main.js"

client_and_director() {
  host client
  host director
  cable client 10.0.0.1/24 director 10.0.0.2/24
}

# until_true COMMAND...: tries for twenty seconds.
until_true() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { echo "never came true: $*" >&2; exit 1; }
    sleep 0.1
  done
}
