"""The rule tables, grouped by what they promise about floats, and the measure each rule lowers."""

from graphc.rules.cost import Measure, measure
from graphc.rules.exact import EXACT
from graphc.rules.fast import FAST
from graphc.rules.guard import GUARD, RELEASE
from graphc.rules.stable import STABLE

__all__ = ["EXACT", "FAST", "GUARD", "RELEASE", "STABLE", "Measure", "measure"]
