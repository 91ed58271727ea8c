#!/usr/bin/env bash
# Trains on two nodes, with one worker on each.
#
#   sbatch slurm.sh --config=cifar10 --workdir=DIR
#
# The environment of the job needs `mlc_tf`, and all nodes need access to DIR and
# the data. Before the time limit Slurm sends SIGTERM: the workers save their
# state, and the job is queued again and resumes.
#SBATCH --job-name=mlc_tf
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# Single quotes delay $(...) until the script runs on the nodes.
worker='
TF_CONFIG=$(python -m mlc_tf.launch.cluster.tf_config --scheduler=slurm)
export TF_CONFIG
exec mlc_tf train --config.train.strategy=multi_worker "$@"'

status=0
srun --kill-on-bad-exit=1 bash -euc "$worker" worker \
    --config.train.checkpoint_every="600 seconds" "$@" || status=$?
if [ "$status" -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
