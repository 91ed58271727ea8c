"""Tests the cluster examples without a cluster, by schema and by dry run."""

import collections
import io
import json
import os
import shutil
import subprocess
import sys

import dockerfile_parse
import kubernetes_validate
import pytest
import yaml

import mlc_tf
from tests import processes
from tests import test_wheel
from tests.support import ROOT

FOLDER = ROOT / "launch" / "cluster"


def tf_config(environment, *flags):
    return processes.run(
        "mlc_tf.launch.cluster.tf_config",
        *flags,
        environment={"PATH": os.environ["PATH"], **environment},
    )


@pytest.fixture(scope="module")
def manifests():
    text = (FOLDER / "kubernetes.yaml").read_text()
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


def test_the_manifests_are_valid(manifests):
    assert set(manifests) == {"Service", "NetworkPolicy", "Job"}
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, "1.30", strict=True)
    manifests["Job"]["spec"]["paralelism"] = 2
    with pytest.raises(kubernetes_validate.ValidationError, match="paralelism"):
        kubernetes_validate.validate(manifests["Job"], "1.30", strict=True)
    del manifests["Job"]["spec"]["paralelism"]


def test_only_the_pods_reach_the_pods(manifests):
    policy, job = manifests["NetworkPolicy"]["spec"], manifests["Job"]
    workers = {"matchLabels": {"job-name": job["metadata"]["name"]}}
    assert policy["podSelector"] == workers
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"from": [{"podSelector": workers}]}]


def test_the_pods_find_each_other(manifests):
    service, job = manifests["Service"], manifests["Job"]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["completionMode"] == "Indexed"
    # A pod of an indexed Job is JOB-INDEX, and SUBDOMAIN its Service.
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    label = service["spec"]["selector"]["job-name"]
    assert label == job["metadata"]["name"]
    environment = {
        variable["name"]: variable["value"] for variable in container["env"]
    }
    workers = spec["completions"]
    assert workers == spec["parallelism"] == int(environment["WORKERS"])
    for index in range(workers):
        completed = tf_config(
            {**environment, "JOB_COMPLETION_INDEX": str(index)},
            "--scheduler=kubernetes",
        )
        assert json.loads(completed.stdout) == {
            "cluster": {
                "worker": ["mlc-tf-0.mlc-tf:2222", "mlc-tf-1.mlc-tf:2222"]
            },
            "task": {"type": "worker", "index": index},
        }
    assert container["ports"][0]["containerPort"] == 2222
    (script,) = container["args"]
    checked = subprocess.run(["bash", "-n"], input=script, text=True)
    assert checked.returncode == 0


