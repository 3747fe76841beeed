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
    weighted = [user_class for user_class in classes if user_class.fixed_count <= 0 and user_class.weight > 0]
    sum_of_weights = sum(user_class.weight for user_class in weighted)
    shares = {user_class: left * user_class.weight / sum_of_weights for user_class in weighted}
    for user_class, share in shares.items():
        counts[user_class] = int(share)
    rest = left - sum(counts[user_class] for user_class in weighted)
    for user_class in sorted(weighted, key=lambda user_class: counts[user_class] - shares[user_class])[: max(0, rest)]:
        counts[user_class] += 1
    return counts
