#!/bin/sh
# Makes the keys of a cluster of containers when it starts for the first time, and shares them out. Below /for each
# service has a volume of its own, and the host a folder:
#
#     coordinator   coordinator/ (all keys; `marram keys` looks after them), http-token, client/
#     worker        worker/, client/ (with which the health check asks)
#     client        client/
#     host          client/, http-token, for commands outside of containers
#
# A second start makes nothing anew, and hands out again what is there. Needs root, to give each its own.
set -eu
umask 077
owner=${MARRAM_USER:-1000:1000}
keys=/for/coordinator/coordinator

# As who the other services run: keys belong to who uses them.
as_owner() { setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --clear-groups "$@"; }

# issue NAME ROLE
issue() {
    [ -d "$keys/issued/$1" ] || as_owner marram keys "$keys" --issue "$1" --role "$2"
}
# hand_over NAME FOLDER OWNER
hand_over() {
    rm -rf "$2.new"
    cp -R "$keys/issued/$1" "$2.new"
    chown -R "$3" "$2.new"
    rm -rf "$2"
    mv "$2.new" "$2"
}

chown "$owner" /for/coordinator /for/worker /for/client /state
as_owner test -w /data || {
    echo "make-keys: MARRAM_DATA: the folder is not writable for $owner: chown it, or set MARRAM_USER in docker/.env" >&2
    exit 1
}
[ -e "$keys/coordinator.secret" ] || as_owner marram keys "$keys"
issue containers worker
issue health client
issue container client
issue host client
token=/for/coordinator/http-token
[ -s $token ] || {
    od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >$token.new
    mv $token.new $token
}
chown "$owner" $token
hand_over health /for/coordinator/client "$owner"
hand_over containers /for/worker/worker "$owner"
hand_over health /for/worker/client "$owner"
hand_over container /for/client/client "$owner"
host=$(stat -c %u:%g /for/host)
hand_over host /for/host/client "$host"
cp $token /for/host/http-token
chown "$host" /for/host/http-token
