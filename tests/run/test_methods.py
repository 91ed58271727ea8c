"""What a phase of a method learns about its run."""

import functools
import inspect
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlc_tf import data
from mlc_tf import transitions
from mlc_tf.audit import run_audit
from mlc_tf.configs import digits
from mlc_tf.data import examples
from mlc_tf.data.examples import Arrays
from mlc_tf.errors import InputError
from mlc_tf.models.paper_meta_loss_correction import PaperMetaLossCorrection
from mlc_tf.run import methods
from mlc_tf.run import problems
from mlc_tf.run import settings
from mlc_tf.run import training
from mlc_tf.run.directory import flat
from tests.support import own_arrays
from tests.support import small

AUTOMATIC = {"transition": {"name": "auto"}}
TRUE = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 0.8]])


def inputs_from(first, count):
    return np.arange(first, first + count, dtype=np.float32)[:, np.newaxis]


def setting(data="merged", **changes):
    """Twenty noisy examples 0 to 19, and six clean ones, 100 to 105."""
    noisy = Arrays(inputs_from(0, 20), np.arange(20) % 3)
    clean = Arrays(inputs_from(100, 6), np.arange(6) % 3)
    defaults = {
        "probabilities": lambda inputs: np.full((len(inputs), 3), 1 / 3),
        "new_base": lambda: keras.Sequential(
            [keras.Input((1,)), keras.layers.Dense(3)]
        ),
        "noisy": noisy,
        "clean": clean,
        "epochs": 30,
        "steps_per_epoch": 10,
        "num_classes": 3,
        "seed": 4,
        "options": {},
        "true_transition": TRUE,
        "noise_rate": 0.4,
    }
    values = {**defaults, **changes}
    phase = methods.Phase(None, data=data)
    values["training_set"] = methods.training_set(
        phase, values["noisy"], values["clean"]
    )
    return methods.RunContext(**values)


def arguments_of(name, **changes):
    phase = methods.METHODS[name].phases[-1]
    return phase.arguments(setting(phase.data, **changes))


def as_stream(part):
    return examples.Stream(
        tf.data.Dataset.from_tensor_slices((part.x, part.labels))
    )


@pytest.mark.parametrize("form", [lambda part: part, as_stream])
def test_gold_marks_the_clean_examples_of_the_merged_set(form):
    noisy, clean = form(setting().noisy), form(setting().clean)
    merged = examples.in_memory(examples.join(noisy, clean))
    for name in ("glc", "confusion"):
        gold = arguments_of(name, noisy=noisy, clean=clean)["gold"]
        np.testing.assert_array_equal(gold, merged.x[:, 0] >= 100)


