"""All methods, and what each asks of a run."""

from collections.abc import Callable
from dataclasses import dataclass

from mlc_tf.baselines.authors_code import AuthorsCode
from mlc_tf.baselines.cross_entropy import CrossEntropy
from mlc_tf.baselines.forward_correction import ForwardCorrection
from mlc_tf.errors import unknown_name
from mlc_tf.meta_loss_correction import MetaLossCorrection
from mlc_tf.pair_model import PairModel


@dataclass(frozen=True)
class Method:
    """A method of the comparison.

    Attributes:
        model: The class; called with the base and the method's options.
        merges_clean: Whether the clean set is merged into the noisy one, the
            paper's rule for methods that do not use it as such.
        needs_true_transition: Whether it is told the true T (an oracle).
        sums_loss: Whether its loss is a sum over the batch; the optimizer's
            rate is then divided by the batch size, so that steps compare.
    """

    model: Callable[..., PairModel]
    merges_clean: bool = False
    needs_true_transition: bool = False
    sums_loss: bool = False


METHODS = {
    "mlc": Method(MetaLossCorrection),
    "cross_entropy": Method(CrossEntropy, merges_clean=True),
    # The schedule of mlc with T frozen at the identity.
    "ce_control": Method(CrossEntropy),
    "authors_code": Method(AuthorsCode, sums_loss=True),
    "true_forward": Method(ForwardCorrection, needs_true_transition=True),
}


def get(name: str) -> Method:
    """Returns a method; an InputError names the nearest."""
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]
