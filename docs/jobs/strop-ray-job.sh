#!/bin/bash
# A run as a job of a Ray cluster that is there, whose head has ray[default]. Its learner runs on the head:
#   ray job submit --address http://HEAD:8265 --working-dir docs/jobs \
#       --runtime-env-json '{"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "300", "STROP_RUNS": "/shared/runs"}}' \
#       -- bash strop-ray-job.sh story --rollout-replicas 8
# `ray job stop` sends SIGTERM: the run saves its step and ends; Ray waits for it as long as RAY_JOB_STOP_WAIT_TIME_S
# says, by default 3 s. The same command goes on with it, in STROP_RUNS/RECIPE.
# Every machine needs the same Python with strop[ray], and the model's files; the head the folder of the run.
set -euo pipefail
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"
recipe=$1
shift
run=${STROP_RUNS:-$HOME/runs}/$(basename "$recipe" .py)
again=()
[ -d "$run" ] && again=(--resume)
exec strop train "$recipe" --engine ray --ray auto --run "$run" "${again[@]}" "$@"