def test_gold_loss_correction_is_told_of_the_clean_set_alone():
    def probabilities(inputs):
        # Class 0 is half taken for 1, the others are what they are.
        assert inputs.x.min() == 100 and len(inputs) == 6
        rows = np.eye(3)[inputs.labels]
        rows[0] = [0.0, 1.0, 0.0]
        return rows

    expected = np.array([[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(
        arguments_of("glc", probabilities=probabilities)["transition"], expected
    )
    np.testing.assert_allclose(
        arguments_of("confusion", probabilities=probabilities)["transition"],
        0.99 * expected + 0.01 / 3,
    )


@pytest.mark.parametrize("classes, outliers", [(4, 1), (100, 0)])
def test_anchor_points_leave_out_outliers_of_few_classes(classes, outliers):
    sureness = np.linspace(0.5, 0.9, 26)
    probs = np.full((26, classes), 1e-6)
    probs[:, 0], probs[:, 1] = sureness, 1 - sureness
    transition = arguments_of("forward", probabilities=lambda inputs: probs)
    first = transition["transition"][0, 0]
    expected = sureness[25 - outliers]
    np.testing.assert_allclose(first, expected, rtol=1e-3)


def test_co_teaching_forgets_as_much_as_was_selected_for_noise():
    asked = arguments_of("co_teaching")
    assert asked["forget_rate"] == 0.4
    assert asked["steps"] == 30 * 10
    assert isinstance(asked["peer"], keras.Model)


def test_a_forget_rate_that_is_given_is_not_told():
    asked = arguments_of(
        "co_teaching", options={"forget_rate": 0.1}, noise_rate=None
    )
    assert "forget_rate" not in asked


# A quarter of class 0 has the label 1.
ESTIMATED = np.array([[0.75, 0.25, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def labelled_by(matrix, count=300):
    """Labels by shares of T, and a network that is right and almost sure."""
    classes = np.arange(count) % 3
    labels = classes.copy()
    for row in range(3):
        members = np.flatnonzero(classes == row)
        bounds = np.round(np.cumsum(matrix[row]) * len(members)).astype(int)
        for column, part in enumerate(np.split(members, bounds[:-1])):
            labels[part] = column
    noisy = Arrays(inputs_from(0, count), labels)

    def probabilities(inputs):
        number = inputs.x[:, 0].astype(int)
        # No two inputs alike: the anchor points leave out the surest.
        doubt = (1 + number / count)[:, np.newaxis] * 1e-4
        return (1 - 3 * doubt) * np.eye(3)[number % 3] + doubt

    return {"noisy": noisy, "clean": None, "probabilities": probabilities}


def test_an_estimated_noise_rate_is_the_share_of_wrong_labels():
    told = labelled_by(ESTIMATED)
    asked = arguments_of("co_teaching_estimated", **told, noise_rate=None)
    # A third of the examples is of class 0, and a quarter of these is wrong.
    assert asked["forget_rate"] == pytest.approx(0.25 / 3, abs=1e-3)
    wrong = np.full((3, 3), 0.5) - 0.5 * np.eye(3)  # every label is wrong
    told = labelled_by(wrong)
    asked = arguments_of("co_teaching_estimated", **told)
    assert asked["forget_rate"] == 0.9


@pytest.mark.parametrize("name", ["co_teaching_estimated", "masking_estimated"])
def test_an_estimate_takes_one_pass_of_the_network(name):
    told, passes = labelled_by(ESTIMATED), []

    def probabilities(inputs):
        passes.append(len(inputs))
        return told["probabilities"](inputs)

    arguments_of(name, **{**told, "probabilities": probabilities})
    assert passes == [300]


def test_an_estimated_structure_leaves_out_small_entries():
    asked = arguments_of(
        "masking_estimated", **labelled_by(ESTIMATED), true_transition=None
    )
    np.testing.assert_array_equal(asked["structure"], ESTIMATED > 0)
    # Spread noise keeps all entries; a small one beside a large one goes.
    mixed = np.array([[0.6, 0.2, 0.2], [0.38, 0.6, 0.02], [0.0, 0.0, 1.0]])
    asked = arguments_of("masking_estimated", **labelled_by(mixed))
    np.testing.assert_array_equal(
        asked["structure"], [[1, 1, 1], [1, 1, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize("name", ["mlc_semi", "glc_semi"])
def test_a_second_stage_gets_what_the_first_says_of_the_labels(name):
    told = labelled_by(ESTIMATED)
    asked = arguments_of(name, **{**told, "clean": setting().clean})
    classes = np.arange(300) % 3
    np.testing.assert_array_equal(asked["labels"], told["noisy"].labels)
    np.testing.assert_array_equal(asked["posterior"].argmax(1), classes)
    assert asked["seed"] == 4 and asked["mixup"] is True
    given = arguments_of(name, **told, options={"mixup": False})
    assert "mixup" not in given


def test_words_are_not_mixed():
    words = Arrays(np.zeros((20, 3), np.int32), np.arange(20) % 3)
    assert arguments_of("mlc_semi", noisy=words)["mixup"] is False


# What `Phase.arguments` makes of the options, beside what a model takes.
USED = {"learning_rate", "transition", "clean_class_weight"}


@pytest.mark.parametrize("name", ["mlc_semi", "glc_semi"])
def test_each_option_of_several_phases_belongs_to_one(name):
    phases = [each for each in methods.METHODS[name].phases if each.options]
    for phase in phases:
        known = inspect.signature(phase.model).parameters
        assert set(phase.options) <= set(known)
    taken = set().union(*(phase.options for phase in phases))
    assert taken == set(settings.default_config().method[name]) - USED


def test_an_unknown_noise_rate_has_to_be_given():
    with pytest.raises(
        InputError, match=r"forget_rate` should be given unless"
    ):
        arguments_of("co_teaching", noise_rate=None)


def test_pencil_has_the_published_stages_and_rate():
    asked = arguments_of("pencil", epochs=320, steps_per_epoch=7)
    assert asked["stage_steps"] == (70 * 7, 200 * 7)
    assert asked["label_learning_rate"] == 600
    np.testing.assert_array_equal(
        asked["labels"], setting().training_set.labels
    )


def test_labels_of_a_short_run_go_as_far():
    asked = arguments_of("pencil", epochs=32, steps_per_epoch=7)
    assert asked["stage_steps"] == (7 * 7, 20 * 7)
    assert asked["label_learning_rate"] == 6000
    # In less than one pass a label moves once.
    asked = arguments_of("pencil", epochs=1, steps_per_epoch=10)
    assert asked["stage_steps"] == (2, 6)
    assert asked["label_learning_rate"] == 600 * 130


def test_a_label_rate_that_is_given_is_not_told():
    options = {"label_learning_rate": 1.0}
    assert "label_learning_rate" not in arguments_of("pencil", options=options)


def test_fasten_is_told_the_labels_of_the_noisy_set():
    np.testing.assert_array_equal(
        arguments_of("fasten")["labels"], np.arange(20) % 3
    )


def test_the_structure_is_that_of_the_true_transition_and_the_diagonal():
    no_diagonal = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 0.8]])
    for name in ("masking", "masking_hard"):
        np.testing.assert_array_equal(
            arguments_of(name, true_transition=no_diagonal)["structure"],
            [[1, 1, 0], [0, 1, 0], [1, 0, 1]],
        )
    assert arguments_of("masking")["seed"] == 4


@pytest.mark.parametrize("name", ["masking", "masking_hard"])
def test_a_structure_of_a_file_stands_for_the_true_one(name, tmp_path):
    path = tmp_path / "structure.csv"
    np.savetxt(path, 1 - np.eye(3)[::-1], delimiter=",")
    asked = arguments_of(
        name, options={"structure": str(path)}, true_transition=None
    )
    np.testing.assert_array_equal(asked["structure"], 1 - np.eye(3)[::-1])
    missing = {"structure": str(tmp_path / "none.npy")}
    with pytest.raises(InputError, match="`structure` should name a .npy or"):
        arguments_of(name, options=missing)


@pytest.mark.parametrize(
    "name, message",
    [
        ("masking", "`structure` should be given .* unless noise is inj"),
        (
            "masking_hard",
            "`structure` should be given .* unless noise is inj",
        ),
        ("true_forward", "should be run with injected noise"),
    ],
)
def test_what_is_told_the_truth_needs_injected_noise(name, message):
    with pytest.raises(InputError, match=message):
        arguments_of(name, true_transition=None)
    np.testing.assert_array_equal(
        arguments_of("true_forward")["transition"], TRUE
    )


def test_methods_that_do_not_use_the_clean_set_get_it_merged():
    noisy, clean = setting().noisy, setting().clean
    sets = {
        data: methods.training_set(methods.Phase(None, data=data), noisy, clean)
        for data in ("noisy", "merged", "clean")
    }
    assert sets["noisy"] is noisy and sets["clean"] is clean
    merged = sets["merged"]
    np.testing.assert_array_equal(merged.x, np.concatenate([noisy.x, clean.x]))
    np.testing.assert_array_equal(merged.labels[20:], clean.labels)


def test_which_data_each_method_trains_on():
    data = {
        name: [phase.data for phase in method.phases]
        for name, method in methods.METHODS.items()
    }
    # The paper, section 4.1: merged without anonymity for those only that do
    # not use the clean set as such; GLC has its first network without it.
    assert data == {
        "mlc": ["noisy"],
        "mlc_semi": ["noisy", "noisy"],
        "mlc_paper": ["noisy"],
        "cross_entropy": ["merged"],
        "ce_control": ["noisy"],
        "authors_step": ["noisy"],
        "noise_layer": ["noisy"],
        "noise_layer_logits": ["noisy"],
        "forward": ["merged", "merged"],
        "dual_t": ["merged", "merged"],
        "t_revision": ["merged", "merged"],
        "glc": ["noisy", "merged"],
        "glc_semi": ["noisy", "merged", "noisy"],
        "glc_em": ["noisy", "noisy"],
        "confusion": ["noisy", "merged"],
        "lre": ["noisy"],
        "co_teaching": ["merged"],
        "co_teaching_estimated": ["merged", "merged"],
        "masking": ["merged", "merged"],
        "masking_estimated": ["merged", "merged"],
        "masking_hard": ["merged", "merged"],
        "pencil": ["merged"],
        "volmin": ["merged"],
        "robot": ["merged"],
        "gce": ["merged"],
        "elr": ["merged"],
        "meta_weight_net": ["noisy"],
        "fasten": ["noisy"],
        "clean_only": ["clean"],
        "fine_tune": ["noisy", "clean"],
        "true_forward": ["noisy"],
    }


def test_probabilities_are_the_softmax_of_a_network_in_order():
    base = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(2, use_bias=False)]
    )
    base.set_weights([np.array([[1.0, 0.0]])])
    x = np.log(np.arange(1, 301, dtype=np.float32))[:, np.newaxis]
    probs = methods.probabilities(base, Arrays(x, np.zeros(300, int)))
    odds = np.arange(1, 301)
    np.testing.assert_allclose(probs[:, 0], odds / (odds + 1), rtol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1)


def test_trusted_classes_count_as_often_as_their_labels_were_given():
    skewed = Arrays(inputs_from(0, 20), np.array([0] * 15 + [1] * 5))

    def weight(**options):
        options = {"transition": {"name": "exponentiated"}, **options}
        arguments = arguments_of("mlc", noisy=skewed, options=options)
        return arguments["clean_class_weight"]

    np.testing.assert_allclose(
        weight(clean_class_weight="given_labels"), [9 / 4, 3 / 4, 0]
    )
    assert weight(clean_class_weight="equal") is None
    plain = {"transition": {"name": "exponentiated"}}
    assert "clean_class_weight" not in arguments_of("mlc", options=plain)
    with pytest.raises(InputError, match="Did you mean 'equal'"):
        weight(clean_class_weight="equals")


def test_t_of_mlc_comes_to_rest_at_the_end_of_the_run():
    config = digits.get_config("smoke")
    problem = problems.load(config)

    def model_of(method):
        config.method.name = method
        ((model, _),) = training.untrained(config, problem)
        return model

    steps = len(problem.noisy) // config.train.batch_size
    assert model_of("mlc").transition.get_config() == {
        "learning_rate": 3.0,
        "initial": None,
        "smoothing": 0.1,
        "max_step": 1.5,
        "decay_steps": config.train.epochs * steps,
        "expectation_rate": 0.1,
    }
    config.method.mlc.transition.decay_steps = 7
    assert model_of("mlc").transition.decay_steps == 7
    config.method.mlc.transition.name = "exponentiated"
    assert isinstance(model_of("mlc").transition, transitions.Exponentiated)
    assert isinstance(model_of("mlc_paper"), PaperMetaLossCorrection)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"name": "projectd"},
            "`method.mlc.transition.name`.*Did you mean 'projected'",
        ),
        (
            {"max_step": 0.0},
            "`method.mlc.transition.max_step` should be a float > 0",
        ),
        (
            {"name": "projected_columns", "expectation_rate": 0.1},
            "`expectation_rate` should be left out",
        ),
    ],
)
def test_bad_options_of_the_transition(options, message):
    with pytest.raises(InputError, match=message):
        arguments_of(
            "mlc", options={"transition": {"name": "projected", **options}}
        )


