import json

import pytest

from mlc_tf.errors import InputError
from mlc_tf.run import results


def test_results_are_sorted_and_replaced_by_their_runs(tmp_path):
    path = tmp_path / "new/digits.jsonl"
    assert results.read(path) == {}
    b = {"run": "b", "accuracy": 0.1 + 0.2, "options": {"transition": {}}}
    results.write(path, [b, {"run": "a", "accuracy": 1.0}])
    results.write(path, [{"run": "a", "accuracy": 1e-17}])
    lines = path.read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == ["a", "b"]
    assert results.read(path) == {"a": {"run": "a", "accuracy": 1e-17}, "b": b}
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"accuracy": 1}', '{"run": []}', '{"run": "a"}']
)
def test_a_broken_line_is_refused_with_its_file_and_number(tmp_path, line):
    path = tmp_path / "digits.jsonl"
    path.write_text(f'{{"run": "a"}}\n{{"run": "b"}}\n{line}\n')
    with pytest.raises(InputError, match=rf"Received: line 3 of {path}\."):
        results.read(path)
    with pytest.raises(InputError, match="line 3 of"):
        results.write(path, [{"run": "c"}])


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="`results` should be a folder that"):
        results.write(tmp_path / "file/digits.jsonl", [{"run": "a"}])
