"""An audit in cleanlab's Datalab."""

import numpy as np
import pandas as pd
import pytest

from mlc_tf import audit
from mlc_tf.errors import InputError

GIVEN = np.array([0, 0, 1, 1, 2, 2])
NAMES = np.array(["ant", "bee", "cat"])


@pytest.fixture
def audited():
    quality = np.array([0.9, 0.2, 0.8, 0.7, 0.1, 0.6], np.float32)
    predicted = np.array([0, 1, 1, 1, 0, 2])
    table = pd.DataFrame(
        {
            "is_label_issue": predicted != GIVEN,
            "label_quality": quality,
            "given_label": GIVEN,
            "predicted_label": predicted,
        }
    )
    return audit.Audit(table, np.diag([2.0, 2.0, 2.0]) + 0.1)


@pytest.mark.parametrize("with_data", [False, True])
def test_the_issues_of_the_audit_are_those_of_the_lab(audited, with_data):
    data = {"label": NAMES[GIVEN].tolist()} if with_data else None
    lab = audit.to_datalab(audited, data)
    table = lab.get_issues("audited_label")
    np.testing.assert_array_equal(
        table["is_audited_label_issue"], audited.label_issues["is_label_issue"]
    )
    np.testing.assert_allclose(
        table["audited_label_score"], audited.label_issues["label_quality"]
    )
    summary = lab.get_issue_summary("audited_label")
    assert summary["num_issues"].item() == 2
    info = lab.get_info("audited_label")
    assert info["noise_rate"] == pytest.approx(audited.noise_rate)
    np.testing.assert_allclose(info["transition"], audited.transition)


def test_the_report_names_the_worst_label(audited, capsys):
    lab = audit.to_datalab(audited)
    lab.report(num_examples=1)
    out = capsys.readouterr().out
    assert "audited_label issues" in out and "noise_rate" in out
    worst = out.split("most severe")[1].splitlines()[2]
    assert worst.split()[:2] == ["4", "True"]


def test_other_issues_of_the_lab_stand_beside(audited):
    lab = audit.to_datalab(audited)
    probs = np.eye(3)[[0, 1, 1, 1, 0, 2]] * 0.7 + 0.1
    lab.find_issues(pred_probs=probs, issue_types={"label": {}})
    assert {"label", "audited_label"} <= {
        *lab.get_issue_summary()["issue_type"]
    }


@pytest.mark.parametrize("form", [None, "numpy", "tensorflow", "pandas"])
def test_a_hugging_face_dataset_in_any_format(audited, form):
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"label": GIVEN.tolist()})
    lab = audit.to_datalab(audited, data.with_format(form))
    assert lab.get_issue_summary("audited_label")["num_issues"].item() == 2


def test_names_in_the_order_of_the_ids_keep_the_columns_of_probabilities(
    audited,
):
    # Names in another order would be numbered in another way.
    probs = np.eye(3)[GIVEN] * 0.7 + 0.1
    lab = audit.to_datalab(audited, {"label": NAMES[GIVEN].tolist()})
    lab.find_issues(pred_probs=probs, issue_types={"label": {}})
    assert lab.get_issue_summary("label")["num_issues"].item() == 0


def test_a_class_without_labels_is_a_column_to_leave_out(audited):
    given = np.array([0, 0, 2, 2, 2, 2])
    table = audited.label_issues.assign(given_label=given)
    partly = audit.Audit(table, audited.joint)
    with pytest.warns(UserWarning, match="the label 1. .* leave these columns"):
        lab = audit.to_datalab(partly)
    probs = np.eye(3)[given] * 0.7 + 0.1
    left = np.delete(probs, 1, axis=1)
    lab.find_issues(
        pred_probs=left / left.sum(axis=1, keepdims=True),
        issue_types={"label": {}},
    )
    assert lab.get_issue_summary("label")["num_issues"].item() == 0


def test_a_class_label_keeps_the_ids_of_absent_classes(audited, recwarn):
    datasets = pytest.importorskip("datasets")
    feature = datasets.ClassLabel(names=["ant", "ape", "bee"])
    given = np.array([0, 0, 2, 2, 2, 2])
    table = audited.label_issues.assign(given_label=given)
    partly = audit.Audit(table, audited.joint)

    def dataset(ids):
        return datasets.Dataset.from_dict(
            {"label": ids.tolist()}, datasets.Features(label=feature)
        )

    lab = audit.to_datalab(partly, dataset(given))
    assert not [each for each in recwarn if "columns out" in str(each.message)]
    lab.find_issues(
        pred_probs=np.eye(3)[given] * 0.7 + 0.1, issue_types={"label": {}}
    )
    assert lab.get_issue_summary("label")["num_issues"].item() == 0
    with pytest.raises(InputError, match="class ids that were audited"):
        audit.to_datalab(partly, dataset(given // 2))


@pytest.mark.parametrize(
    "data, message",
    [
        (
            {"label": NAMES[[2, 1, 0]][GIVEN].tolist()},
            "sorted order is the order .* 'cat' with a lower id than 'bee'",
        ),
        (
            {"label": ["1", "1", "9", "9", "10", "10"]},
            "Received: '9' with a lower id than '10'",
        ),
        ({"label": (2 - GIVEN).tolist()}, "sorted order .* Received: 2 with"),
        ({"label": 3}, "6 examples of the audit. Received: 1"),
        ({"label": None}, "Received: 1 of type NoneType"),
        ({"label": [0, 0, "1", "1", "2", "2"]}, "4 of type str, 2 of type int"),
        (
            {"label": np.eye(3)[GIVEN].tolist()},
            "one number or text for each .*Received: 6 of type list",
        ),
        ({"label": [[0], [0, 1], [1], [1], [2], [2]]}, "6 of type list"),
        (
            {"label": ["ant", None, "bee", "bee", "cat", None]},
            "all of one type. Received: 4 of type str, 2 of type NoneType",
        ),
        (
            {"y": GIVEN.tolist()},
            "the column 'label' of labels. Received: the",
        ),
        ({"label": [0, 1]}, "the 6 examples of the audit. Received: 2"),
        (
            {"label": [0, 1, 1, 0, 2, 2]},
            "labels that were audited, in their",
        ),
    ],
)
def test_data_that_is_not_the_audited_data(audited, data, message):
    with pytest.raises(InputError, match=message):
        audit.to_datalab(audited, data)