def test_these_methods_are_not_fitted_to_the_trusted_labels():
    free = {
        name for name in methods.METHODS if not methods.get(name).fits_clean({})
    }
    assert free == {
        "mlc",
        "mlc_semi",
        "mlc_paper",
        "ce_control",
        "authors_step",
        "glc_em",
        "lre",
        "meta_weight_net",
        "true_forward",
    }
    assert methods.get("mlc").fits_clean({"clean_weight": 0.3})
    assert not methods.get("mlc").fits_clean({"clean_weight": 0.0})
    assert not methods.get("mlc_paper").fits_clean({"transition": "identity"})
    # Without rates of its own, mlc weighs the trusted set by its size.
    assert methods.get("mlc").fits_clean(AUTOMATIC)
    assert methods.get("mlc_semi").fits_clean(AUTOMATIC)
    assert not methods.get("mlc").fits_clean({**AUTOMATIC, "clean_weight": 0.0})


@pytest.mark.parametrize("name", ["mlc", "mlc_semi"])
def test_auto_weighs_the_trusted_set_by_its_size(name):
    noisy = Arrays(inputs_from(0, 600), np.arange(600) % 3)
    arguments = functools.partial(arguments_of, name, noisy=noisy)
    assert arguments(options=AUTOMATIC)["clean_weight"] == pytest.approx(0.03)
    given = {**AUTOMATIC, "clean_weight": 0.2}
    assert "clean_weight" not in arguments(options=given)
    by_hand = {"transition": {"name": "projected"}}
    assert "clean_weight" not in arguments(options=by_hand)


