#!/usr/bin/env bash
# Checks the package on a GPU and measures it; its limits add up to 12 minutes.
#
#     launch/gpu_check.sh RESULTS RUNS
#
# RESULTS gets the report of the GPU tests, the benchmark's result file, and the
# results of one row of the paper's Table 1 on CIFAR-10: flip-to-one, 40 %, by
# WRN-40-2. RUNS gets the directories of these runs. The same command resumes, also
# after RUNS was copied to another machine. TFDS_DATA_DIR should hold MNIST and
# CIFAR-10.
set -uo pipefail
if [ $# -ne 2 ]; then
    echo "error: launch/gpu_check.sh needs two arguments, RESULTS and RUNS." >&2
    exit 2
fi
mkdir -p "$1" "$2"
results=$(cd "$1" && pwd)
runs=$(cd "$2" && pwd)
cd "$(dirname "$0")/.." || exit
export TF_CPP_MIN_LOG_LEVEL=2 TF_FORCE_GPU_ALLOW_GROWTH=true
if ! python -c "
import sys
import mlc_tf.launch
import tensorflow as tf
sys.exit(not tf.config.list_physical_devices('GPU'))"; then
    echo "error: mlc_tf should be installed, and TensorFlow should find a GPU." >&2
    exit 2
fi

# Runs a command for at most so many seconds, and notes how it ended.
part() {
    local seconds=$1 name=$2 begin=$SECONDS status=0
    shift 2
    timeout --signal=TERM "$seconds" "$@" >"$results/$name.log" 2>&1 || status=$?
    echo "$name: status $status after $((SECONDS - begin)) s" |
        tee -a "$results/summary.txt"
}

measure() {
    part "$1" "$2" python launch/benchmark/measure.py --device=gpu \
        --results="$results" "${@:3}"
}

row() {
    part "$1" table1 python launch/paper/tables_and_figures.py --what=table1 \
        --dataset=cifar10 --variant=gpu --noises=flip_to_one --ratios=0.4 \
        --methods=cross_entropy,ce_control,glc,mlc,mlc_paper --seeds=0 \
        --jobs=4 --results="$results" --runs="$runs"
}

part 240 gpu_suite python -m pytest -m gpu -p no:xdist -o addopts= tests/gpu \
    --junitxml="$results/gpu_suite.xml"
measure 150 compilation --what=compilation --rounds=25 \
    --networks=lenet,wide_resnet_40_2
if python -c "import torch" 2>/dev/null; then
    measure 60 peer --what=step --peer=torch --rounds=25 \
        --networks=wide_resnet_40_2
else
    echo "peer: PyTorch is not installed" | tee -a "$results/summary.txt"
fi
row 270
# What a longer sitting adds; a part without time left ends at its limit.
if [ "${MLC_TF_LONG_CHECK:-}" ]; then
    measure 600 more_networks --what=compilation --rounds=25 \
        --networks=wide_resnet_28_10,resnet50_batch_64,transformer
    measure 300 memory --what=memory --rounds=5 --networks=wide_resnet_40_2
    measure 120 input --what=input --config=configs/cifar10.py:gpu \
        --config.train.augment=crop_and_flip --config.train.dtype=float32
    row 3600
fi
