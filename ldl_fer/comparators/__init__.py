"""The methods that LDLVA is compared with, one a file: same network, data, schedule, evaluation.

Each file has its paper's mathematics as pure functions and, beneath, the `Classifier` that trains
by them. What is left at test time is the plain network, as with LDLVA. Published constants are the
defaults of `settings.ComparatorConfig`, sizes of layers stand in the file; step sizes, schedules
and augmentation are the harness' own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ldl_fer.comparators.comparator import Comparator
from ldl_fer.comparators.cross_entropy import CrossEntropy
from ldl_fer.comparators.eac import EAC
from ldl_fer.comparators.label_smoothing import LabelSmoothing
from ldl_fer.comparators.ldl_alsg import LDLALSG
from ldl_fer.comparators.rul import RUL
from ldl_fer.comparators.scn import SCN

COMPARATORS: Mapping[str, type[Comparator]] = MappingProxyType(
    {
        "cross_entropy": CrossEntropy,
        "label_smoothing": LabelSmoothing,
        "scn": SCN,
        "rul": RUL,
        "eac": EAC,
        "ldl_alsg": LDLALSG,
    }
)
# What these two compute depends on which images pass together.
RANKING = ("scn", "rul")
