"""Studies, and the first steps of the paper's algorithm."""

import pytest

from mlc_tf.errors import InputError
from mlc_tf.launch.paper import first_steps
from mlc_tf.launch.paper import plans
from mlc_tf.launch.paper import studies
from mlc_tf.run import methods
from mlc_tf.run import settings
from tests.support import small

LETTER = studies.STUDIES["letter"]
PARTS = {"parts_digits": "digits", "parts_mnist": "mnist"}


@pytest.mark.parametrize("name", studies.STUDIES)
def test_each_variant_is_a_config_of_its_own(name):
    study = studies.STUDIES[name]
    plan = plans.study(study)
    assert next(iter(study.variants)) in {run.split("/")[0] for run in plan}
    distinct = {}
    for run, config in plan.items():
        settings.check(config)
        assert settings.evaluated_on(config) == "validation"
        variant, *condition = run.split("/")
        key = (
            tuple(condition),
            str(settings.of_training(config)),
            str(settings.method_options(config)),
        )
        assert distinct.setdefault(key, variant) == variant, (run, distinct)


def test_the_runs_of_a_study_have_its_ratios_and_seeds():
    plan = plans.study(LETTER, ["letter", "m_64", "cosine"])
    at_40 = [run for run in plan if "-0.4/" in run]
    at_10 = [run for run in plan if "-0.1/" in run]
    assert len(at_40) == 3 * 3 * 3
    assert len(at_10) == 3 * 3
    assert plan["m_64/uniform-0.4/mlc_paper-seed2"].clean.batch_size == 64
    letter = plan["letter/uniform-0.4/mlc_paper-seed0"]
    assert letter.clean.batch_size == 500
    assert letter.optimizer.momentum == 0
    with pytest.raises(InputError, match="Did you mean 'letter'"):
        plans.study(LETTER, ["leter"])


@pytest.mark.parametrize("name", PARTS)
def test_all_parts_together_are_mlc(name):
    # Except for the decay, the last difference.
    plan = plans.study(studies.STUDIES[name])
    variants = list(dict.fromkeys(run.split("/")[0] for run in plan))
    last = [each for each in variants if each[0].isdigit()][-1]
    condition = "uniform-0.4/mlc-seed0"
    whole = settings.flat(plan[f"mlc/{condition}"])
    built = settings.flat(plan[f"{last}/{condition}"])
    differing = {key for key in whole if whole[key] != built[key]}
    assert differing <= {
        "method.mlc.transition.decay_steps",
        # Written out where mlc has the default of the class.
        "method.mlc.transition.learning_rate",
        "method.mlc.transition.smoothing",
        "method.mlc.clean_weight",
    }
    built_update, update = (
        transition_of(plan[f"{variant}/{condition}"])
        for variant in (last, "mlc")
    )
    assert built_update["decay_steps"] == 0 < update["decay_steps"]
    for key in update.keys() - {"decay_steps"}:
        assert built_update[key] == update[key], key
    clean = {
        config.method.mlc.clean_weight or 0.0
        for config in (plan[f"{last}/{condition}"], plan[f"mlc/{condition}"])
    }
    assert len(clean) == 1


def transition_of(config):
    options = settings.method_options(config)
    return methods.transition_update("mlc", options, steps=7).get_config()


def test_the_first_steps_by_their_effect():
    frozen = first_steps.measure(
        small(
            "mlc_paper", **{"method.mlc_paper.transition_learning_rate": 0.0}
        ),
        steps=3,
    )
    assert frozen["change"] == [0, 0, 0] and frozen["exchanged"] == [0, 0, 0]
    assert all(length > 0 for length in frozen["gradient"])
    assert all(0 < least < 0.1 for least in frozen["probability"])
    config = small(
        "mlc_paper", **{"method.mlc_paper.transition_learning_rate": 1e6}
    )
    thrown = first_steps.measure(config, steps=3)
    # The first gradient does not depend on the step that follows it.
    assert thrown["gradient"][0] == frozen["gradient"][0]
    assert thrown["change"][0] > 1 and thrown["exchanged"][0] > 0
    assert 0 <= thrown["accuracy"] <= 1


def test_a_small_step_changes_t_in_proportion_to_its_rate():
    small_step, large_step = (
        first_steps.measure(
            small(
                "mlc_paper",
                **{"method.mlc_paper.transition_learning_rate": rate},
            ),
            steps=1,
        )["change"][0]
        for rate in (1e-4, 1e-2)
    )
    assert large_step == pytest.approx(100 * small_step, rel=0.03)
    assert small_step > 0