@pytest.mark.parametrize(
    "name, helps", [("mlc", True), ("mlc_semi", True), ("glc", False)]
)
def test_a_weight_of_0_frees_the_trusted_labels(name, helps):
    result = {"method": name, "options": {"clean_weight": 0.3}}
    run = types.SimpleNamespace(result=result)
    assert run_audit.fits_clean(run)
    sentence = run_audit.why_not_checked(run)
    assert sentence.startswith(f"{name} was fitted to the trusted labels")
    assert (f"{name}.clean_weight=0 can." in sentence) == helps


def test_robot_does_not_train_on_the_trusted_set():
    assert set(arguments_of("robot", options=AUTOMATIC)) == {"transition"}


def test_auto_sets_the_rates_of_t_by_the_length_of_the_run():
    update = methods.transition_update(
        "mlc", {"transition": {"name": "auto"}}, steps=480, num_classes=10
    )
    assert update.get_config() == transitions.for_run(480, 10).get_config()


# mlc_semi learns T in the first of two phases. A warm-up has no steps of T.
@pytest.mark.parametrize("name, warmup", [("mlc", 0), ("mlc_semi", 1)])
def test_auto_trains_and_reports_its_rates(name, warmup, tmp_path, capsys):
    section = f"method.{name}.transition"
    config = small(name, **{f"{section}.name": "auto"})
    config.update_from_flattened_dict({f"{section}.max_step": 0.3})  # no effect
    config.train.warmup_epochs = warmup
    result = training.run(config, tmp_path / "run", 2)
    assert result["options"]["transition"] == {"name": "auto"}
    chosen = result["chosen_rates"]
    assert chosen["clean_weight"] == data.clean_weight(
        result["noisy_examples"], result["clean_examples"]
    )
    printed = capsys.readouterr().out
    assert "Left out: max_step = 0.3.\n" in printed
    max_step = chosen["transition"]["max_step"]
    assert f"transition.max_step {max_step:.3g}, " in printed
    assert f"clean_weight {chosen['clean_weight']:.3g}." in printed

    # The model has these rates. As settings, they give the same model.
    problem = problems.load(config)
    model, *_ = (model for model, _ in training.untrained(config, problem))
    epochs = config.train.epochs - warmup
    steps = epochs * (result["noisy_examples"] // config.train.batch_size)
    expected = transitions.for_run(steps, 10)
    assert model.transition.get_config() == expected.get_config()
    config.update_from_flattened_dict(
        {f"method.{name}.{key}": rate for key, rate in flat(chosen).items()}
    )
    again, *_ = (model for model, _ in training.untrained(config, problem))
    assert type(again.transition) is type(model.transition)
    assert again.transition.get_config() == model.transition.get_config()
    assert again.clean_weight == model.clean_weight


@pytest.mark.parametrize(
    "name, rates",
    [
        ("ce_control", {"clean_weight"}),
        ("glc_em", {"clean_weight", "expectation_rate"}),
        ("glc_semi", {"clean_weight"}),
    ],
)
def test_what_mlc_is_compared_with_chooses_as_mlc_does(
    name, rates, tmp_path, capsys
):
    config = small(name, **{"method.mlc.transition.name": "auto"})
    result = training.run(config, tmp_path / "run", 2)
    chosen = result["chosen_rates"]
    of_mlc = small("mlc", **{"method.mlc.transition.name": "auto"})
    of_mlc = training.run(of_mlc, tmp_path / "mlc", 0)["chosen_rates"]
    of_mlc = {**of_mlc, **of_mlc["transition"]}
    assert chosen == {rate: of_mlc[rate] for rate in rates}
    weight = f"clean_weight {chosen['clean_weight']:.3g}"
    assert weight in capsys.readouterr().out

    # The model has these rates. As settings, they give the same model.
    given = {f"method.{name}.{rate}": value for rate, value in chosen.items()}
    for changes in ({}, given):
        config.update_from_flattened_dict(changes)
        models = training.untrained(config, problems.load(config))
        *_, model = (model for model, _ in models)
        assert {rate: getattr(model, rate) for rate in rates} == chosen
    assert methods.get(name).fits_clean(settings.method_options(config))


@pytest.mark.parametrize("name", ["ce_control", "glc_em", "glc_semi"])
def test_only_where_mlc_chooses_its_rates_do_others(name):
    options = settings.method_options(small(name))
    assert not methods.is_automatic(options)


def test_a_control_without_a_trusted_set_has_no_weight_of_it(tmp_path):
    changes = {"method.mlc.transition.name": "auto", "clean.per_class": 0}
    config = small("ce_control", **changes)
    chosen = training.run(config, tmp_path / "run", 0)["chosen_rates"]
    assert chosen == {"clean_weight": 0.0}
    weights = {"method.mlc.clean_class_weight": "equal"}
    config = small("ce_control", **changes, **weights)
    training.run(config, tmp_path / "weights", 0)


# 64-bit integers may be ids, so their mixtures may mean nothing.
@pytest.mark.parametrize(
    "dtype, mixes", [("int64", False), ("uint8", True), ("float64", True)]
)
def test_a_second_stage_that_mixes_nothing_is_reported(
    dtype, mixes, tmp_path, capsys
):
    x = np.random.default_rng(0).integers(0, 256, (78, 4)).astype(dtype)
    parts = {"x_train": x[:60], "x_test": x[60:70], "x_clean": x[70:]}
    config = small("mlc_semi", **own_arrays(tmp_path / "a.npz", **parts))
    training.run(config, tmp_path / "run", 0)
    printed = capsys.readouterr().out
    assert ("does not mix inputs, since numbers of dtype" in printed) != mixes
    config.method.mlc_semi.mixup = False
    training.run(config, tmp_path / "given", 0)
    assert "does not mix" not in capsys.readouterr().out


def test_given_rates_are_not_reported_as_chosen(tmp_path, capsys):
    result = training.run(small("mlc"), tmp_path / "run", 2)
    assert result["chosen_rates"] == {}
    assert "Rates chosen" not in capsys.readouterr().out


def test_robot_reports_no_weight_of_a_set_that_it_does_not_use(
    tmp_path, capsys
):
    config = small("robot", **{"method.robot.transition.name": "auto"})
    chosen = training.run(config, tmp_path / "run", 0)["chosen_rates"]
    assert set(chosen) == {"transition"}
    assert "Left out" not in capsys.readouterr().out
