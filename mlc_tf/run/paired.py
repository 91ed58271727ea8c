"""Paired differences of results over seeds, with confidence intervals."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods over the seeds that both have.

    Attributes:
        mean: The mean of the differences.
        low: The lower end of the interval; NaN for a single seed.
        high: The upper end of the interval; NaN for a single seed.
        seeds: The number of seeds.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the interval; False without an interval."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:+.2f}"
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def difference(
    one: Mapping[int, float], other: Mapping[int, float]
) -> Difference | None:
    """Returns the mean of one minus the other over seeds, with its interval.

    The interval is the 95 % confidence interval of Student's t for paired
    differences: runs of one seed share their noise, their trusted set and their
    initial weights.

    Args:
        one: A number for each seed.
        other: A number for each seed. Seeds that only one of both has are left
            out.

    Returns:
        The difference, or None if no seed is in both.
    """
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    differences = np.array([one[seed] - other[seed] for seed in seeds])
    mean = float(differences.mean())
    if len(seeds) == 1:
        return Difference(mean, np.nan, np.nan, 1)
    error = differences.std(ddof=1) / np.sqrt(len(seeds))
    width = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1) * error
    return Difference(
        mean, float(mean - width), float(mean + width), len(seeds)
    )


def is_as_good(one: Mapping[int, float], best: Mapping[int, float]) -> bool:
    """Returns whether a method is not worse than the best, as far as is known.

    The method is as good if the interval of the difference contains zero. With
    fewer than two common seeds there is no interval, and nothing is known, not
    even of the best method itself.

    Args:
        one: The accuracy for each seed.
        best: The accuracy of the best method for each seed.
    """
    if len(best) < 2:
        return False
    if one == best:
        return True
    found = difference(one, best)
    return found is not None and found.seeds > 1 and not found.high < 0
