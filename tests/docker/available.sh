#!/usr/bin/env bash
# Whether tests with containers can run here. If not: why, in the words and with the totals of a suite, and status 1.
why=
docker version >/dev/null 2>&1 || why='no Docker engine answers'
[[ -n $why ]] || docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1 ||
    why='there is neither docker compose nor docker-compose'
[[ -z $why ]] && exit 0
echo "skipped: $why"
echo '0 passed, 0 failed, 1 skipped'
exit 1
