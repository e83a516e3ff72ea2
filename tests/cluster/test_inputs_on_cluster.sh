#!/usr/bin/env bash
# Every claim about inputs once more, on a cluster.
ON_CLUSTER=2 exec "$(dirname "$0")/test_inputs.sh"
