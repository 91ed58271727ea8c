"""Measures what the first steps of the paper's algorithm do to T.

    python launch/paper/first_steps.py --study=letter --variants=letter

For each variant of a study, and each of its noises at its ratio, the command
takes the first `--steps` steps of the run of each seed, and records of each
step

    gradient       the length of the meta-gradient G (Frobenius norm)
    probability    the smallest probability f(label) of a noisy label of the
                   batch, before the step
    change         the length of the change of T
    exchanged      how many columns of T are largest in another row than their
                   own

and, after the steps, the accuracy on held-out images. The results go to
`results/studies/first_steps.jsonl`; finished ones are not repeated.
"""

from pathlib import Path
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf
from absl import flags

from mlc_tf.errors import bad_argument
from mlc_tf.errors import unknown_name
from mlc_tf.launch import command_line
from mlc_tf.launch.paper import plans
from mlc_tf.launch.paper import studies
from mlc_tf.models.forward_pass import passing_logits
from mlc_tf.models.pair_model import PairModel
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import results
from mlc_tf.run import training

_STUDY = flags.DEFINE_string(
    "study", "letter", f"The study: {', '.join(studies.STUDIES)}."
)
_VARIANTS = flags.DEFINE_list(
    "variants", None, "The variants to measure. Defaults to all."
)
_STEPS = flags.DEFINE_integer("steps", 100, "The number of steps.")
_RESULTS = flags.DEFINE_string("results", "results", "The folder for results.")


def main(argv: list[str]) -> None:
    del argv
    if _STUDY.value not in studies.STUDIES:
        raise unknown_name("study", _STUDY.value, studies.STUDIES)
    if _STEPS.value < 1:
        raise bad_argument("steps", "an integer >= 1", _STEPS.value)
    study = studies.STUDIES[_STUDY.value]
    file = Path(_RESULTS.value) / "studies" / "first_steps.jsonl"
    for name, config in plans.study(study, _VARIANTS.value).items():
        run = f"{_STUDY.value}/{name}"
        if config.noise.ratio != study.ratio or run in results.read(file):
            continue
        measured = measure(config, _STEPS.value)
        results.write(file, [{"run": run, **measured}])
        print(
            f"{run}: {100 * measured['accuracy']:.2f} % after "
            f"{_STEPS.value} steps, longest G {max(measured['gradient']):.3g}",
            flush=True,
        )


def measure(config: ml_collections.ConfigDict, steps: int) -> dict[str, Any]:
    """Returns what the first steps of a run do, for a result file.

    Args:
        config: The config of a run whose model has a `transition_variable` and
            a `meta_gradient_norm`.
        steps: The number of steps.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    problem = problems.load(config)
    ((model, pairs),) = training.untrained(config, problem)
    model.optimizer.build(model.optimized_variables)
    take_step = tf.function(model.train_step)
    least_probability = tf.function(lambda x, labels: _least(model, x, labels))
    recorded: dict[str, list[float]] = {
        name: [] for name in ("gradient", "probability", "change", "exchanged")
    }
    before = np.array(model.transition_matrix)
    for pair in pairs.repeat().take(steps):
        x, labels = pair[0][:2]
        probability = float(least_probability(x, labels))
        model.meta_gradient_norm.reset_state()
        take_step(pair)
        after = np.array(model.transition_matrix)
        exchanged = after.argmax(axis=0) != np.arange(len(after))
        for name, value in (
            ("gradient", model.meta_gradient_norm.result()),
            ("probability", probability),
            ("change", np.linalg.norm(after - before)),
            ("exchanged", exchanged.sum()),
        ):
            recorded[name].append(float(f"{float(value):.4g}"))
        before = after
    predicted = methods.probabilities(model.base, problem.test).argmax(axis=1)
    return {
        "noise": config.noise.kind,
        "ratio": config.noise.ratio,
        "seed": config.seed,
        "steps": steps,
        "accuracy": float(np.mean(predicted == problem.test.labels)),
        **recorded,
    }


def _least(model: PairModel, x: Any, labels: tf.Tensor) -> tf.Tensor:
    probs = tf.nn.softmax(passing_logits(model.base, x))
    return tf.reduce_min(tf.gather(probs, labels, batch_dims=1))


if __name__ == "__main__":
    command_line.run(main)