def executable(path, text):
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path):
    """An environment in which `srun` starts the two tasks of a job in turn."""
    executable(
        tmp_path / "srun",
        "shift  # its own flag\n"
        'for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@" || exit; done',
    )
    executable(
        tmp_path / "scontrol",
        f'echo "$@" >> {tmp_path}/asked\n'
        'if [ "$1" = show ]; then printf "node1\\nnode2\\n"; fi',
    )
    executable(tmp_path / "mlc_tf", 'echo "$TF_CONFIG" "$@"; exit $STATUS')
    executable(tmp_path / "python", f'exec {sys.executable} "$@"')
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_ID": "7",
        "STATUS": "0",
    }


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(0, marks=pytest.mark.wide),
        pytest.param(1, marks=pytest.mark.wide),
        143,
    ],
)
def test_the_slurm_script_starts_a_worker_on_each_node(slurm, status, tmp_path):
    completed = subprocess.run(
        [FOLDER / "slurm.sh", "--workdir=a run"],
        cwd=ROOT,
        env={**slurm, "STATUS": str(status)},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == status, completed.stderr
    lines = completed.stdout.splitlines()
    assert len(lines) == (1 if status else 2)
    for index, line in enumerate(lines):
        config, position = json.JSONDecoder().raw_decode(line)
        assert config["cluster"]["worker"] == ["node1:2222", "node2:2222"]
        assert config["task"] == {"type": "worker", "index": index}
        assert line[position:] == (
            " train --config.train.strategy=multi_worker "
            "--config.train.checkpoint_every=600 seconds --workdir=a run"
        )
    asked = (tmp_path / "asked").read_text()
    assert asked.count("show hostnames node[1-2]") == len(lines)
    assert ("requeue 7" in asked) == (status == 143)


@pytest.mark.parametrize(
    "flags, environment, message",
    [
        ((), {}, "`scheduler` should be one of kubernetes, slurm"),
        (("--scheduler=slrum",), {}, "Did you mean 'slurm'?"),
        (
            ("--scheduler=kubernetes",),
            {"JOB_NAME": "a", "SERVICE": "b", "WORKERS": "2"},
            "`JOB_COMPLETION_INDEX` should be set in the environment",
        ),
        (
            ("--scheduler=kubernetes",),
            {
                "JOB_NAME": "a",
                "SERVICE": "b",
                "WORKERS": "2",
                "JOB_COMPLETION_INDEX": "2",
            },
            "`TF_CONFIG` should be JSON like",
        ),
        (
            ("--scheduler=kubernetes",),
            {
                "JOB_NAME": "a",
                "SERVICE": "b",
                "WORKERS": "two",
                "JOB_COMPLETION_INDEX": "0",
            },
            "`WORKERS` should be an integer",
        ),
        (
            ("--scheduler=slurm",),
            {"SLURM_JOB_NODELIST": "a", "SLURM_PROCID": "0"},
            "`scontrol` should print the nodes of SLURM_JOB_NODELIST",
        ),
    ],
)
def test_an_environment_of_no_cluster_is_refused(flags, environment, message):
    if "scontrol" in message and shutil.which("scontrol"):
        pytest.skip("Slurm is here")
    completed = tf_config(environment, *flags)
    assert completed.returncode == 2
    assert message in completed.stderr and "Traceback" not in completed.stderr


def hadolint(file):
    return subprocess.run(
        ["hadolint", "--format=json", str(file)], capture_output=True, text=True
    )


def test_the_image_is_linted(tmp_path):
    linted = hadolint(FOLDER / "Dockerfile")
    assert linted.returncode == 0, linted.stdout
    (tmp_path / "Dockerfile").write_text("FROM python:latest\n")
    assert "DL3007" in hadolint(tmp_path / "Dockerfile").stdout


@pytest.fixture
def image():
    """The stages of the Dockerfile, each {instruction: values}."""
    # dockerfile_parse writes the files that it opens.
    content = io.BytesIO((FOLDER / "Dockerfile").read_bytes())
    stages = []
    for step in dockerfile_parse.DockerfileParser(fileobj=content).structure:
        if step["instruction"] == "FROM":
            stages.append(collections.defaultdict(list))
        if stages:
            stages[-1][step["instruction"]].append(step["value"])
    return stages


def test_the_image_holds_a_copy_of_the_package(image):
    build, final = image
    copied = {path for step in build["COPY"] for path in step.split()[:-1]}
    assert copied == set(test_wheel.SOURCES)
    # The context of the build: all is left out but these.
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {name[1:] for name in ignored if name[0] == "!"} == copied
    assert not final["COPY"]
    assert final["ENTRYPOINT"] == ['["mlc_tf"]']
    # A Python that passed, as setup.py lists them (tests/test_wheel.py).
    (python,) = {stage["FROM"][0].partition(" ")[0] for stage in image}
    classifier = "Programming Language :: Python :: 3.{}"
    known = (ROOT / "setup.py").read_text()
    minor = python.removeprefix("python:3.").removesuffix("-slim")
    assert f'"{classifier.format(minor)}"' in known


def test_the_pods_run_this_image_and_not_as_root(image, manifests):
    pod = manifests["Job"]["spec"]["template"]["spec"]
    (user,) = image[-1]["USER"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": int(user),
    }
    name = pod["containers"][0]["image"]
    assert name.endswith(f":{mlc_tf.__version__}")
    assert f"--tag={name}" in (FOLDER / "Dockerfile").read_text()
