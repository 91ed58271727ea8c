"""The whole way of a user with messy data, by the commands that are printed.

Describe, train, audit, review, relabel, train again, export, one request: each
command is the one that the command before it printed.
"""

import json
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests import processes
from tests.processes import launch
from tests.support import ROOT

# A process in which `mlc_tf` cannot be imported answers the request.
_CLIENT = """
import json, sys
sys.modules["mlc_tf"] = None
import numpy as np
import tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
request = json.load(open(sys.argv[2]))
inputs = {
    name: tf.constant(value, serve.structured_input_signature[1][name].dtype)
    for name, value in request.items()
}
answer = serve(**inputs)
print(json.dumps([name.decode() for name in answer["class_name"].numpy()]))
"""


class User:
    """Types what the last command printed under "Next:"."""

    def __init__(self, folder):
        self.folder, self.said, self.typed = folder, "", []

    def type(self, command, *flags):
        self.typed.append(shlex.join([command, *flags]))
        ((status, stdout, stderr),) = launch(
            self.folder, (f"{command}.py", *flags)
        )
        assert status == 0, (self.typed, stderr[-2000:])
        assert "Traceback" not in stderr
        self.said = stdout
        return stdout

    def next(self, command):
        """Types the command of that name that was printed."""
        lines = self.said.partition("\nNext:\n")[2].splitlines()
        (line,) = (
            line for line in lines if line.startswith(f"    mlc_tf {command} ")
        )
        _, _, *flags = shlex.split(line)
        return self.type(command, *flags)

    def printed(self, name):
        """Returns a flag of a command that was printed."""
        return re.search(rf"--{name}=(\S+)", self.said)[1]


def follow(folder, described, repair, request):
    """Goes the whole way; returns the user, and the served class names."""
    user = User(folder)
    user.type("describe", *described)
    said = user.said
    before = user.next("train")
    result = json.loads(before.splitlines()[-1])
    workdir = user.printed("workdir")
    user.printed_workdir, trained = workdir, user.said
    user.next("audit")
    assert json.loads(user.said.splitlines()[-1])["examples"] > 0
    # The network was not fitted to the trusted labels: they are audited too.
    assert (folder / workdir / "audit/clean_label_issues.csv").exists()
    user.next("review")
    repair(folder, workdir)
    user.next("relabel")
    user.next("train")
    again = json.loads(user.said.splitlines()[-1])
    assert again["test_accuracy"] >= result["test_accuracy"] - 0.05
    assert user.printed("workdir").endswith("-relabelled")
    for note in re.findall(r"^.*(?:left out|Left out).*$", trained, re.M):
        assert note in said
    exported = user.next("export")
    version = exported.splitlines()[-1].split()[0]
    (folder / "request.json").write_text(json.dumps(request))
    (folder / "client.py").write_text(_CLIENT)
    answered = processes.run(
        folder / "client.py", version, "request.json", cwd=folder
    )
    assert answered.returncode == 0, answered.stderr[-2000:]
    card = (folder / version / "model_card.md").read_text()
    return user, json.loads(answered.stdout.splitlines()[-1]), said, card


def accept_suggestions(folder, workdir):
    """Decides as somebody who accepts each suggestion of the page."""
    issues = pd.read_csv(folder / workdir / "audit/label_issues.csv", dtype=str)
    wrong = issues[issues["is_label_issue"] == "True"]
    assert len(wrong)
    pd.DataFrame(
        {
            "index": wrong["index"],
            "example": wrong["example"],
            "identity": wrong["identity"],
            "given_label": wrong["given_label"],
            "decision": "relabel",
            "label": wrong["predicted_label"],
        }
    ).to_csv(folder / "decisions.csv", index=False)


def draw(rng, name):
    """Returns a picture of 12 by 12 pixels: bright above, or bright left."""
    picture = rng.integers(0, 60, (12, 12), np.uint8)
    if name == "käfer":
        picture[:5] += 150
    else:
        picture[:, :5] += 150
    return picture


