#!/bin/sh
# What a container runs: the coordinator, a worker, any other verb of marram, or any program.
#
# A worker is called as its container, and tells others the address that the container has whenever it joins.
set -e
host=$(uname -n)
verb=${1:-help}
case $verb in
coordinator)
    shift
    exec marram-coordinator "$@"
    ;;
worker)
    shift
    exec marram-worker --name "$host" --advertise "${MARRAM_ADVERTISE:-$host}" "$@"
    ;;
esac
# Words of the shell are no programs.
case $(command -v -- "$verb") in
/*) exec "$@" ;;
esac
exec marram "$@"
