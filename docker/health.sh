#!/bin/sh
# Whether a container is well: the coordinator answers, and has the worker that runs here, if one does.
# With the key of a client, not with that of the daemon.
if [ -d /keys/client ]; then export MARRAM_KEYS=/keys/client; fi
workers=$(marram workers --json) || exit 1
if grep -qsx marram-worker /proc/[0-9]*/comm; then
    echo "$workers" | grep -qF "\"name\": \"$(uname -n)\""
fi