def save(picture, path, number):
    """Saves a picture in one of the forms that users have."""
    grey = Image.fromarray(picture)
    form = number % 5
    if form == 0:
        grey.save(path.with_suffix(".png"))
    elif form == 1:
        grey.convert("RGB").save(path.with_suffix(".webp"), quality=95)
    elif form == 2:  # 16 bits
        wide = picture.astype(np.uint16) * 257
        Image.fromarray(wide).save(path.with_suffix(".tiff"))
    elif form == 3:  # taken with the camera on its side
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = grey.transpose(Image.Transpose.ROTATE_90)
        turned.save(path.with_suffix(".jpg"), quality=95, exif=exif)
    else:
        grey.convert("P").save(path.with_suffix(".PNG"))


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    names = ("käfer", "vögel")
    for split, count in (("train", 60), ("test", 20), ("clean", 12)):
        for name in names:
            folder = tmp_path / "bilder" / split / name
            folder.mkdir(parents=True)
        for number in range(count):
            for name in names:
                given = name
                if split == "train" and number % 6 == 0:  # a wrong label
                    given = names[names[0] == name]
                place = tmp_path / "bilder" / split / given
                save(draw(rng, name), place / f"{name} {number}", number)
    root = tmp_path / "bilder"
    (root / "train/käfer/.DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (root / "train/käfer/._käfer 1.png").write_bytes(b"\0\5\26\7")
    (root / "train/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (root / "train/vögel/notizen.txt").write_text("später")
    Image.fromarray(draw(rng, "käfer")).save(root / "train/lose.png")
    (root / "train/vögel/alt").mkdir()
    Image.fromarray(draw(rng, "vögel")).save(root / "train/vögel/alt/1.png")
    return tmp_path


def test_a_messy_folder(pictures):
    described = (
        f"--config={ROOT}/configs/own.py",
        "--config.method.mlc.clean_weight=0",
        "--config.dataset.name=folder:bilder",
        "--config.train.epochs=12",
        "--config.train.batch_size=20",
        "--config.clean.batch_size=20",
    )
    rng = np.random.default_rng(1)
    request = {
        "inputs": [
            np.repeat(draw(rng, name)[..., None], 3, axis=-1).tolist()
            for name in ("vögel", "käfer", "vögel")
        ]
    }
    user, names, said, card = follow(
        pictures, described, accept_suggestions, request
    )
    assert names == ["vögel", "käfer", "vögel"]
    # What was left out is said, with a count; so is what was converted.
    assert "1 images in sub-folders of a class folder belong to that" in said
    for text in ("1 hidden images", "1 images beside", "1 files of another"):
        assert text in said.partition("Left out of bilder: ")[2]
    assert "36 are turned" in said and "36 have 16 bits" in said
    assert "read_image" in card
    # The mended labels are right more often than the given ones.
    mended = pd.read_csv(
        pictures / re.search(r"--output=(\S+\.csv)", " ".join(user.typed))[1]
    )
    train = mended[mended["split"] == "train"]
    true = train["file"].map(lambda file: file.rpartition("/")[2].split()[0])
    known = true.isin(("käfer", "vögel"))
    assert (true == train["label"])[known].mean() > 0.93  # of 5 in 6


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    count = 400
    good = rng.integers(0, 2, count)
    split = rng.permutation(
        ["train"] * 280 + ["Test "] * 80 + ["vertraut"] * 40
    )
    label = np.where(good, "gut", "=schlecht")
    wrong = (split == "train") & (rng.random(count) < 0.2)
    given = np.where(wrong, np.where(good, "=schlecht", "gut"), label)
    frame = pd.DataFrame(
        {
            "Alter": [f"{30 + 10 * y + rng.normal(0, 3):.1f}" for y in good],
            "Stadt": np.where(
                rng.random(count) < 0.8,
                np.where(good, "Köln", "Ulm"),
                "Rom",
            ),
            "seit": [
                f"{2010 + 8 * y + rng.integers(0, 3)}-0{rng.integers(1, 9)}-11"
                for y in good
            ],
            "Kennung": [f"K{number:05}" for number in range(count)],
            " Label": given,
            "split": split,
            "wahr": label,
        }
    )
    frame["Alter"] = frame["Alter"].str.replace(".", ",")
    text = frame.to_csv(sep=";", lineterminator="\r\n")
    (tmp_path / "kunden.csv").write_bytes(text.encode("utf-8-sig") + b"\r\n")
    return tmp_path


def test_a_messy_table(table):
    described = (
        f"--config={ROOT}/configs/own.py",
        "--config.method.mlc.clean_weight=0",
        "--config.dataset.name=csv:kunden.csv",
        "--config.dataset.clean=split:vertraut",
        "--config.dataset.columns=Kennung:ignore,wahr:ignore",
        "--config.train.epochs=15",
    )
    request = {
        "Alter": [40.2, 29.5, 41.0],
        "Stadt": ["Köln", "Ulm", "Atlantis"],
        "seit": [17800.0, 14800.0, float("nan")],
    }
    user, names, said, card = follow(
        table, described, accept_suggestions, request
    )
    assert names == ["gut", "=schlecht", ""]
    assert "Alter as numbers; seit as days since 1970-01-01; Stadt (3" in said
    assert "Kennung, wahr, (no name) not" in said
    assert "80 rows write their split with blanks or in another case" in said
    assert "| `Stadt` | Stadt | string | Köln, Rom, Ulm" in card
    output = re.search(r"--output=(\S+\.csv)", " ".join(user.typed))[1]
    mended = (table / output).read_bytes()
    assert mended.startswith(b"\xef\xbb\xbf;Alter;Stadt;seit;Kennung; Label;")
    frame = pd.read_csv(table / output, sep=";", encoding="utf-8-sig")
    train = frame[frame["split"] == "train"]
    assert (train[" Label"] == train["wahr"]).mean() > 0.93  # of 0.8
    # The file in between holds no formula.
    issues = (
        table / user.printed_workdir / "audit/label_issues.csv"
    ).read_text()
    assert ",=schlecht" not in issues and ",'=schlecht" in issues
