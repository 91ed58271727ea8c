#!/usr/bin/env bash
# Two nodes, a worker on each.
#
#   sbatch slurm.sh --config=cifar10 --workdir=DIR
#
# with `mlc_tf` installed in the environment of the job; DIR and the data lie
# where all nodes see them. Before the time is over Slurm sends SIGTERM,
# the state is saved, and the job, which is queued again, goes on from it.
#SBATCH --job-name=mlc_tf
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# As a variable: in double quotes $(...) would be run here, not on the nodes.
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
