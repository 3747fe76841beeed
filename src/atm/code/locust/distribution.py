"""How many users of each class there are: those with a fixed count first, the others by their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atm.code.locust.user import User


def users_of(classes: Sequence[type[User]], total: int) -> Mapping[type[User], int]:
    """Return the users of each class: whole numbers whose sum is the total, as near to the weights as possible."""
    counts = dict.fromkeys(classes, 0)
    left = total
    for fixed in [user_class for user_class in classes if user_class.fixed_count > 0]:
        counts[fixed] = min(fixed.fixed_count, left)
        left -= counts[fixed]
    weighted = [each for each in classes if each.fixed_count <= 0 and each.weight > 0]
    sum_of_weights = sum(each.weight for each in weighted)
    shares = {each: left * each.weight / sum_of_weights for each in weighted}
    for each, share in shares.items():
        counts[each] = int(share)
    rest = left - sum(counts[each] for each in weighted)
    for each in sorted(weighted, key=lambda each: counts[each] - shares[each])[: max(0, rest)]:
        counts[each] += 1
    return counts
