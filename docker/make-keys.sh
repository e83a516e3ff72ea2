#!/bin/bash
# Makes the keys of a cluster of containers when it starts for the first time, and shares them out. Below /for each
# service has a volume of its own, and the host a folder, with what that one may know (docs/operations.md):
#
#     coordinator   all of it, and http-token; `marram keys` looks after this folder
#     worker        the key 'containers', and 'health', with which the health check asks
#     client        the key 'container', for commands in containers
#     host          the key 'host' and http-token, for commands outside of containers
#
# A second start makes nothing anew, and hands out again what is there. Needs root, to give each its own.
set -eu
umask 077
owner=${MARRAM_USER:-1000:1000}
all=/for/coordinator

# As who the other services run: keys must belong to who uses them.
as_owner() { env HOME=/ setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --clear-groups "$@"; }

# issue NAME ROLE
issue() {
    [ -d "$all/issued/$1" ] || as_owner marram keys $all --issue "$1" --role "$2"
}
# put FOLDER OWNER FILE...: each file whole or not at all.
put() {
    local folder=$1 new_owner=$2 file
    shift 2
    for file; do
        cp "$file" "$folder/.new"
        chown "$new_owner" "$folder/.new"
        mv "$folder/.new" "$folder/${file##*/}"
    done
}

chown -R "$owner" $all /for/worker /for/client /state
chmod 700 /for/* /state
as_owner test -w /data || {
    echo "make-keys: user $owner may not write to /data: chown the folder of MARRAM_DATA, or set MARRAM_USER in docker/.env" >&2
    exit 1
}
[ -e $all/coordinator.cert ] || as_owner marram keys $all
issue containers worker
issue health client
issue container client
issue host client
[ -s $all/http-token ] || {
    od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >/tmp/http-token
    put $all "$owner" /tmp/http-token
}
put /for/worker "$owner" $all/issued/{containers,health}/*
put /for/client "$owner" $all/issued/container/*
# That folder is one of the host, and stays with who has it.
put /for/host "$(stat -c %u:%g /for/host)" $all/issued/host/* $all/http-token
