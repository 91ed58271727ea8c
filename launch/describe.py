"""Shows the data that a config trains on, without training.

    mlc_tf describe --config=digits
    mlc_tf describe --config=cifar10 \\
        --config.noise.kind=uniform --config.noise.ratio=0.3

The command prints shapes, counts per split and class, and the injected noise.
It writes `noise.json` and, for images, `samples.png` with true and given
labels.
"""

from pathlib import Path

from absl import flags

from mlc_tf.errors import writable_or_error
from mlc_tf.launch import command_line
from mlc_tf.run import description
from mlc_tf.run import directory
from mlc_tf.run import settings

_CONFIG = command_line.define_config()
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The folder for the files. Defaults to runs/DATASET/NOISE/data-SEED-DIGEST"
    ", where DIGEST stands for all other settings of the data.",
)


def main(argv: list[str]) -> None:
    del argv
    config = _CONFIG.value
    settings.check(config)
    output = Path(_OUTPUT.value or directory.default_data_folder(config))
    described = description.describe(config)
    print(described.text)
    with writable_or_error("output", output):
        output.mkdir(parents=True, exist_ok=True)
        if described.noise_report is not None:
            directory.write_json(output / "noise.json", described.noise_report)
            print(f"\n{output / 'noise.json'}")
        if described.figure is not None:
            described.figure.savefig(output / "samples.png", dpi=120)
            print(output / "samples.png")
    command_line.print_next(["train", *command_line.flags_without("output")])


if __name__ == "__main__":
    command_line.run(main)
